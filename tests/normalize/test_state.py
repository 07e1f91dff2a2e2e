"""The fitted file: what is written is read, and nothing else is believed."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, MissingInputError, OutputError, UsageError
from mmr.normalize.advice import advice
from mmr.normalize.bank import Bank, digest, read_bank
from mmr.normalize.fit import Gallery, fit
from mmr.normalize.state import State, read_state, write_state
from mmr.normalize.table import METHODS, checked, method
from tests.normalize.made import blocks_of, unit

NAMES = [row.name for row in METHODS]
TWO = {row.name for row in METHODS if row.banks == 2}


def bank_of(seed: int, m: int = 9, d: int = 6, model: str | None = "toy#1") -> Bank:
    rows = unit(seed, m, d, dtype=np.float32)
    return Bank(rows, np.arange(m, dtype=np.uint64), model, "text", "bank.npy", digest(rows))


def gallery_of(seed: int, n: int = 14, d: int = 6) -> Gallery:
    rows = unit(seed, n, d, dtype=np.float32)
    return Gallery([f"g{i}" for i in range(n)], blocks_of(rows, 5), d, "toy#1", "pics.mmr")


def fitted(name: str = "nnn", **params: float) -> State:
    items = bank_of(3) if name in TWO else None
    return fit(name, params, gallery_of(1), bank_of(2), items)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read(name, tmp_path):
    state = fitted(name)
    write_state(str(tmp_path / "a.npz"), state)
    found = read_state(str(tmp_path / "a.npz"))
    for field in ("row", "params", "model", "dim", "ids", "gallery", "step"):
        assert getattr(found, field) == getattr(state, field)
    for arrays in ("columns", "learned"):
        one, two = getattr(found, arrays), getattr(state, arrays)
        assert one.keys() == two.keys()
        assert all(np.array_equal(one[key], two[key]) for key in one)
    assert np.array_equal(found.bank.rows, state.bank.rows)
    assert (found.items is None) == (state.items is None)


def test_the_same_state_gives_the_same_bytes_and_needs_no_pickle(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_state(str(tmp_path / name), fitted())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        about = json.loads(archive["about"].tobytes())
        assert set(archive) >= {"about", "ids", "bank.rows", "column.mean"}
    assert about["method"] == "nnn" and about["model"] == "toy#1" and about["versions"]["mmr"]
    assert about["bank"] == {"name": "bank.npy", "rows": 9, "modality": "text",
                             "digest": fitted().bank.digest}  # fmt: skip


def test_a_file_that_cannot_be_made_leaves_nothing(tmp_path):
    with pytest.raises(OutputError):
        write_state(str(tmp_path / "missing" / "a.npz"), fitted())
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_an_error_in_words_or_the_same_state(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "a.npz"
    name = data.draw(st.sampled_from(["nnn", "dualdis", "mp"]))
    write_state(str(path), fitted(name))
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    try:
        found = read_state(str(path))
    except BadDataError as error:
        assert "mmr fit" in str(error)
    else:
        assert found.params == fitted(name).params
        assert all(np.array_equal(found.columns[key], fitted(name).columns[key]) for key in found.columns)


def changed(tmp_path, **arrays) -> str:
    """A file whose arrays (named with _ for .) are others; its checksums are right, its sense is not."""
    path = tmp_path / "changed.npz"
    write_state(str(path), fitted())
    with np.load(path) as archive:
        whole = dict(archive)
    whole |= {name.replace("_", "."): value for name, value in arrays.items()}
    np.savez(path, **whole)
    return str(path)


def about(**fields) -> np.ndarray:
    base = {"format": 1, "method": "nnn", "params": {"neighbours": 16, "alpha": 0.5}, "model": "toy#1",
            "dim": 6, "gallery": {"name": "pics.mmr"}, "items": None,
            "bank": {"name": "b", "modality": "text", "digest": bank_of(2).digest}}  # fmt: skip
    return np.frombuffer(json.dumps({**base, **fields}).encode(), np.uint8)


HOSTILE = {
    "another format": {"about": about(format=2)},
    "an unknown method": {"about": about(method="evil")},
    "a parameter out of range": {"about": about(params={"alpha": 99})},
    "a parameter of another method": {"about": about(params={"beta": 1})},
    "a parameter that is no number": {"about": about(params={"alpha": []})},
    "a dimension of words": {"about": about(dim="6")},
    "another dimension": {"about": about(dim=7)},
    "another bank": {"about": about(bank={"name": "b", "modality": "text", "digest": "00000000"})},
    "no bank": {"about": about(bank=None)},
    "no JSON": {"about": np.zeros(9, np.uint8)},
    "a list": {"about": np.frombuffer(b"[]", np.uint8)},
    "ids of numbers": {"ids": np.frombuffer(json.dumps(list(range(14))).encode(), np.uint8)},
    "ids twice": {"ids": np.frombuffer(json.dumps(["a"] * 14).encode(), np.uint8)},
    "too few ids": {"ids": np.frombuffer(json.dumps(["a"]).encode(), np.uint8)},
    "a column too short": {"column_mean": np.zeros(3)},
    "a column of NaN": {"column_mean": np.full(14, np.nan)},
    "a column of integers": {"column_mean": np.zeros(14, np.int64)},
    "another method's columns": {"about": about(method="is", params={"beta": 20})},
    "what a method learned is gone": {"about": about(method="gc", params={"alpha": 1})},
    "a bank of float64": {"bank_rows": np.zeros((9, 6))},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_makes_no_sense_is_said(name, tmp_path):
    with pytest.raises(BadDataError, match="is no file that `mmr fit` wrote"):
        read_state(changed(tmp_path, **HOSTILE[name]))


def test_pickles_compression_and_other_files_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, about=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadDataError):
        read_state(str(path))
    np.savez_compressed(path, about=about())
    with pytest.raises(BadDataError, match="compressed"):
        read_state(str(path))
    path.write_bytes(b"")
    with pytest.raises(BadDataError):
        read_state(str(path))
    with pytest.raises(MissingInputError):
        read_state(str(tmp_path / "absent.npz"))
    with pytest.raises(MissingInputError):
        read_state(str(tmp_path))


def test_a_header_that_promises_a_terabyte_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    header = BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.npy", header.getvalue())
    with pytest.raises(BadDataError, match="size"):
        read_state(str(path))


def test_fit_refuses_what_does_not_belong_together():
    good = gallery_of(1)
    rows = np.concatenate(list(good.blocks()))
    own = Bank(rows[:4], np.zeros(4, np.uint64), "toy#1", "image", "own", "")
    near = own._replace(rows=unit(0, 1, 6, dtype=np.float32) * 0 + rows[:1] + np.float32(1e-4))
    cases = [
        (BadDataError, "toy#2", ("nnn", {}, good, bank_of(2, model="toy#2"))),
        (BadDataError, "5 dimensions", ("nnn", {}, good, bank_of(2, d=5))),
        (BadDataError, "4 of 14 items", ("nnn", {}, good, own)),
        (BadDataError, "1 of 1 vectors", ("dualis", {}, good, bank_of(2), near)),
        (BadDataError, "no items", ("nnn", {}, good._replace(ids=[]), bank_of(2))),
        (UsageError, "also takes a bank of items", ("dualis", {}, good, bank_of(2))),
        (UsageError, "takes no bank of items", ("nnn", {}, good, bank_of(2), bank_of(3))),
        (UsageError, "must be a number", ("nnn", {"alpha": 9}, good, bank_of(2))),
    ]
    for error, words, arguments in cases:
        with pytest.raises(error, match=words):
            fit(*arguments)
    rounded = own._replace(rows=unit(1, 14, 6, dtype=np.float32)[:4].astype(np.float16).astype(np.float32))
    with pytest.raises(BadDataError, match="4 of 14 items"):
        fit("nnn", {}, good, rounded)
    assert fit("nnn", {}, good, own, force=True).columns["mean"].shape == (14,)


def test_vectors_with_which_nothing_can_be_computed_are_said():
    rows = unit(1, 4, 6, dtype=np.float32)
    rows[2, 1] = np.nan
    gallery = Gallery(list("abcd"), blocks_of(rows, 2), 6, "toy#1", "pics.mmr")
    with pytest.raises(BadDataError, match="no finite number"):
        fit("nnn", {}, gallery, bank_of(2))


def test_banks_are_read_whole_or_not_at_all(tmp_path):
    path = tmp_path / "bank.jsonl"
    path.write_text('{"id":"a","text":"x","model":"m#1","vector":[3,4]}\n'
                    '{"id":"b","image":"y.png","model":"m#1","vector":[0,1]}\n')  # fmt: skip
    bank = read_bank(str(path))
    assert bank.rows == pytest.approx(np.array([[0.6, 0.8], [0, 1]]))
    assert (bank.model, bank.modality, bank.name) == ("m#1", "mixed", "bank.jsonl")
    assert len(set(bank.keys.tolist())) == 2 and bank.source.startswith("2 queries of bank.jsonl#")
    bad = {
        '{"id":"c","text":"x"}': "no vector",
        '{"id":"c","vector":[0,0]}': "zeros",
        '{"id":"c","vector":[1,2,3]}': "3 numbers",
        '{"id":"c","model":"m#2","vector":[1,2]}': "m#2",
    }
    for line, words in bad.items():
        path.write_text('{"id":"a","model":"m#1","vector":[3,4]}\n' + line + "\n")
        with pytest.raises(BadDataError, match=words):
            read_bank(str(path))
    path.write_text("")
    with pytest.raises(BadDataError, match="no records"):
        read_bank(str(path))


def test_settings_that_hurt_are_said_with_figures():
    def said(name, bank=5000, shipped=False, **params):
        row, _ = method(name)
        return " ".join(advice(row, checked(row, params), bank, shipped))

    assert said("nnn") == said("csls") == said("gc") == said("is") == said("nicdm") == ""
    assert "small" in said("nnn", 20) and "1 query is" in said("nnn", 1)
    assert "0.4 points" in said("nnn", alpha=0.75, neighbours=128) and "above 1" in said("nnn", alpha=1.5)
    assert "which is gc" in said("nnn", 8) and "3.9 points" in said("gc", alpha=1)
    assert "7.8" in said("is", 250, beta=100) and said("is", beta=100) == ""
    assert "24.1" in said("dualis", gallery_beta=20) and "5.0 points" in said("zscore")
    assert "6.4 points" in said("sinkhorn", 250) and said("sinkhorn") == ""
    assert "words:en" in said("nnn", shipped=True)
    assert said("nnn", shipped=True, alpha=0.25, neighbours=8) == ""
