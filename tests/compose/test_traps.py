"""Each trap of the reference's section 7, by its number."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from mmr.compose.apply import Composer, expression, method
from mmr.compose.columns import Column
from mmr.compose.evaluate import evaluate
from mmr.errors import BadDataError, raise_item
from mmr.stream.records import Record
from tests.compose.made import found, unit, units


def query(name="q1", **bindings):
    return Record({"id": name, "bindings": {k: np.float32(v) for k, v in bindings.items()}})


def composed(chosen, *queries, **how):
    return list(Composer([("", chosen)], **how).of(list(queries), raise_item))


def test_1_each_input_is_brought_to_length_1_before_mixing():
    v, t = 10.3 * units(0, 2), 7.3 * units(1, 2)
    np.testing.assert_allclose(found("0.2*v + 0.8*t", v=v, t=t),
                               unit(0.2 * unit(v) + 0.8 * unit(t)), atol=1e-6)  # fmt: skip
    raw = found("0.2*v + 0.8*t", raw=True, v=v, t=t)
    share = 0.8 * 7.3 / (0.8 * 7.3 + 0.2 * 10.3)
    assert share == pytest.approx(0.739, abs=5e-4)
    np.testing.assert_allclose(raw, found("(1-$a)*v + $a*t", v=v, t=t, a=share), atol=1e-6)


def test_2_slerp_of_vectors_that_are_not_unit_is_no_nan():
    v, t = 10 * units(0, 2), 7 * units(1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = found("slerp(v, t, 0.8)", v=v, t=t)
    np.testing.assert_allclose(got, found("slerp(v, t, 0.8)", v=units(0, 2), t=units(1, 2)), atol=1e-6)


def test_2_slerp_near_opposites_stays_on_the_arc_and_at_them_fails_with_the_id():
    v = np.float32([[1, 0]])
    almost = np.float64([[-np.cos(0.01), np.sin(0.01)]])
    np.testing.assert_allclose(found("slerp(v, t, 0.5)", v=v, t=almost),
                               [[np.sin(0.005), np.cos(0.005)]], atol=1e-5)  # fmt: skip
    with pytest.raises(BadDataError, match="q7"):
        composed(method("slerp", {"a": 0.5}), query("q7", v=[1, 0], t_m=[-1, 0]))


def test_2_slerp_of_equal_vectors_is_that_vector():
    v = units(3, 2)
    np.testing.assert_allclose(found("slerp(v, t, 0.3)", v=v, t=v.copy()), v, atol=1e-7)


CANCELLED = [
    ("v - v", {"v": [1, 0]}),
    ("0.1*v + 0.2*v - 0.3*v", {"v": [0.6, 0.8]}),
    ("v + t_m", {"v": [0.6, 0.8], "t_m": [-0.6, -0.8]}),
    ("v + t_m", {"v": [0.6, 0.8], "t_m": [-0.6, -0.8 + 5e-8]}),
    ("t_m + u(v - v)", {"v": [1, 0], "t_m": [0, 1]}),
    ("mean(v, t_m)", {"v": [1, 0], "t_m": [-1, 0]}),
    ("0*v", {"v": [1, 0]}),
]


@pytest.mark.parametrize(("text", "named"), CANCELLED)
def test_3_what_cancels_out_is_an_error_that_names_the_id(text, named):
    with pytest.raises(BadDataError, match="q9") as caught:
        composed(expression(text), query("q9", **named))
    assert "--on-zero" in caught.value.fix


def test_3_on_zero_skip_leaves_the_query_out_and_the_others_in():
    rejected = []
    queries = [query("a", v=[1, 0], t_m=[-1, 0]), query("b", v=[1, 0], t_m=[0, 1])]
    made = list(Composer([("", method("sum"))], on_zero="skip").of(queries, rejected.append))
    assert [one["id"] for one in made] == ["b"]
    assert "cancel out" in rejected[0].what
    assert "a" in rejected[0].what


def test_3_on_zero_text_asks_with_the_words():
    made = composed(method("sum"), query("a", v=[1, 0], t_m=[-1, 0]), on_zero="text")
    np.testing.assert_array_equal(made[0]["vector"], np.float32([-1, 0]))
    assert made[0]["via"][-1].startswith("compose text")


def test_3_a_vector_of_zeros_is_a_bad_item_that_names_it():
    rejected = []
    queries = [query("a", v=[0, 0], t_m=[1, 0]), query("b", v=[1, 0], t_m=[0, 1])]
    made = list(Composer([("", method("sum"))]).of(queries, rejected.append))
    assert [one["id"] for one in made] == ["b"]
    assert rejected[0].where == "a"
    assert "v is a vector of zeros" in rejected[0].what


def test_4_the_direction_keeps_its_length():
    v, t_r = units(0, 1), units(1, 1)
    small = unit(t_r + 0.01 * units(2, 1)).astype(np.float32)
    got = found("u(v + $ai*(t_c - t_r))", v=v, t_r=t_r, t_c=small, ai=1.0)
    moved = np.linalg.norm(got - v)
    assert moved < 0.02
    np.testing.assert_allclose(got, unit(v + (small.astype(np.float64) - t_r)), atol=1e-6)


def test_7_the_reference_is_left_out_by_its_name(sh, tmp_path):
    from PIL import Image

    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (32, 32), colour).save(tmp_path / f"{name}.png")
    done = sh("mmr compose weighted --image ./a.png --text night | jq -c .exclude")
    assert done.lines == ['["a.png"]'], done.stderr
    line = "mmr embed *.png | mmr index -q p.mmr && mmr compose image --image a.png {} | mmr query p.mmr"
    assert sh(line.format("") + " --format ids").lines == ["b.png"]
    assert sh(line.format("--keep-reference") + " --format ids").lines == ["a.png", "b.png"]


def test_8_both_captions_get_one_template(sh):
    both = 'mmr compose pdv-t --caption "a cat" --edited "a dog" --template "a photo of {}" | jq -c .vector'
    written = 'mmr compose pdv-t --caption "a photo of a cat" --edited "a photo of a dog" | jq -c .vector'
    assert sh(both).lines == sh(written).lines != []


def test_two_models_never_meet_in_a_query(sh, tmp_path):
    line = (
        """echo '{"id":"a","text":"night","model":"other#1","bindings":{"v":[1,0]}}' | mmr compose weighted"""
    )
    done = sh(line)
    assert done.status == 65
    assert "other#1" in done.stderr
    assert "builtin#" in done.stderr


def test_vectors_of_different_length_are_a_bad_item():
    rejected = []
    list(Composer([("", method("sum"))]).of([query("a", v=[1, 0], t_m=[1, 0, 0])], rejected.append))
    assert "3 numbers" in rejected[0].what


def test_a_list_is_the_mean_of_its_unit_vectors():
    rows = np.concatenate([3 * units(0, 1), units(1, 1)])
    counts = np.array([2])
    node = expression("t_c").node
    got = evaluate(node, {"t_c": Column(rows, counts)}, {}, 1).vectors
    np.testing.assert_allclose(got, unit(unit(rows).mean(axis=0, keepdims=True)), atol=1e-6)


def test_9_vectors_that_are_taken_off_far_are_said(sh):
    far = "mmr compose pdv-t --at {} --caption 'a cat' --edited 'a dog' | jq -c .via[-1]"
    assert "1 of 1 take a vector off more than 0.7 times" in sh(far.format(1.8)).stderr
    assert sh(far.format(1.4)).stderr == ""


def test_10_a_bank_for_composed_queries_is_of_composed_queries(sh, tmp_path):
    from PIL import Image

    for name in ("red", "blue", "green", "yellow"):
        Image.new("RGB", (32, 32), name).save(tmp_path / f"{name}.png")
    ask = "mmr compose weighted --image {0}.png --text '{0} at night' --keep-reference"
    sh("mmr embed *.png | mmr index -q p.mmr")
    sh(f"({ask.format('red')}; {ask.format('blue')}) > composed.jsonl; {ask.format('green')} > q.jsonl")
    sh("mmr embed --text a --text b -o words.npy")
    fit = "mmr fit nnn -q --index p.mmr --bank {} -o hubs.npz --neighbours 1"
    apply = "mmr query p.mmr --from q.jsonl | mmr normalize apply hubs.npz"
    words = sh(f"{fit.format('words.npy')}; {apply}")
    assert words.status == 65
    assert "image,text" in words.stderr
    assert sh(f"{fit.format('composed.jsonl')}; {apply}").status == 0


def test_11_a_graph_is_measured_against_the_flat_search(tmp_path):
    from mmr.index import open_index, upsert
    from mmr.index.search import Wanted, search

    rows = units(5, 3000, 32)
    items = [Record({"id": f"i{i}", "vector": row}) for i, row in enumerate(rows)]
    for kind in ("flat", "hnsw:m=4,ef=8,least=8"):
        upsert(tmp_path / f"{kind[:4]}.mmr", items, reject=raise_item, kind=kind)
    named = {"v": units(6, 20, 32), "t_r": units(7, 20, 32), "t_c": units(8, 20, 32)}
    queries = [query(f"q{i}", **{name: column[i] for name, column in named.items()}) for i in range(20)]
    made = composed(method("pdv-f"), *queries)
    with open_index(tmp_path / "flat.mmr") as flat, open_index(tmp_path / "hnsw.mmr") as graph:
        true = [{hit["id"] for hit in hits} for hits in search(flat, made, Wanted(10))]
        exact = [{hit["id"] for hit in hits} for hits in search(graph, made, Wanted(10, exact=True))]
        walked = [{hit["id"] for hit in hits} for hits in search(graph, made, Wanted(10, refine=1))]
    assert exact == true
    assert 0 < np.mean([len(a & b) / 10 for a, b in zip(true, walked, strict=True)]) < 1
