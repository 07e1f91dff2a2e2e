"""Shares of modalities and of any field among the first hits."""

from __future__ import annotations

import pytest

from mmr.errors import BadDataError, UsageError
from mmr.evaluate.shares import Share, shares, value_of


def hits(*kinds):
    fields = {
        "i": {"image": "a.jpg"},
        "t": {"text": "words"},
        "b": {"image": "a.jpg", "text": "words"},
        "-": {},
    }
    return [{"id": f"{place}", **fields[kind]} for place, kind in enumerate(kinds)]


def test_modality_by_the_querys_own():
    records = [
        {"id": "1", "text": "a cat", "hits": hits("i", "i", "t", "i")},
        {"id": "2", "image": "b.jpg", "hits": hits("i", "b", "b")},
        {"id": "3", "text": "a dog", "hits": hits("t")},
    ]
    assert shares(records, 3) == [
        Share(None, "image", 3 / 7, 3, 3),
        Share(None, "image,text", 2 / 7, 2, 3),
        Share(None, "text", 2 / 7, 2, 3),
        Share("image", "image,text", 2 / 3, 2, 1),
        Share("image", "image", 1 / 3, 1, 1),
        Share("text", "image", 0.5, 2, 2),
        Share("text", "text", 0.5, 2, 2),
    ]


def test_queries_of_one_kind_are_not_told_twice():
    assert shares([{"text": "a", "hits": hits("i")}, {"text": "b", "hits": hits("t")}], 10) == [
        Share(None, "image", 0.5, 1, 2), Share(None, "text", 0.5, 1, 2),
    ]  # fmt: skip


def test_hits_without_a_value_are_counted():
    found = shares([{"text": "a", "hits": hits("i", "-", "-", "-")}, {"hits": hits("i")}], 10)
    assert found[:2] == [Share(None, "image", 0.4, 2, 2), Share(None, None, 0.6, 3, 2)]
    assert found[-1] == Share("none", "image", 1, 1, 1)


def test_stored_modality_and_other_fields():
    assert value_of({"modality": "video", "image": "a.jpg"}, "modality") == "video"
    assert value_of({"image": "a.jpg", "text": ""}, "modality") == "image"
    assert value_of({"image": "a.jpg"}, "lang") is None
    records = [
        {"id": "1", "lang": "de", "hits": [{"lang": "de"}, {"lang": "en"}, {"lang": 7}, {"lang": "de"}]}
    ]
    assert [(share.value, share.share) for share in shares(records, 4, "lang")] == [
        ("de", 0.5), ("7", 0.25), ("en", 0.25),
    ]  # fmt: skip


def test_refusals():
    with pytest.raises(BadDataError, match="no query has hits"):
        shares([{"id": "1", "text": "a"}, {"id": "2", "hits": []}], 5)
    with pytest.raises(BadDataError, match="no hit has the field lang"):
        shares([{"id": "1", "hits": hits("i", "t")}], 5, "lang")
    with pytest.raises(UsageError, match="the first 0 hits"):
        shares([], 0)
