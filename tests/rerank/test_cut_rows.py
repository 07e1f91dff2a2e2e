"""`rerank cut` over records: bounds, reasons, and options that belong to another way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import UsageError
from mmr.rerank.apply import reranked
from mmr.rerank.table import find
from mmr.stream.records import Record

WORKED = [0.82, 0.80, 0.78, 0.45, 0.44, 0.43, 0.41, 0.40, 0.39, 0.38]
ROW = find("cut")
WAYS = [
    {"method": "gmm"}, {"method": "gap"}, {"method": "threshold", "ratio": 0.9}, {"method": "probability"},
    {"method": "threshold", "min_score": 0.43}, {"method": "probability", "slope": 20, "offset": -12},
]  # fmt: skip


def cut(scores, reject=None, **values):
    hits = [{"id": f"i{place:03}", "score": score} for place, score in enumerate(scores)]
    record = Record({"id": "q", "hits": hits})
    found = list(reranked([record], ROW, values, reject=reject or pytest.fail))
    return found[0] if found else None


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({}, 3), ({"min": 5}, 5), ({"max": 2}, 2), ({"min": 0, "min_score": 0.9}, 0), ({"min_score": 0.9}, 1),
        ({"method": "gap"}, 3), ({"method": "gap", "z": 2}, 10), ({"method": "threshold", "ratio": 0.9}, 3),
        ({"method": "threshold", "min_score": 0.43}, 6), ({"method": "gap", "z": 2, "min_score": 0.41}, 7),
        ({"method": "probability"}, 2), ({"method": "probability", "slope": 20, "offset": -12}, 3),
        ({"method": "threshold", "min_score": 0.1, "max": 4}, 4),
    ],
)  # fmt: skip
def test_how_many_are_kept(values, kept):
    found = cut(WORKED, **values)
    assert [hit["id"] for hit in found["hits"]] == [f"i{place:03}" for place in range(kept)]
    assert found["cut"]["kept"] == kept
    assert found["cut"]["of"] == 10
    assert found["via"][-1].endswith(f"kept {kept} of 10")


def test_an_empty_answer_says_why():
    found = cut(WORKED, min=0, min_score=0.9)
    assert found["hits"] == []
    assert found["cut"]["reason"].endswith("; 0 at least 0.9")
    assert cut([])["cut"]["reason"] == "no hits"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 1000), max_size=30), st.sampled_from(WAYS), st.integers(0, 4), st.integers(0, 9)
)
def test_a_prefix_between_the_bounds(values, way, low, more):
    scores = sorted((value / 1000 for value in values), reverse=True)
    whole = cut(scores, method="threshold", min_score=-1, min=0, max=1000)["hits"]
    found = cut(scores, **way, min=low, max=low + more + 1)["hits"]
    assert min(low, len(scores)) <= len(found) <= low + more + 1
    assert found == whole[: len(found)]


def test_a_wide_bound_keeps_every_hit_as_it_was():
    found = cut(WORKED, method="threshold", min_score=-1, max=1000)
    kept = [{"id": hit["id"], "score": float(hit["score"])} for hit in found["hits"]]
    assert [hit["id"] for hit in kept] == [f"i{place:03}" for place in range(10)]
    assert [hit["score"] for hit in kept] == pytest.approx(WORKED, abs=1e-7)


def test_trap_a_ratio_of_a_score_below_zero_is_a_bad_item():
    items = []
    assert cut([-0.1, -0.2], items.append, method="threshold", ratio=0.9) is None
    assert "a ratio needs one above 0" in str(items[0])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"z": 2}, "--z means nothing to --method gmm\n  Leave it out, or use --method gap."),
        (
            {"method": "threshold", "temperature": 2, "ratio": 0.5},
            "threshold\n  Leave it out, or use --method probability.",
        ),
        ({"method": "threshold"}, "needs a bound"),
        ({"min": 11}, "--min 11 is more than --max 10"),
        ({"method": "probability", "slope": 2}, "belong together"),
        ({"method": "probability", "min_prob": 0.5}, "belong together"),
        ({"method": "probability", "slope": 2, "offset": 0, "mass": 0.5}, "of uncalibrated scores"),
        ({"max": 0}, "--max 0: it must be a whole number, 1 or more"),
    ],
)
def test_wrong_options(values, words):
    with pytest.raises(UsageError, match=words):
        cut(WORKED, **values)
