"""Fusion: the reference's table, the formulas as plainly as they are printed, and each trap by name."""

from __future__ import annotations

import math

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays.scales import SCALES
from mmr.errors import BadDataError
from mmr.rerank import fuse as fusing
from mmr.rerank import fuse_write
from mmr.rerank.fuse import fuse
from mmr.rerank.fusion import WAYS
from mmr.rerank.runs import read_run
from mmr.rerank.table import FUSIONS
from mmr.rerank.table import SCALES as NAMED
from mmr.stream.trec import run_lines

A = {"q": [("x", 0.9), ("y", 0.7), ("z", 0.1)]}
B = {"q": [("y", 5), ("w", 3), ("x", 1)]}
LN2 = math.log(2)
WORKED = [
    ("rrf", None, {"y": 0.03252, "x": 0.03227, "w": 0.01613, "z": 0.01587}),
    ("combsum", None, {"y": 5.7, "w": 3, "x": 1.9, "z": 0.1}),
    ("combsum", "minmax", {"y": 1.75, "x": 1, "w": 0.5, "z": 0}),
    ("combmnz", "minmax", {"y": 3.5, "x": 2, "w": 0.5, "z": 0}),
    ("combanz", "minmax", {"y": 0.875, "x": 0.5, "w": 0.5, "z": 0}),
    ("combmax", "minmax", {"x": 1, "y": 1, "w": 0.5, "z": 0}),
    ("combmed", "minmax", {"y": 0.875, "x": 0.5, "w": 0.5, "z": 0}),
    ("combsum", "z", {"y": 1.617, "w": 0, "x": -0.244, "z": -1.373}),
    ("isr", None, {"y": 2.5, "x": 2.22222, "w": 0.25, "z": 0.11111}),
    ("log-isr", None, {"y": 0.86643, "x": 0.77016, "w": 0, "z": 0}),
    ("borda", None, {"y": 7, "x": 6, "w": 4, "z": 3}),
    ("rbc", None, {"y": 0.36, "x": 0.328, "w": 0.16, "z": 0.128}),
    ("convex", "minmax", {"y": 0.825, "x": 0.7, "w": 0.15, "z": 0}),
]
DEFAULTS = {"k": 60, "phi": 0.8}


def trec(path, run):
    """Write a run as TREC and read it again."""
    lines = [f"{query} Q0 {item} 1 {score!r} tag\n" for query, hits in run.items() for item, score in hits]
    path.write_text("".join(lines))
    return read_run(str(path))


def jsonl(path, run, **fields):
    """The same as JSONL."""
    with path.open("wb") as file:
        for query, hits in run.items():
            found = [{"id": item, **({} if score is None else {"score": score}), **fields.get(item, {})}
                     for item, score in hits]  # fmt: skip
            file.write(orjson.dumps({"id": query, "hits": found}) + b"\n")
    return read_run(str(path))


def fused(runs, method, **more):
    """Query -> item -> score, in the order in which they are written."""
    if method == "convex":
        more.setdefault("weights", np.full(len(runs), 1 / len(runs)))
    found = fuse(runs, method, **DEFAULTS, **more)
    out = {}
    for number, query in enumerate(found.queries):
        part = slice(found.start[number], found.start[number + 1])
        out[query.decode()] = dict(
            zip(found.items.take(part).texts(), found.score[part].tolist(), strict=True)
        )
    return out


@pytest.mark.parametrize(("method", "scale", "expected"), WORKED)
@pytest.mark.parametrize("kinds", [(trec, trec), (jsonl, trec), (jsonl, jsonl)])
def test_worked(tmp_path, method, scale, expected, kinds):
    runs = [kinds[0](tmp_path / "a", A), kinds[1](tmp_path / "b", B)]
    more = {"weights": np.array([0.7, 0.3])} if method == "convex" else {}
    found = fused(runs, method, scale=scale, **more)["q"]
    assert found == pytest.approx(expected, abs=1e-3 if scale == "z" else 1e-4)
    assert list(found) == sorted(found, key=lambda item: (np.float32(found[item]), item), reverse=True)


