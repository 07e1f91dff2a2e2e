"""The rows of `make builtin-eval`: what `mmr eval` says of them is what a loop says."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with the extras clip and train")

from mmr.encoders.builtin.text import unit
from mmr.encoders.builtin.training import measure
from mmr.encoders.builtin.training.measure import Row
from mmr.encoders.builtin.training.sources import Drawing


def some(groups=()):
    rng = np.random.default_rng(8)
    asked, answers = (unit(rng.normal(size=(n, 5)).astype(np.float32)) for n in (30, 40))
    right = [sorted(rng.choice(40, 2, replace=False).tolist()) for _ in range(30)]
    return Row("Some row, a", asked, answers, right, {"hit@1": 0.01, "hit@10": float("nan")}, groups)


def hits(row, depth):
    order = np.argsort(-(row.asked @ row.answers.T), axis=1)[:, :depth].tolist()
    return np.array([bool(set(best) & set(right)) for best, right in zip(order, row.right, strict=True)])


def test_figures_are_those_of_a_loop(tmp_path):
    row = some()
    found = measure.evaluated(row, tmp_path)
    for name, depth in (("hit@1", 1), ("hit@10", 10)):
        value, low, high = found[name]
        assert value == pytest.approx(hits(row, depth).mean())
        assert low <= value <= high


def test_groups_give_the_mean_of_means(tmp_path):
    groups = ["one"] * 10 + ["other"] * 20
    row = some(groups)
    value, low, _ = measure.evaluated(row, tmp_path)["hit@10"]
    expected = [hits(row, 10)[np.array(groups) == group].mean() for group in ("one", "other")]
    assert value == pytest.approx(np.mean(expected))
    assert np.isnan(low)


def test_what_is_hidden_is_never_an_answer():
    row = some()
    best = [answers[0] for answers in row.ranked()]
    row.hidden = best
    for first, answers in zip(best, row.ranked(), strict=True):
        assert first not in answers
        assert len(answers) == 10


def test_figures_are_shown_and_kept(tmp_path, capsys):
    measure.show(some(), tmp_path)
    shown = capsys.readouterr().out
    assert "Some row, a" in shown
    assert "0.01 " in shown
    kept = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    assert [record["measure"] for record in kept] == ["hit@1", "hit@10"]
    assert "wanted" in kept[0]
    assert "wanted" not in kept[1]


def test_drawings_of_one_name_are_one_question():
    drawings = [Drawing("s", str(i), name, (), True) for i, name in enumerate(["cat", "dog", "cat"])]
    assert measure.by_name(drawings) == {"cat": [0, 2], "dog": [1]}
