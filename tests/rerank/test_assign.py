"""Assignment: the worked case, scipy's totals, capacities, laws of a stream, each trap by name."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from mmr.rerank.assign import assigned
from mmr.rerank.assign_hits import Wanted, assigned_hits
from mmr.stream.records import Record

WORKED = np.array([[0.9, 0.8], [0.85, 0.1]])


def edges_of(matrix, mask=None):
    row, column = np.nonzero(np.ones_like(matrix, bool) if mask is None else mask)
    return row, column, matrix[row, column]


def peer(matrix, mask, capacity, floor):
    """scipy over the whole matrix: columns repeated, missing far below, a column of its own a row."""
    rows = len(matrix)
    wide = np.where(mask, matrix, -1e6)
    wide = np.repeat(wide, capacity, axis=1)
    own = np.full((rows, rows), -1e6)
    np.fill_diagonal(own, floor)
    wide = np.hstack([wide, own])
    row, column = linear_sum_assignment(wide, maximize=True)
    return wide[row, column].sum()


def test_worked():
    row, column, score = edges_of(WORKED)
    found = assigned(row, column, score)
    assert score[found.edges].sum() == pytest.approx(1.65)
    assert list(zip(row[found.edges], column[found.edges], strict=True)) == [(0, 1), (1, 0)]


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 8), st.integers(1, 8), st.sampled_from([0.2, 0.5, 1.0]),
    st.sampled_from([None, -0.5, 0.0, 0.7]), st.booleans(), st.sampled_from([None, True, False]),
    st.integers(0, 10**6),
)  # fmt: skip
def test_equals_scipy(rows, columns, share, floor, many, dense, seed):
    """Both ways to solve a component, with missing pairs, capacities and a no-match score."""
    random = np.random.default_rng(seed)
    matrix = random.normal(0, 1, (rows, columns)).round(2)
    mask = random.random((rows, columns)) < share
    capacity = random.integers(0, 4, columns) if many else np.ones(columns, np.int64)
    row, column, score = edges_of(matrix, mask)
    found = assigned(row, column, score, capacity, floor, dense)
    assert len(set(row[found.edges].tolist())) == len(found.edges)
    assert (np.bincount(column[found.edges], minlength=columns) <= capacity).all()
    least = -1000.0 if floor is None else floor
    total = score[found.edges].sum() + least * (rows - len(found.edges))
    assert total == pytest.approx(peer(matrix, mask, capacity, least), abs=1e-8)
    assert floor is None or (score[found.edges] > floor).all()


def test_trap_greedy_takes_the_best_pair_and_loses():
    row, column, score = edges_of(WORKED)
    greedy = 0.9 + 0.1
    assert score[assigned(row, column, score).edges].sum() > greedy


def test_trap_a_missing_pair_is_below_every_score():
    """Of two queries that both want one item, the other gets its bad hit, never an item it did not hit."""
    row, column = np.array([0, 1, 1]), np.array([0, 0, 1])
    found = assigned(row, column, np.array([-5.0, -5.0, -9.0]))
    assert found.edges.tolist() == [0, 2]


def test_trap_components_are_solved_one_by_one():
    """5,000 pairs side by side would be a matrix of 200 MB."""
    n = 5000
    row, column = np.repeat(np.arange(n), 2), np.arange(2 * n)
    found = assigned(row, column, np.tile([0.1, 0.2], n))
    assert found.edges.tolist() == list(range(1, 2 * n, 2))
    assert (found.rows, found.columns, found.bytes) == (1, 2, 16)


def test_a_sparse_component_holds_less_than_its_matrix():
    random = np.random.default_rng(0)
    row = np.repeat(np.arange(400), 8)
    column = np.concatenate([random.choice(400, 8, replace=False) for _ in range(400)])
    score = random.random(len(row))
    found = assigned(row, column, score)
    assert found.bytes < 400 * 400 * 8 / 10
    whole = assigned(row, column, score, dense=True)
    assert score[found.edges].sum() == pytest.approx(score[whole.edges].sum(), abs=1e-9)
    assert whole.bytes == whole.rows * whole.columns * 8


def test_scipy_is_imported_only_by_an_assignment():
    line = "import sys, mmr.rerank.assign_hits, mmr.cli.rerank_joins; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def stream(table):
    return [
        Record({"id": name, "hits": [{"id": item, **(more if isinstance(more, dict) else {"score": more})}
                                     for item, more in hits.items()]})
        for name, hits in table.items()
    ]  # fmt: skip


def run(table, floor=None, capacity=lambda hit: None, explain=False, reject=pytest.fail, said=None):
    notes = [] if said is None else said
    found = list(assigned_hits(stream(table), Wanted(capacity, floor, "step", explain), reject, notes.append))
    return {record["id"]: record for record in found}


def items_of(found):
    return {name: [hit["id"] for hit in record["hits"]] for name, record in found.items()}


TABLE = {"r1": {"c1": 0.9, "c2": 0.8}, "r2": {"c1": 0.85, "c2": 0.1}, "r3": {"c1": 0.2}, "r4": {}}


def test_a_stream():
    said = []
    found = run(TABLE, explain=True, said=said)
    assert items_of(found) == {"r1": ["c2"], "r2": ["c1"], "r3": [], "r4": []}
    (hit,) = found["r1"]["hits"]
    assert (hit["prev_rank"], hit["prev_score"], float(hit["score"])) == (2, 0.8, pytest.approx(0.8))
    assert hit["why"] == "choice 2; those before it went to other queries"
    assert found["r3"]["assign"]["reason"] == "all that it wants went to other queries"
    assert found["r4"]["assign"] == {"of": 0, "reason": "it has no hits"}
    assert said[0].startswith("2 of 4 queries have an item, scores add up to 1.65. Held: 5 hits; the largest")


def test_no_match():
    found = run(TABLE, floor=0.8)
    assert items_of(found) == {"r1": ["c1"], "r2": [], "r3": [], "r4": []}
    assert found["r3"]["assign"]["reason"] == "no hit is above 0.8"


def test_trap_duplicate_items_need_capacity():
    assert items_of(run(TABLE, capacity=lambda hit: 3))["r3"] == ["c1"]
    table = {"a": {"c": {"score": 1.0}}, "b": {"c": {"score": 0.5, "stock": 2}}}
    found = run(table, capacity=lambda hit: hit.get("stock"))
    assert items_of(found) == {"a": ["c"], "b": ["c"]}


def test_a_capacity_that_is_none():
    bad = []
    table = {"a": {"c": {"score": 1.0, "stock": "many"}, "d": {"score": 0.1}}}
    assert items_of(run(table, capacity=lambda hit: hit.get("stock"), reject=bad.append)) == {"a": ["d"]}
    assert "its capacity 'many' is no whole number" in str(bad[0])


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.dictionaries(st.sampled_from("uvwxyz"), st.integers(0, 3)), max_size=6
    ),
    st.randoms(),
)
def test_the_order_of_the_stream_changes_nothing(table, random):
    table = {name: {item: float(score) for item, score in hits.items()} for name, hits in table.items()}
    names = list(table)
    random.shuffle(names)
    assert items_of(run({name: table[name] for name in names})) == items_of(run(table))


def test_bad_records_are_reported_and_the_rest_is_assigned():
    bad = []
    records = [
        *stream({"a": {"c": 0.5}}), Record({"id": "no"}), *stream({"a": {"d": 1.0}}),
        Record({"id": "nan", "hits": [{"id": "c", "score": float("nan")}]}), Record({"id": "b", "hits": []}),
    ]  # fmt: skip
    found = list(assigned_hits(records, Wanted(lambda hit: 1, None, "step"), bad.append, lambda _: None))
    assert [record["id"] for record in found] == ["a", "b"]
    assert [item.what for item in bad] == [
        "has no hits",
        "a second query with the id 'a'",
        "a hit has no score",
    ]