def naive(runs, method, scale, query, weights):
    """Item -> score, with a dictionary for every run and the formula for every item."""
    tables, places, sizes = [], [], []
    for run in runs:
        hits = sorted(run.get(query, []), key=lambda hit: (np.float32(hit[1]), hit[0]), reverse=True)
        scores = np.array([score for _, score in hits], np.float64)
        if scale and len(scores):
            scores = SCALES[scale](scores, scores)
        tables.append({item: float(score) for (item, _), score in zip(hits, scores, strict=True)})
        places.append({item: place for place, (item, _) in enumerate(hits, 1)})
        sizes.append(len(hits))
    union = sorted(set().union(*tables))
    out = {}
    for item in union:
        s = [table[item] for table in tables if item in table]
        r = [place[item] for place in places if item in place]
        n = len(r)
        squares = sum(1 / one**2 for one in r)
        out[item] = {
            "rrf": lambda r=r: sum(1 / (60 + one) for one in r),
            "combsum": lambda s=s: sum(s), "combmnz": lambda s=s: len(s) * sum(s),
            "combanz": lambda s=s: sum(s) / len(s), "combmax": lambda s=s: max(s),
            "combmed": lambda s=s: float(np.median(s)), "isr": lambda n=n, q=squares: n * q,
            "log-isr": lambda n=n, q=squares: math.log(n) * q,
            "log1p-isr": lambda n=n, q=squares: math.log(1 + n) * q,
            "borda": lambda item=item: sum(
                len(union) - place[item] + 1 if item in place else (len(union) - size + 1) / 2
                for place, size in zip(places, sizes, strict=True)
            ),
            "rbc": lambda r=r: sum(0.2 * 0.8 ** (one - 1) for one in r),
            "convex": lambda item=item: sum(
                weight * table[item] for weight, table in zip(weights, tables, strict=True) if item in table
            ),
        }[method]()  # fmt: skip
    return out


RUNS = st.lists(
    st.dictionaries(
        st.sampled_from(["q1", "q2", "q3"]),
        st.lists(st.tuples(st.sampled_from("abcdéf"), st.integers(1, 8).map(lambda n: n / 8)), min_size=1,
                 max_size=6, unique_by=lambda hit: hit[0]),
        min_size=1,
    ), min_size=1, max_size=4,
)  # fmt: skip


@pytest.mark.parametrize("method", FUSIONS)
@given(runs=RUNS, data=st.data())
@settings(max_examples=40, deadline=None)
def test_formulas_and_the_order_of_files(tmp_path_factory, method, runs, data):
    """Every method is its formula, and the order of the runs does not show in one bit."""
    folder = tmp_path_factory.mktemp("runs")
    scale = (
        data.draw(st.sampled_from([None, "minmax", "max", "sum", "cosine"])) if WAYS[method].scores else None
    )
    kinds = data.draw(st.lists(st.sampled_from([trec, trec]), min_size=len(runs), max_size=len(runs)))
    read = [
        kind(folder / str(number), run) for number, (kind, run) in enumerate(zip(kinds, runs, strict=True))
    ]
    weights = np.array([1.0, 2, 3, 4][: len(runs)])
    weights /= weights.sum()
    more = {"weights": weights} if method == "convex" else {}
    found = fused(read, method, scale=scale, **more)
    assert set(found) == {query for run in runs for query in run}
    for query, scores in found.items():
        expected = naive(runs, method, scale, query, weights)
        assert set(scores) == set(expected)
        for item, score in scores.items():
            assert score == pytest.approx(np.float32(expected[item]), rel=3e-7, abs=1e-10)
    order = data.draw(st.permutations(range(len(runs))))
    turned = {"weights": weights[order]} if method == "convex" else {}
    again = fused([read[number] for number in order], method, scale=scale, **turned)
    assert [(query, list(scores.items())) for query, scores in sorted(again.items())] == [
        (query, list(scores.items())) for query, scores in sorted(found.items())
    ]


@pytest.mark.parametrize("method", [name for name in FUSIONS if name not in ("convex", "combanz")])
def test_float64_before_it_is_rounded(method):
    from mmr.rerank.fusion import Cells
    from mmr.rerank.fusion import fused as scored

    generator = np.random.default_rng(1)
    rank = generator.integers(0, 9, (40, 3))
    rank[:, 0] = np.maximum(rank[:, 0], 1)
    score = np.where(rank > 0, generator.random((40, 3)), np.nan)
    cells = Cells(score, rank, np.full((40, 3), 8), np.full(40, 12))
    for row, found in enumerate(scored(cells, method, k=60, phi=0.8)):
        s = [value for value in score[row] if value == value]
        r = [int(place) for place in rank[row] if place]
        squares = sum(1 / one**2 for one in r)
        plain = {
            "rrf": sum(1 / (60 + one) for one in r), "combsum": sum(s), "combmnz": len(s) * sum(s),
            "combmax": max(s), "combmed": float(np.median(s)), "isr": len(r) * squares,
            "log-isr": math.log(len(r)) * squares, "log1p-isr": math.log(1 + len(r)) * squares,
            "borda": sum(12 - one + 1 if one else (12 - 8 + 1) / 2 for one in rank[row].tolist()),
            "rbc": sum(0.2 * 0.8 ** (one - 1) for one in r),
        }[method]  # fmt: skip
        assert found == pytest.approx(plain, rel=1e-10, abs=1e-10)


