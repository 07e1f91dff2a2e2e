"""Where named vectors come from: fields, pieces of a command line, NPY files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.compose.apply import Composer, expression, method
from mmr.compose.bindings import described, numbered, piece, signed_sum, sources, typed
from mmr.compose.bulk import composed
from mmr.compose.files import Files, whole_names
from mmr.errors import BadDataError, MissingInputError, UsageError, raise_item
from mmr.stream.records import Record
from tests.compose.made import unit, units


@pytest.mark.parametrize(
    ("text", "weight", "value"),
    [
        ("red", 1, "red"), ("+red", 1, "red"), ("-blue", -1, "blue"), ("0.5:b.png", 0.5, "b.png"),
        ("-2:a dog", -2, "a dog"), (".25:x", 0.25, "x"), ("12:30 at night", 1, "12:30 at night"),
        ("-12:30", -1, "12:30"), ("3:2 aspect ratio", 3, "2 aspect ratio"), ("\\-40 C", 1, "-40 C"),
        ("\\0.5:x", 1, "0.5:x"), ("a-b", 1, "a-b"), ("a: b", 1, "a: b"), ("--x", -1, "-x"),
        ("0.5:123 dogs", 0.5, "123 dogs"),
    ],
)  # fmt: skip
def test_pieces(text, weight, value):
    assert piece(text) == (weight, value)


@given(st.text(max_size=20))
def test_any_text_is_a_piece_and_a_backslash_keeps_it(text):
    piece(text)
    assert piece("\\" + text) == (1, text)


def test_described_reads_as_it_was_typed():
    assert described([piece("red"), piece("-blue"), piece("0.5:round")]) == "red -blue +0.5:round"
    assert described([piece("-blue")]) == "-blue"


def test_lists_win_over_single_fields_and_empty_ones_do_not_count():
    record = {"image": "a.png", "captions": ["x", "y"], "caption": "z", "edited": [], "text": ""}
    found = {name: (one.kind, one.field) for name, one in sources(record).items()}
    assert found == {"v": ("image", "image"), "t_r": ("text", "captions")}


def test_typed_names_its_query_after_the_picture():
    one = typed(["a.png", "b.png"], ["x"], [], ["y", "z"], [])
    assert one == {"id": "a.png", "images": ["a.png", "b.png"], "text": "x", "edited": ["y", "z"]}


def test_a_signed_sum_is_the_sum():
    v, t = units(0, 1), units(1, 2)
    names = [*numbered("v", 1), *numbered("t_m", 2)]
    assert names == ["v", "t1", "t2"]
    from mmr.compose.columns import Column
    from mmr.compose.evaluate import evaluate

    columns = {"v": Column(v), "t1": Column(t[:1]), "t2": Column(t[1:])}
    got = evaluate(signed_sum(names, [0.5, 1, -1]), columns, {}, 1).vectors
    np.testing.assert_allclose(got, unit(0.5 * v + t[:1] - t[1:]), atol=1e-6)


def saved(tmp_path, name, rows, ids=None, **more):
    np.save(tmp_path / f"{name}.npy", rows)
    if ids is not None:
        lines = [json.dumps({"id": one, **more}) for one in ids]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return f"{name}={tmp_path / name}.npy"


def test_rows_of_bare_files_are_queries(tmp_path):
    v, t = units(0, 5), units(1, 5).astype(np.float16)
    files = Files([saved(tmp_path, "v", v), saved(tmp_path, "t_m", t)])
    queries = list(files.queries(raise_item))
    assert [one["id"] for one in queries] == list("01234")
    made = list(Composer([("", method("sum"))]).of(queries, raise_item))
    expected = unit(v + unit(t.astype(np.float64)))
    np.testing.assert_allclose(np.stack([one["vector"] for one in made]), expected, atol=1e-6)
    blocks = list(composed(method("sum"), files.each, {}, raw=False, on_zero="fail", reject=raise_item))
    np.testing.assert_allclose(np.concatenate([one.vectors for one in blocks]), expected, atol=1e-6)


def test_one_row_is_for_all_queries(tmp_path):
    v, mean = units(0, 4), 0.5 * units(1, 1)
    node = expression("centre(v, mu) + t")
    one = saved(tmp_path, "t", 2 * units(2, 1))
    files = Files([saved(tmp_path, "v", v), saved(tmp_path, "mu", mean), one], whole_names(node.node))
    assert set(files.constants) == {"mu", "t"}
    made = Composer([("", node)], constants=files.constants, explain=True).of(
        files.queries(raise_item), raise_item
    )
    expected = unit(v.astype(np.float64) - mean + units(2, 1))
    np.testing.assert_allclose(np.stack([one["vector"] for one in made]), expected, atol=1e-6)


def test_a_basis_of_several_rows_is_for_all_queries(tmp_path):
    v, basis = units(0, 3), np.eye(8, dtype=np.float32)[:2]
    node = expression("proj(v, P)")
    files = Files([saved(tmp_path, "v", v), saved(tmp_path, "P", basis)], whole_names(node.node))
    blocks = list(composed(node, files.each, files.constants, raw=False, on_zero="fail", reject=raise_item))
    projected = np.zeros_like(v)
    projected[:, :2] = v[:, :2]
    np.testing.assert_allclose(blocks[0].vectors, unit(projected), atol=1e-6)


def test_rows_of_a_pair_go_by_its_ids(tmp_path):
    t = units(1, 3)
    files = Files([saved(tmp_path, "t_m", t, ["c", "a", "b"], model="m#1")])
    records = [Record({"id": name, "bindings": {"v": units(0, 1)[0]}}) for name in "abx"]
    got = list(files.beside(records))
    np.testing.assert_array_equal(got[0]["bindings"]["t_m"], t[1])
    np.testing.assert_array_equal(got[1]["bindings"]["t_m"], t[2])
    assert "t_m" not in got[2]["bindings"]
    assert got[0]["model"] == "m#1"


def test_rows_of_a_bare_file_go_by_the_order_of_the_records(tmp_path):
    t = units(1, 3)
    files = Files([saved(tmp_path, "t_m", t)])
    got = list(files.beside(Record({"id": name}) for name in "abc"))
    np.testing.assert_array_equal([one["bindings"]["t_m"] for one in got], t)
    for count, said in ((2, "there are 2 queries"), (4, "there are more than 3 queries")):
        with pytest.raises(BadDataError, match=said):
            list(files.beside(Record({"id": str(i)}) for i in range(count)))


def test_files_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(BadDataError, match="different lengths"):
        list(
            Files([saved(tmp_path, "v", units(0, 3)), saved(tmp_path, "t", units(1, 4))]).queries(raise_item)
        )
    with pytest.raises(BadDataError, match="different lengths"):
        files = Files([saved(tmp_path, "v", units(0, 3)), saved(tmp_path, "t", units(1, 4))])
        list(composed(expression("v + t"), files.each, {}, raw=False, on_zero="fail", reject=raise_item))
    with pytest.raises(BadDataError, match=r"v\.npy ends after 3 records, and .*t\.npy goes on"):
        pairs = (
            saved(tmp_path, "v", units(0, 3), list("abc")),
            saved(tmp_path, "t", units(1, 4), list("abcd")),
        )
        list(Files(pairs).queries(raise_item))
    with pytest.raises(BadDataError, match="9 numbers"):
        files = Files([saved(tmp_path, "v", units(0, 3)), saved(tmp_path, "t", units(1, 3, 9))])
        list(composed(expression("v + t"), files.each, {}, raw=False, on_zero="fail", reject=raise_item))
    with pytest.raises(BadDataError, match="m#2"):
        files = Files([saved(tmp_path, "v", units(0, 2), "ab", model="m#1"),
                       saved(tmp_path, "t", units(1, 2), "ab", model="m#2")])  # fmt: skip
        list(files.queries(raise_item))
    with pytest.raises(MissingInputError, match="does not exist"):
        Files([f"v={tmp_path}/none.npy"])
    for text in ("v", "v=a.txt", "=a.npy", "a b=c.npy"):
        with pytest.raises(UsageError, match=r"NAME=FILE\.npy"):
            Files([text])
    with pytest.raises(UsageError, match="bound twice"):
        Files([saved(tmp_path, "v", units(0, 2))] * 2)


def test_rows_that_cannot_be_composed_are_named(tmp_path):
    v = units(0, 700)
    v[600], v[650, 3] = 0, np.nan
    text = saved(tmp_path, "v", v)
    node = method("image")
    with pytest.raises(BadDataError, match="row 600"):
        list(composed(node, Files([text]).each, {}, raw=False, on_zero="skip", reject=raise_item))
    v[600] = -units(1, 1)[0]
    other = units(1, 1).repeat(700, axis=0)
    texts = [saved(tmp_path, "v", v), saved(tmp_path, "t_m", other)]
    rejected = []
    blocks = list(composed(method("sum"), Files(texts).each, {}, raw=False, on_zero="skip",
                           reject=rejected.append))  # fmt: skip
    assert [item.record["id"] for item in rejected] == ["600", "650"]
    assert "cancel out" in rejected[0].what
    rows = np.concatenate([one.rows for one in blocks]).tolist()
    assert rows == [row for row in range(700) if row not in (600, 650)]
    with pytest.raises(BadDataError, match="600"):
        list(
            composed(method("sum"), Files(texts).each, {}, raw=False, on_zero="fail", reject=rejected.append)
        )
