"""Settings that are tried, and the words that ship."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import product

import numpy as np
import pytest

from mmr.errors import BadDataError, UsageError
from mmr.normalize.apply import turned
from mmr.normalize.bank import bank_of_words, key
from mmr.normalize.state import read_state, write_state
from mmr.normalize.sweep import Tried, at_the_edge, best, settings, tried
from mmr.normalize.table import METHODS
from mmr.normalize.words import everyday, languages, named
from tests.conftest import ROOT
from tests.normalize.test_state import fitted

NNN = next(row for row in METHODS if row.name == "nnn")


def test_every_combination_is_tried_once():
    found = settings(NNN, ["alpha=.25,.5,.5", "neighbours=4,16,64"])
    expected = [{"alpha": a, "neighbours": k} for a, k in product((0.25, 0.5), (4, 16, 64))]
    assert found == expected
    dualis = next(row for row in METHODS if row.name == "dualis")
    assert settings(dualis, ["gallery-beta=1,2"]) == [{"gallery_beta": 1}, {"gallery_beta": 2}]


@pytest.mark.parametrize("texts", [
    ["alpha"], ["alpha="], ["alpha=a"], ["alpha=nan"], ["alpha=inf"], ["alpha=.1,"], ["beta=1"], ["alpha=5"],
    ["neighbours=1.5"], ["alpha=1", "alpha=2"], ["=1"],
    [f"alpha={','.join(str(i / 100) for i in range(40))}", f"neighbours={','.join(map(str, range(1, 40)))}"],
])  # fmt: skip
def test_what_is_no_sweep_is_said(texts):
    with pytest.raises(UsageError):
        settings(NNN, texts)


def test_a_knob_costs_no_fit():
    fits = Counter()

    def fit_one(values):
        fits[int(values["neighbours"])] += 1
        return fitted("nnn", **values)

    tries = settings(NNN, ["alpha=.25,.5,.75", "neighbours=2,4"])
    found = list(tried(NNN, {}, tries, fit_one, turned, lambda state: state.params["alpha"]))
    assert fits == {2: 1, 4: 1} and len(found) == 6
    for one in found:
        again = fitted("nnn", **one.setting)
        assert one.state.params == again.params == {**one.setting}
        assert np.array_equal(one.state.columns["mean"], again.columns["mean"])
    assert best(found).setting == {"alpha": 0.75, "neighbours": 2}


def test_the_best_takes_off_least_and_an_end_is_said():
    def one(alpha, k, value):
        return Tried({"alpha": alpha, "neighbours": k}, None, value)

    found = [one(0.5, 4, 0.7), one(0.25, 16, 0.7), one(0.25, 4, 0.6), one(0.75, 64, 0.5)]
    chosen = best(found)
    assert chosen.setting == {"alpha": 0.25, "neighbours": 16}
    assert at_the_edge(found, chosen) == [("alpha", "low")]
    assert at_the_edge(found[:2], chosen) == []
    assert at_the_edge(found, found[3]) == [("alpha", "high"), ("neighbours", "high")]


def test_how_it_was_chosen_stays_with_the_file(tmp_path):
    from dataclasses import replace

    path = str(tmp_path / "a.npz")
    write_state(path, replace(fitted(), chosen="chosen of 9 by hit@1"))
    assert read_state(path).step.endswith(", chosen of 9 by hit@1")
    assert "chosen" not in fitted().step


def test_words_are_thousands_in_several_languages_each_once():
    assert languages()[0] == "en" and len(languages()) >= 8
    whole = everyday(languages())
    assert 3000 <= len(whole) <= 6000 and len(set(whole)) == len(whole)
    for language in languages():
        texts = everyday([language])
        assert len(texts) >= 150
        assert all(text == text.strip() and text and not re.search(r"[{}\[\];#]|  ", text) for text in texts)
    assert everyday(["de", "en"]) != everyday(["en", "de"]) and set(everyday(["de", "en"])) <= set(whole)
    assert everyday(["en"]) == everyday(["en"])
    page = (ROOT / "man/prose/mmr-fit.1.md").read_text()
    assert f"{len(whole):,} everyday queries" in page


def test_banks_by_name():
    assert named("words") == languages() and named("words:de,en,de") == ["de", "en"]
    assert named("words.npy") is None and named("./words") is None and named("bank.npy") is None
    for bad in ("words:", "words:xx", "words:en,"):
        with pytest.raises(UsageError, match="There are"):
            named(bad)


def test_a_query_that_is_among_the_words_is_no_fault():
    from mmr.normalize.apply import Correction
    from mmr.stream.records import Record

    state = fitted()
    rows, texts = state.bank.rows, [f"text {i}" for i in range(len(state.bank.rows))]
    own = bank_of_words(texts, rows, "toy#1", "the words of mmr (en)")
    assert own.keys.tolist() == [key({"text": text}) for text in texts] and own.modality == "text"
    asked = Record({"id": "q", "text": "text 3", "vector": rows[3], "model": "toy#1", "hits": []})

    def out(bank):
        from dataclasses import replace

        return list(Correction(replace(state, bank=bank)).of([Record({**asked}, None)], pytest.fail))

    assert out(own)[0]["via"][0].startswith("normalize nnn")
    with pytest.raises(BadDataError, match="too good"):
        out(own._replace(name="log.jsonl"))


def test_words_are_embedded_once_and_a_spoilt_cache_is_made_anew(tmp_path, sh):
    (tmp_path / "items.jsonl").write_text('{"text":"a red apple"}\n{"text":"the night"}\n')
    fit = "mmr fit nnn -q --index own.mmr --bank words:fr -o"
    assert (
        sh(
            f"mmr embed -q items.jsonl | mmr index -q own.mmr && export XDG_CACHE_HOME=$PWD/c && {fit} a.npz"
        ).status
        == 0
    )
    kept = list((tmp_path / "c/mmr/banks").iterdir())
    assert len(kept) == 1 and np.load(kept[0]).shape == (len(everyday(["fr"])), 256)
    kept[0].write_bytes(kept[0].read_bytes()[:-40])
    for name in "bc":
        assert sh(f"XDG_CACHE_HOME=$PWD/c {fit} {name}.npz").status == 0
    assert sh("sha256sum ?.npz | cut -c-64 | sort -u | wc -l").lines == ["1"]
    assert sh(f"XDG_CACHE_HOME=/dev/null/c {fit} d.npz").status == 0
    assert (
        sh(f"XDG_CACHE_HOME=$PWD/c {fit} e.npz --template 'a photo of {{}}' && cmp a.npz e.npz").status == 1
    )
    with np.load(tmp_path / "a.npz") as state:
        about = json.loads(state["about"].tobytes())
    assert about["bank"]["name"] == "the words of mmr (fr)" and about["bank"]["modality"] == "text"
