"""The cache of what programs have answered."""

from __future__ import annotations

import pytest

from mmr.errors import BadDataError, OutputError
from mmr.programs.cache import Cache, mark


def test_keyed_by_tag_and_request_whatever_the_order_of_its_fields(tmp_path):
    with Cache(tmp_path / "c") as cache:
        cache.put(mark("m1", {"text": "a", "image": "b"}), {"caption": "ä"})
    with Cache(tmp_path / "c") as cache:
        assert cache.get(mark("m1", {"image": "b", "text": "a"})) == {"caption": "ä"}
        assert cache.get(mark("m2", {"image": "b", "text": "a"})) is None
        assert cache.get(mark("m1", {"image": "b"})) is None
        assert cache.found == 1
        cache.put(mark("m1", {"text": "a", "image": "b"}), {"caption": "new"})
        assert cache.get(mark("m1", {"text": "a", "image": "b"})) == {"caption": "new"}


def test_the_id_never_counts_and_a_picture_is_known_by_its_digest():
    assert mark("m", {"id": "1", "text": "a"}) == mark("m", {"id": "2", "text": "a"})
    one = {"id": "1", "image": "a.png", "base": "/x", "digest": "d", "text": "t"}
    assert mark("m", one) == mark("m", {"image": "/y/b.png", "digest": "d", "text": "t"})
    assert mark("m", one) != mark("m", {**one, "digest": "e"})
    assert mark("m", one) != mark("m", {**one, "text": "u"})
    assert mark("m", {"image": "a.png"}) != mark("m", {"image": "b.png"})


def test_two_runs_share_one_file(tmp_path):
    with Cache(tmp_path / "c") as one, Cache(tmp_path / "c") as two:
        one.put(b"1", {"caption": "one"})
        two.put(b"2", {"caption": "two"})
        assert one.get(b"2") == {"caption": "two"}
        assert two.get(b"1") == {"caption": "one"}


def test_in_memory_for_one_run():
    with Cache(None) as cache:
        cache.put(b"1", {"caption": "one"})
        assert cache.get(b"1") == {"caption": "one"}
    with Cache(None) as cache:
        assert cache.get(b"1") is None


def test_places_that_cannot_be_a_cache(tmp_path):
    with pytest.raises(OutputError, match="cannot be opened"):
        Cache(tmp_path / "missing" / "c")
    (tmp_path / "text").write_text("this is not a data base\n" * 100)
    with pytest.raises(BadDataError, match="is no cache"):
        Cache(tmp_path / "text")