def test_trap_a_list_of_equal_scores_is_1_for_all(tmp_path):
    run = trec(tmp_path / "a", {"q": [("x", 2.0), ("y", 2.0)], "r": [("x", 3.0)]})
    assert fused([run], "combsum", scale="minmax") == {"q": {"y": 1, "x": 1}, "r": {"x": 1}}


def test_trap_a_missing_item_is_average_under_z_unless_it_counts_as_the_lowest(tmp_path):
    runs = [trec(tmp_path / "a", A), trec(tmp_path / "b", B)]
    zero = fused(runs, "combsum", scale="z")["q"]
    least = fused(runs, "combsum", scale="z", missing="min")["q"]
    assert list(zero) == ["y", "w", "x", "z"] and list(least) == ["y", "x", "w", "z"]
    lowest_of_a = (0.1 - np.mean([0.9, 0.7, 0.1])) / np.std([0.9, 0.7, 0.1])
    assert least["w"] == pytest.approx(0 + lowest_of_a, abs=1e-6)


def test_a_run_without_the_query_has_no_lowest(tmp_path):
    runs = [trec(tmp_path / "a", {"q": [("x", 0.5)]}), trec(tmp_path / "b", {"r": [("x", 0.5)]})]
    assert fused(runs, "combsum", missing="min") == {"q": {"x": 0.5}, "r": {"x": 0.5}}


def test_trap_the_last_item_under_minmax_is_like_a_missing_one(tmp_path):
    runs = [trec(tmp_path / "a", A), trec(tmp_path / "b", {"q": [("y", 5)]})]
    assert fused(runs, "combsum", scale="minmax")["q"]["z"] == 0


def test_trap_log_isr_zeroes_what_one_run_alone_has_and_log1p_isr_does_not(tmp_path):
    runs = [trec(tmp_path / "a", A), trec(tmp_path / "b", B)]
    assert fused(runs, "log-isr")["q"]["w"] == 0
    assert fused(runs, "log1p-isr")["q"]["w"] == pytest.approx(LN2 / 4)


def test_trap_runs_are_cut_to_one_depth(tmp_path):
    runs = [trec(tmp_path / "a", A), trec(tmp_path / "b", B)]
    assert set(fused(runs, "combsum", depth=1)["q"]) == {"x", "y"}
    assert fused(runs, "borda", depth=1)["q"] == pytest.approx({"x": 3, "y": 3})


def test_places_need_no_scores_and_follow_the_list(tmp_path):
    bare = jsonl(tmp_path / "a", {"q": [("z", None), ("x", None)]})
    against = jsonl(tmp_path / "b", {"q": [("z", 1), ("x", 2)]})
    assert fused([bare, against], "rrf")["q"] == pytest.approx({"z": 2 / 61, "x": 2 / 62})
    with pytest.raises(BadDataError, match="a line 1: a hit has no score"):
        fused([bare, against], "combsum")


def test_lines_of_a_query_may_stand_anywhere(tmp_path):
    (tmp_path / "a").write_text("q Q0 y 1 1 t\nr Q0 x 1 2 t\nq Q0 x 1 2 t\n")
    found = fused([read_run(str(tmp_path / "a"))], "rrf")
    assert found == {"q": pytest.approx({"x": 1 / 61, "y": 1 / 62}), "r": pytest.approx({"x": 1 / 61})}


def test_queries_keep_the_order_that_all_files_share_else_go_by_id(tmp_path):
    one = trec(tmp_path / "a", {"q2": [("x", 1)], "q1": [("x", 1)]})
    same = trec(tmp_path / "b", {"q2": [("y", 1)], "q1": [("y", 1)]})
    other = trec(tmp_path / "c", {"q1": [("y", 1)], "q3": [("y", 1)], "q2": [("y", 1)]})
    assert list(fused([one, same], "rrf")) == ["q2", "q1"]
    assert list(fused([one, other], "rrf")) == list(fused([other, one], "rrf")) == ["q1", "q2", "q3"]


