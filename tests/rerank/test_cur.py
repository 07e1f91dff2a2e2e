"""CUR guesses: exact where the scorer has low rank, naive formulas, rounds and budgets, each trap by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmr.errors import BadDataError, UsageError
from mmr.rerank.apply import reranked
from mmr.rerank.approximate import cur, ridge, shares
from mmr.rerank.method import Tools
from mmr.rerank.table import find
from mmr.stream.records import Record
from tests.rerank.test_model import Fake

ROW = find("cur")


def low_rank(items=60, anchors=12, rank=3, seed=0):
    """(scores of the items for anchor queries (a, m), for one more query (m,)) of one matrix of low rank."""
    random = np.random.default_rng(seed)
    about = random.normal(size=(rank, items))
    return random.normal(size=(anchors, rank)) @ about, random.normal(size=rank) @ about


def test_a_matrix_of_rank_three_is_reproduced():
    anchors, truth = low_rank()
    chosen = np.array([0, 7, 21, 40])
    assert cur(anchors, chosen, truth[chosen]) == pytest.approx(truth, abs=1e-10)


def naive_cur(anchors, chosen, values, cut):
    """v pinv(R[:, C]) R by the singular values written out."""
    u, s, vt = np.linalg.svd(anchors[:, chosen], full_matrices=False)
    guess = np.zeros(anchors.shape[1])
    for number, value in enumerate(s):
        if value >= cut * s[0]:
            guess += (values @ vt[number]) / value * (u[:, number] @ anchors)
    return guess


def test_cur_is_the_formula():
    random = np.random.default_rng(1)
    for _ in range(20):
        anchors, values = random.normal(size=(8, 30)), random.normal(size=6)
        chosen = random.choice(30, 6, replace=False)
        expected = naive_cur(anchors, chosen, values, 1e-2)
        assert cur(anchors, chosen, values) == pytest.approx(expected, abs=1e-10)


def test_trap_small_singular_values_must_be_cut():
    """Noise of a thousandth in the scorer: with every singular value the guesses are far off."""
    anchors, truth = low_rank(anchors=15)
    random = np.random.default_rng(2)
    anchors = anchors + random.normal(0, 1e-3, anchors.shape)
    chosen = np.arange(0, 60, 4)
    noisy = truth[chosen] + random.normal(0, 1e-3, len(chosen))
    wrong = np.abs(cur(anchors, chosen, noisy, cut=1e-12) - truth).max()
    right = np.abs(cur(anchors, chosen, noisy) - truth).max()
    assert right < 0.02
    assert wrong > 3 * right


def test_ridge_is_the_formula_in_both_forms():
    random = np.random.default_rng(3)
    vectors = random.normal(size=(30, 8))
    for count in (3, 8, 20):
        chosen = random.choice(30, count, replace=False)
        values = random.normal(size=count)
        few, mean = vectors[chosen], values.mean()
        w = np.linalg.inv(few.T @ few + np.eye(8)) @ few.T @ (values - mean)
        assert ridge(vectors, chosen, values) == pytest.approx(vectors @ w + mean, abs=1e-10)


def test_trap_an_unlike_item_is_guessed_as_usual_and_not_as_zero():
    """Log-probabilities are below 0: an item that nothing is known of must not come first by that."""
    vectors = np.array([[1.0, 0], [0.9, 0.1], [0, 0]])
    values = np.array([-5.0, -6.0])
    found = ridge(vectors, np.array([0, 1]), values)
    assert found[2] == pytest.approx(-5.5)
    assert ridge(vectors, np.array([0, 1]), values + 100) == pytest.approx(found + 100, abs=1e-9)


def test_budgets():
    assert (shares(40, 1), shares(10, 3), shares(1, 1)) == ([20, 20], [3, 3, 2, 2], [1, 0])


def test_calls_go_to_the_first_hits_and_then_to_the_best_guesses(anchors):
    file, truth = anchors
    scorer = truthful(truth)
    run(scorer, 100, anchors=file, budget=10, rounds=1)
    asked = [int(request["id"][1:]) for request in scorer.asked]
    assert asked[:5] == [0, 1, 2, 3, 4]
    rest = sorted(range(5, 100), key=lambda place: -truth[place])
    assert asked[5:] == rest[:5], "of rank 3, five scores tell all others"


@pytest.fixture
def anchors(tmp_path):
    """A file of anchor queries, and the true scores of one more."""
    matrix, truth = low_rank(items=100)
    file = tmp_path / "anchors.jsonl"
    rows = [
        {"id": f"a{row}", "hits": [{"id": f"i{place}", "score": score} for place, score in enumerate(scores)]}
        for row, scores in enumerate(matrix.tolist())
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file), truth


def run(answer, items, tools=None, bad=None, explain=False, **values):
    scorer = answer if isinstance(answer, Fake) else Fake(answer)
    hits = [{"id": f"i{place}", "score": 1 - place / 1000} for place in range(items)]
    record = Record({"id": "q", "text": "words", "hits": hits})
    tools = Tools(scorer=scorer, note=print, **(tools or {}))
    found = list(reranked([record], ROW, values, tools=tools, explain=explain,
                          reject=pytest.fail if bad is None else bad.append))  # fmt: skip
    return found[0] if found else None


def truthful(truth):
    return Fake(lambda request: {"score": float(truth[int(request["id"][1:])])})


def ids(found):
    return [int(hit["id"][1:]) for hit in found["hits"]]


@pytest.mark.parametrize("rounds", [1, 4])
def test_the_best_is_found_with_a_fifth_of_the_calls(anchors, rounds):
    file, truth = anchors
    scorer = truthful(truth)
    found = run(scorer, 100, anchors=file, budget=20, rounds=rounds)
    assert len(scorer.asked) == 20
    assert len({request["id"] for request in scorer.asked}) == 20
    best = np.argsort(-truth).tolist()
    assert ids(found)[:10] == best[:10]
    scores = [float(hit["score"]) for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert found["cur"] == {"calls": 20, "of": 100, "unknown": 0}
    for hit in found["hits"][20:]:
        assert hit["guess"] == pytest.approx(truth[int(hit["id"][1:])], abs=1e-9)
    assert all("guess" not in hit for hit in found["hits"][:20])


def test_scored_hits_come_before_guessed_ones(anchors):
    file, truth = anchors
    scorer = truthful(truth)
    found = run(scorer, 100, anchors=file, budget=10)
    assert {f"i{place}" for place in ids(found)[:10]} == {request["id"] for request in scorer.asked}


def test_a_budget_for_all_gives_the_order_of_the_scorer(anchors):
    file, truth = anchors
    assert ids(run(truthful(truth), 100, anchors=file, budget=200)) == np.argsort(-truth).tolist()


def test_guesses_from_vectors():
    random = np.random.default_rng(5)
    vectors = random.normal(size=(100, 6))
    truth = vectors @ random.normal(size=6)
    scorer = truthful(truth)
    tools = {"vectors_of": lambda lists: [vectors[[int(name[1:]) for name in names]] for names in lists]}
    found = run(scorer, 100, tools, budget=30, explain=True)
    assert ids(found)[:5] == np.argsort(-truth)[:5].tolist()
    assert len(scorer.asked) == 30
    assert found["hits"][0]["why"].startswith("the model says")
    assert found["hits"][50]["why"].endswith("from 30 scores")


def test_items_that_no_anchor_knows_follow(anchors):
    file, truth = anchors
    longer = np.append(truth, [99.0] * 5)
    found = run(truthful(longer), 105, anchors=file, budget=20, explain=True)
    assert ids(found)[-5:] == [100, 101, 102, 103, 104]
    assert found["cur"]["unknown"] == 5
    assert found["hits"][-1]["why"] == "nothing is known of it"


def test_a_hit_without_a_score_keeps_its_place(anchors):
    file, truth = anchors
    bad = []
    scorer = Fake(lambda r: "too dark" if r["id"] == "i0" else {"score": float(truth[int(r["id"][1:])])})
    found = run(scorer, 100, bad=bad, anchors=file, budget=20)
    assert ids(found)[0] == 0
    assert [str(item) for item in bad] == ["q, hit i0: too dark; it keeps its place"]
    assert sorted(ids(found)) == list(range(100))


def test_a_scorer_that_answers_nothing(anchors):
    bad = []
    found = run(lambda request: "busy", 100, bad=bad, anchors=anchors[0], budget=20)
    assert ids(found) == list(range(100))
    assert len(bad) == 1


def test_a_hit_that_the_index_has_not():
    bad = []
    assert run(lambda r: {"score": 1}, 3, {"vectors_of": lambda lists: ["i1"]}, bad) is None
    assert "the hit i1 is not in the index" in str(bad[0])


def test_wrong_options_and_files(tmp_path, anchors):
    with pytest.raises(UsageError, match="Name --anchors FILE, or the index"):
        run(lambda request: {"score": 1}, 3)
    with pytest.raises(UsageError, match="--prompt means nothing to --method score"):
        run(lambda request: {"score": 1}, 3, anchors=anchors[0], prompt="yes-no")
    with pytest.raises(UsageError, match="needs a program or a server"):
        list(reranked([], ROW, {"anchors": anchors[0]}, tools=Tools(), reject=pytest.fail))
    apart = tmp_path / "apart.run"
    apart.write_text("a1 Q0 x 1 0.5 t\na2 Q0 y 1 0.5 t\n")
    with pytest.raises(BadDataError, match="no item that all of its 2 queries scored"):
        run(lambda request: {"score": 1}, 3, anchors=str(apart))
