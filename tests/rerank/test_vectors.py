"""Methods from vectors in the frame: what changes nothing, and each trap of the reference by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import UsageError
from mmr.rerank import diffusion, profile, superglobal
from mmr.rerank.expansion import augmented, overlap
from mmr.rerank.method import Tools
from mmr.stream.order import ranked
from tests.rerank.made import Q, T, ids, record, rerank, scores, unit

EVERY = ("superglobal", "aqe", "alpha-qe", "dba", "rocchio", "prf", "k-reciprocal", "diffusion", "diversify")
NEUTRAL = [("aqe", {"n": 0}), ("alpha-qe", {"n": 0}), ("prf", {"n": 0}), ("rocchio", {"n": 0}),
           ("dba", {"neighbours": 0}), ("k-reciprocal", {"lambda": 1}), ("diffusion", {"blend": 0}),
           ("diversify", {"lambda": 1})]  # fmt: skip


def queries(count=5, m=12, d=6):
    return [record(unit(seed, d), unit(seed + 50, m, d), name=f"q{seed}") for seed in range(count)]


@pytest.mark.parametrize(("name", "values"), NEUTRAL)
def test_neutral_parameters_keep_order_and_scores(name, values):
    before = queries()
    after = rerank(queries(), name, **values)
    assert [ids(one) for one in after] == [ids(one) for one in before]
    assert [scores(one) for one in after] == [scores(one) for one in before]


@pytest.mark.parametrize("name", EVERY)
def test_depth_0_keeps_order_and_scores(name):
    before = queries()
    after = rerank(queries(), name, depth=0)
    assert [(ids(one), scores(one)) for one in after] == [(ids(one), scores(one)) for one in before]


@pytest.mark.parametrize("name", EVERY)
def test_shuffled_candidates_change_nothing(name):
    before = rerank(queries(), name)
    shuffled = queries()
    for place, one in enumerate(shuffled):
        np.random.default_rng(place).shuffle(one["hits"])
    after = rerank(shuffled, name)
    assert [(ids(one), scores(one)) for one in after] == [(ids(one), scores(one)) for one in before]


@pytest.mark.parametrize("name", EVERY)
def test_batch_mates_change_nothing(name):
    together = rerank(queries(), name)
    alone = [rerank(one, name) for one in queries()]
    assert [(ids(one), scores(one)) for one in together] == [(ids(one), scores(one)) for one in alone]


@pytest.mark.parametrize("name", EVERY)
def test_every_hit_comes_back_and_says_where_it_was(name):
    for before, after in zip(queries(), rerank(queries(), name, depth=7), strict=True):
        was = {hit["id"]: (hit["score"], rank) for rank, hit in enumerate(before["hits"], 1)}
        assert sorted(ids(after)) == sorted(was)
        assert {hit["id"]: (hit["prev_score"], hit["prev_rank"]) for hit in after["hits"]} == was
        assert ids(after)[7:] == ids(before)[7:]
        ordered = sorted(after["hits"], key=lambda hit: (np.float32(hit["score"]), hit["id"]), reverse=True)
        assert ordered == after["hits"]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("m", [0, 1, 2])
def test_short_lists(name, m):
    found = rerank(record(unit(1, 4), unit(2, m, 4).reshape(m, 4)), name)
    assert len(found["hits"]) == m and np.isfinite(scores(found)).all()


@pytest.mark.parametrize("name", EVERY)
def test_every_method_explains_each_hit(name):
    found = rerank(queries(1)[0], name, explain=True)
    assert all(0 < len(hit["why"]) < 120 for hit in found["hits"])
    assert all("why" not in hit for hit in rerank(queries(1)[0], name)["hits"])


def test_trap_a_duplicate_is_not_taken_for_the_item_itself():
    """Three copies of a hit: each pools itself with weight 1 and a copy with beta, whatever argsort says."""
    x = np.repeat(unit(3, 1, 5), 3, axis=0)
    found = superglobal.superglobal(unit(4, 5), x, neighbours=1)
    assert all(place in near for place, near in enumerate(found.neighbours.tolist()))
    assert found.scores == pytest.approx(np.full(3, found.scores[0]), abs=1e-12)


def test_neighbours_that_tie_are_the_first_in_the_list():
    """Four copies of one hit and room for two neighbours: the lower places, and always themselves."""
    x = np.vstack([np.repeat(unit(3, 1, 8), 4, axis=0), unit(4, 6, 8)]).astype(np.float32)
    found = superglobal.nearest(x, 3)
    assert [set(row) for row in found[:4].tolist()] == [{0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 1, 3}]
    everyone = superglobal.nearest(np.repeat(x[:1], 5, axis=0), 2)
    assert [set(row) for row in everyone.tolist()] == [{0, 1}, {0, 1}, {0, 2}, {0, 3}, {0, 4}]


def test_trap_fewer_hits_than_neighbours_uses_all():
    q, x = unit(1, 5), unit(2, 4, 5)
    assert (superglobal.superglobal(q, x, 9).scores == superglobal.superglobal(q, x, 3).scores).all()


def test_trap_a_neighbour_of_negative_cosine_weighs_nothing():
    x = np.array([[1.0, 0], [-1, 0]])
    found = superglobal.superglobal(np.array([1.0, 0]), x, neighbours=1)
    assert found.first.tolist() == [1, -1]


def test_trap_refined_vectors_are_not_brought_to_length_1():
    found = superglobal.superglobal(Q, T, neighbours=1)
    assert found.scores.max() == pytest.approx(1.03397, abs=1e-4)


def test_trap_the_maximum_depends_on_the_axes():
    """Turned vectors have the same cosines; superglobal scores them otherwise, diffusion does not."""
    q, x = unit(1, 5), unit(2, 8, 5)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))[0]
    assert diffusion.diffused(q @ turn, x @ turn) == pytest.approx(diffusion.diffused(q, x), abs=1e-12)
    found, turned = superglobal.superglobal(q, x, 3), superglobal.superglobal(q @ turn, x @ turn, 3)
    assert turned.first == pytest.approx(found.first, abs=1e-12)
    assert np.abs(turned.second - found.second).max() > 0.01


def test_float32_is_near_float64():
    q, x = unit(1, 64), unit(2, 100, 64)
    exact = superglobal.superglobal(q, x).scores
    assert superglobal.superglobal(q.astype(np.float32), x.astype(np.float32)).scores == pytest.approx(
        exact, abs=1e-5
    )


@pytest.mark.parametrize("name", ["superglobal", "aqe", "prf", "k-reciprocal", "dba", "diffusion", "rocchio"])
def test_trap_words_against_pictures_are_warned_of_once(name):
    lines: list[str] = []
    some = queries(3, m=45)
    for one in some:
        one["text"] = "a red apple"
        for hit in one["hits"]:
            hit["image"] = f"{hit['id']}.jpg"
    rerank(some, name, tools=Tools(note=lines.append))
    assert len(lines) == 1 and name in lines[0] and "words" in lines[0]
    some = queries(3, m=45)
    for one in some:
        one["image"] = "mine.jpg"
        for hit in one["hits"]:
            hit["image"], hit["text"] = f"{hit['id']}.jpg", "its caption"
    rerank(some, name, tools=Tools(note=lines.append))
    assert len(lines) == 1


def test_hits_of_a_run_are_looked_up_in_the_index():
    """A run says nothing of its items; queries that ask with pictures first do not hide those with words."""
    lines: list[str] = []
    asked: list[list[str]] = []

    def fields_of(names, fields):
        asked.append(list(names))
        return [None, *({"image": f"{name}.jpg"} for name in names[1:])]

    some = queries(3, m=45)
    some[0]["image"] = "mine.jpg"
    some[1]["text"] = some[2]["text"] = "a red apple"
    rerank(some, "superglobal", tools=Tools(note=lines.append, fields_of=fields_of))
    assert len(lines) == 1 and len(asked) == 1 and len(asked[0]) == 10


def test_trap_more_feedback_drifts_and_is_taken_back():
    """Behind eight hits on all sides of the query lies a crowd: feedback of all moves to it."""
    q = np.eye(16)[0]
    near = [0.8 * q + 0.6 * np.eye(16)[1 + i] for i in range(8)]
    crowd = [0.5 * q + 0.8 * np.eye(16)[10] + np.sqrt(0.11) * np.eye(16)[11 + i % 4] for i in range(12)]
    x = np.array([*near, *crowd])
    free = rerank(record(q, x), "prf", n=20, guard="none", a=0.01, b=1)
    held = rerank(record(q, x), "prf", n=20, guard="overlap", a=0.01, b=1, overlap=0.8)

    def shared(found):
        new = dict(zip(ids(found), scores(found), strict=True))
        return overlap([new[f"x{i}"] for i in range(1, 21)], x @ q)

    assert shared(free) < 0.5 and shared(held) >= 0.8
    assert "drifted" in held["via"][-1] and held["drift"] < free["drift"]
    q, x = unit(1, 6), unit(2, 40, 6)
    none = rerank(record(q, x), "prf", n=1, guard="overlap", a=0, b=1, overlap=1)
    assert ids(none) == ids(record(q, x)) and none["via"][-1].endswith("drifted: kept the first order")
    assert none["drift"] == 0


def test_a_second_search():
    """What the index gives for the new query replaces the hits; each says what it was asked with."""
    q, x = unit(1, 6), unit(2, 12, 6)
    asked = []

    def search(vectors, records, k):
        asked.append((vectors[0], k))
        return [[{"id": "x3", "score": 0.9}, {"id": "new", "score": 0.8}]]

    found = rerank(record(q, x), "prf", guard="none", research=True, explain=True, tools=Tools(search=search))
    assert ids(found) == ["x3", "new"] and "prev_rank" not in found["hits"][1]
    assert found["hits"][0]["why"] == "0.9000 to the query with feedback of 3 hits"
    ((vector, k),) = asked
    order = np.argsort(-(x @ q))
    moved = 0.6 * q + 0.4 * x[order[:3]].mean(axis=0)
    assert vector == pytest.approx(moved / np.linalg.norm(moved), abs=1e-6) and k == 12
    for tools, guard in ((Tools(), "none"), (Tools(search=search), "fuse")):
        with pytest.raises(UsageError, match="--research"):
            rerank(record(q, x), "prf", guard=guard, research=True, tools=tools)


def test_fused_feedback_lies_between():
    q, x = unit(1, 6), unit(2, 12, 6)
    found = rerank(record(q, x), "prf", guard="fuse")
    assert found["via"][-1].endswith("fused: feedback of 0, 1, 3")
    assert max(scores(found)) <= 3 / 61 + 1e-6


def test_rocchio_takes_what_somebody_judged_and_guards_nothing():
    judged = rerank(record(Q, T, relevant=["x4"], irrelevant=["x1"]), "rocchio", b=1.5, overlap=1)
    assert ids(judged) == ["x3", "x4", "x2", "x1"]
    assert ids(rerank(record(Q, T, relevant=["x4"], irrelevant=["x1"]), "rocchio", b=1.5, n=0)) == ids(judged)
    cut = record(Q, T, relevant=["x4"], irrelevant=["x1"])
    cut["hits"] = cut["hits"][:3]
    kept: list = []
    assert rerank([cut], "rocchio", reject=kept.append) == []
    assert "x4 of its 'relevant' is neither a hit nor in the index" in str(kept[0])
    tools = Tools(
        vectors_of=lambda lists: [np.float32([T[int(name[1]) - 1] for name in names]) for names in lists]
    )
    assert ids(rerank(cut, "rocchio", b=1.5, tools=tools)) == ["x3", "x2", "x1"]
    nobody = rerank(record(Q, T, relevant=[], irrelevant=[]), "rocchio")
    assert ids(nobody) == ["x1", "x2", "x3", "x4"]


def test_trap_k_reciprocal_of_a_query_does_not_depend_on_other_queries():
    whole = rerank(queries(4, m=30), "k-reciprocal", k1=6)
    assert scores(whole[2]) == scores(rerank(queries(4, m=30)[2], "k-reciprocal", k1=6))


def test_trap_k1_must_be_far_below_the_number_of_hits():
    lines: list[str] = []
    for m, said in ((30, 1), (40, 1), (12, 2)):
        rerank(queries(2, m=m), "k-reciprocal", tools=Tools(note=lines.append))
        assert len(lines) == said
    assert "30 hits, and --k1 is 20" in lines[0]


def test_trap_hubs_rise_with_alpha():
    """x2 passes x1, which the query is nearest to; with no spreading the first order stays."""
    still = diffusion.diffused(Q, T, 0)
    spread = diffusion.diffused(Q, T, 0.99)
    assert still.argmax() == 0 and spread.argmax() == 1


def test_a_hit_without_edges_keeps_its_own_weight():
    x = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0.6, 0.8]])
    found = diffusion.diffused(np.array([0.8, 0.6, 0]), x, 0.9)
    assert found[0] == pytest.approx(0.8**3) and np.isfinite(found).all()


def test_trap_mmr_brings_relevance_to_the_scale_of_likeness():
    """Cosines across modalities span .02; unscaled, the copy of the first hit would not be seen."""
    x = np.array([[1.0, 0], [0.999, 0.0447], [0, 1]])
    one = record(Q, x)
    for hit, score in zip(sorted(one["hits"], key=lambda hit: hit["id"]), (0.31, 0.305, 0.30), strict=True):
        hit["score"] = score
    found = rerank(one, "diversify", **{"lambda": 0.5})
    assert ids(found) == ["x1", "x3", "x2"]
    assert scores(found) == pytest.approx([0.31, 0.305, 0.30], abs=1e-6)
    assert [hit["mmr"] for hit in found["hits"]] == pytest.approx([0.5, 0, -0.2495], abs=1e-3)


def test_scores_fall_where_all_were_equal():
    one = record(Q, np.repeat(T[:1], 4, axis=0))
    found = rerank(one, "diversify")
    assert sorted(ids(found)) == ["x1", "x2", "x3", "x4"] and max(scores(found)) <= 0.96


@pytest.mark.parametrize("alpha", [None, 2.0])
def test_dba_with_more_neighbours_than_hits(alpha):
    assert np.linalg.norm(augmented(unit(1, 3, 4), 50, alpha), axis=1) == pytest.approx(np.ones(3))


def history(tmp_path, rows):
    path = tmp_path / "mine.npy"
    np.save(path, np.asarray(rows, np.float32))
    return str(path)


def test_trap_a_short_history_weighs_less(tmp_path):
    q, x = unit(1, 6), unit(2, 12, 6)
    plain = rerank(record(q, x), "profile", history=history(tmp_path, unit(3, 0, 6)))
    assert (ids(plain), scores(plain)) == (ids(record(q, x)), scores(record(q, x)))
    taste = unit(4, 1, 6)

    def moved(times):
        found = rerank(
            record(q, x), "profile", weight=1, history=history(tmp_path, np.repeat(taste, times, axis=0))
        )
        return dict(zip(ids(found), scores(found), strict=True))

    cleaned = profile.without(x, q) @ profile.without(taste, q)[0]
    pref = (cleaned - cleaned.min()) / (cleaned.max() - cleaned.min())
    rel = x @ q
    rel = (rel - rel.min()) / (rel.max() - rel.min())
    for times, weight in ((1, 0.05), (10, 0.5), (20, 1), (40, 1)):
        expected = (1 - weight) * rel + weight * pref
        found = moved(times)
        assert [found[f"x{i}"] for i in range(1, 13)] == pytest.approx(expected, abs=1e-5)


def test_trap_a_taste_is_apart_from_what_is_asked():
    """Past choices that are all the query itself say nothing of taste."""
    cleaned = profile.without(np.repeat(Q[None], 5, axis=0), Q)
    assert not cleaned.any()


def test_profile_wants_a_history(tmp_path):
    kept: list = []
    some = queries(2)
    some[1]["history"] = ["x1"]
    tools = Tools(
        vectors_of=lambda lists: [np.stack([unit(9, 6, dtype=np.float32)] * len(names)) for names in lists]
    )
    found = rerank(some, "profile", reject=kept.append, tools=tools)
    assert [one["id"] for one in found] == ["q1"] and "history" in kept[0].what
    with pytest.raises(UsageError, match=r"6|8"):
        rerank(queries(1), "profile", history=history(tmp_path, unit(3, 4, 8)))


@pytest.mark.parametrize("name", EVERY)
@given(seed=st.integers(0, 10**6), m=st.integers(1, 24), d=st.integers(1, 6), copies=st.integers(0, 8),
       against=st.booleans())  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_any_list_comes_back_whole_and_in_order(name, seed, m, d, copies, against):
    """Copies, zeros, hits on the far side of the query: every score is finite, and the order holds."""
    generator = np.random.default_rng(seed)
    x = generator.integers(-2, 3, (m, d)).astype(np.float64)
    x[: min(copies, m)] = x[0]
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    x = np.divide(x, lengths, out=np.zeros_like(x), where=lengths > 0)
    q = -x[-1] if against and x[-1].any() else unit(seed, d)
    reports: list = []
    found = rerank(record(q, x), name, reject=reports.append, k=None)
    assert reports == [] and sorted(ids(found)) == sorted(f"x{i}" for i in range(1, m + 1))
    assert np.isfinite(scores(found)).all()
    assert ids(found) == [hit["id"] for hit in ranked(found["hits"])]