@pytest.mark.parametrize(("text", "words"), [
    ("q Q0 x 1 0.5 t\nq Q0 x 2 0.4 t\n", "line 2: x came before for query q .line 1"),
    ("q Q0 x 1 nan t\n", "line 1, column 5"), ("q Q0 x 1 1e99 t\n", "not a finite float32"),
    ("q Q0 x 1\n", "line 1, column 5"), ("{\"id\":\"q\"}\n", "query q has no hits"),
    ("{\"id\":\"q\",\"hits\":[]}\n{\"id\":\"q\",\"hits\":[]}\n", "line 2: query q came before .line 1"),
    ("{\"id\":\"q\",\"hits\":[{\"id\":\"x\"},{\"id\":\"x\"}]}\n", "x came before for query q"),
    ("{\"id\":\"q\",\"hits\":[]}\nnonsense\n", "line 2"), ("{\"id\":\"q\",\"hits\":[{\"id\":7}]}\n", "hit 1"),
])  # fmt: skip
def test_a_bad_line_ends_it(tmp_path, text, words):
    (tmp_path / "a").write_text(text)
    with pytest.raises(BadDataError, match=words):
        fused([read_run(str(tmp_path / "a")), trec(tmp_path / "b", B)], "rrf")


@pytest.mark.parametrize("text", ["", "\n\n", '{"eof": true, "items": 0}\n', '{"id":"q","hits":[]}\n'])
def test_empty_runs(tmp_path, text):
    (tmp_path / "a").write_text(text)
    empty = read_run(str(tmp_path / "a"))
    assert set(fused([empty, trec(tmp_path / "b", B)], "rrf")["q"]) == {"y", "w", "x"}
    assert all(scores == {} for scores in fused([empty], "combsum", scale="minmax").values())


def test_ids_whose_hashes_are_equal_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(fusing, "hashed", lambda spans: np.zeros(len(spans), np.uint64))
    runs = [trec(tmp_path / "a", {**A, "r": A["q"]}), trec(tmp_path / "b", {**B, "r": B["q"]})]
    found = fused(runs, "rrf")
    assert found["q"] == found["r"] == pytest.approx(WORKED[0][2], abs=1e-4)


def test_lines_of_a_run_are_those_of_any_run(tmp_path):
    """Odd ids, whole numbers and tiny scores: the fast lines are the ones that the usual writer gives."""
    odd = {
        "a b": [
            ("x%y", 3),
            ("é", 2),
            ("{z", 1e-7),
            ("p", -2.5e-5),
            ("big", 1e6),
            ("t", 1234567),
            ("none", 0),
        ],
        "q": [("u", 1.0), ("\ufeffv", 0.1)],
    }
    runs = [jsonl(tmp_path / "a", odd)]
    found = fuse(runs, "combsum", scale=None)
    usual = "".join(map(run_lines, fuse_write.records(runs, found, "step")))
    assert b"".join(fuse_write.run_lines(found)).decode() == usual
    assert b"".join(fuse_write.run_lines(found, 1)).decode().count("\n") == 2


def test_records_bring_along_what_is_known(tmp_path):
    one = jsonl(tmp_path / "a", A, x={"image": "x.jpg"}, y={"image": "y.jpg"})
    other = jsonl(tmp_path / "b", B, x={"image": "other.jpg", "text": "an x"})
    for runs in ([one, other], [other, one]):
        found = fuse(runs, "rrf", k=60)
        record = next(fuse_write.records(runs, found, "rerank fuse rrf", k=2, explain=True))
        assert record["via"] == ["rerank fuse rrf"]
        hits = [{**hit, "score": float(hit["score"])} for hit in record["hits"]]
        assert hits == [
            {"id": "y", "score": pytest.approx(0.0325225, abs=1e-6), "image": "y.jpg",
             "prev_score": 5, "prev_rank": 1,
             "why": f"place 1 in {tmp_path}/b, place 2 in {tmp_path}/a"},
            {"id": "x", "score": pytest.approx(0.0322665, abs=1e-6), "image": "other.jpg", "text": "an x",
             "prev_score": 0.9, "prev_rank": 1, "why": f"place 1 in {tmp_path}/a, place 3 in {tmp_path}/b"},
        ]  # fmt: skip


def test_the_table_lists_every_method_and_scale():
    assert tuple(WAYS) == FUSIONS and set(NAMED) == set(SCALES)
