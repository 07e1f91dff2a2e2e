"""The cache of what programs have answered."""

from __future__ import annotations

import pytest

from mmr.errors import BadDataError, OutputError
from mmr.programs.cache import Cache


def test_keyed_by_tag_and_request_whatever_the_order_of_its_fields(tmp_path):
    with Cache(tmp_path / "c") as cache:
        cache.put("m1", {"text": "a", "image": "b"}, {"caption": "ä"})
    with Cache(tmp_path / "c") as cache:
        assert cache.get("m1", {"image": "b", "text": "a"}) == {"caption": "ä"}
        assert cache.get("m2", {"image": "b", "text": "a"}) is None
        assert cache.get("m1", {"image": "b"}) is None
        cache.put("m1", {"text": "a", "image": "b"}, {"caption": "new"})
        assert cache.get("m1", {"text": "a", "image": "b"}) == {"caption": "new"}


def test_two_runs_share_one_file(tmp_path):
    with Cache(tmp_path / "c") as one, Cache(tmp_path / "c") as two:
        one.put("m", {"text": "1"}, {"caption": "one"})
        two.put("m", {"text": "2"}, {"caption": "two"})
        assert one.get("m", {"text": "2"}) == {"caption": "two"}
        assert two.get("m", {"text": "1"}) == {"caption": "one"}


def test_places_that_cannot_be_a_cache(tmp_path):
    with pytest.raises(OutputError, match="cannot be opened"):
        Cache(tmp_path / "missing" / "c")
    (tmp_path / "text").write_text("this is not a data base\n" * 100)
    with pytest.raises(BadDataError, match="is no cache"):
        Cache(tmp_path / "text")
