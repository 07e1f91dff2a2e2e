"""The end of a stream: what `--sync` deletes, and everything that keeps it from deleting."""

from __future__ import annotations

import pytest

from mmr.errors import BadDataError, BadItem, StreamError, UsageError
from mmr.index import open_index, upsert
from mmr.index.sync import sync
from mmr.stream.records import Record
from tests.index.made import eof, fail, item, keep, lines, version_of, whole


@pytest.fixture
def path(tmp_path):
    """Ten pictures under /pics, two elsewhere, one that is words."""
    path = tmp_path / "x.mmr"
    words = item("words")
    del words["image"], words["base"]
    items = [item(f"{i}.jpg") for i in range(10)]
    others = [item("o1.jpg", base="/other"), item("/far/o2.jpg", base=None), words]
    upsert(path, [*items, *others], reject=fail)
    return path


def names(path):
    with open_index(path) as index:
        return sorted(index.all_ids())


def run(path, stream, **more):
    return sync(path, lambda reject: stream, reject=fail, **more)


OTHERS = ["/far/o2.jpg", "o1.jpg", "words"]


def test_what_was_not_named_goes(path):
    stream = whole(
        [keep("0.jpg"), item("1.jpg", 1), *(keep(f"{i}.jpg") for i in range(2, 8)), item("new.jpg")]
    )
    counts = run(path, stream)
    assert (counts.new, counts.changed, counts.kept, counts.gone) == (1, 1, 7, 2)
    assert names(path) == sorted([*(f"{i}.jpg" for i in range(8)), "new.jpg", *OTHERS])


def test_nothing_goes_that_lies_elsewhere(path):
    assert run(path, whole([], "/nothing/there")).gone == 0
    assert run(path, whole([], "/pi")).gone == 0
    assert run(path, whole([keep("o1.jpg", base="/other")], "/other", "/far/sub")).gone == 0
    assert len(names(path)) == 13


def test_named_by_path_or_by_id(path):
    by_path = [Record({"id": f"another{i}", "image": f"/pics/{i}.jpg", "keep": True}) for i in range(5)]
    by_id = [Record({"id": f"{i}.jpg", "keep": True}) for i in range(5, 9)]
    counts = run(path, whole([*by_path, *by_id]))
    assert counts.gone == 1
    assert "9.jpg" not in names(path)


def test_roots_may_be_files_and_tars(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(
        path,
        [item(name) for name in ("a.tar#1.jpg", "a.tar#2.jpg", "a.tarx", "b#1.jpg", "b", "c.jpg")],
        reject=fail,
    )
    assert run(path, whole([keep("a.tar#1.jpg")], "/pics/a.tar")).gone == 1
    assert "a.tar#2.jpg" not in names(path)
    assert run(path, whole([], "/pics/b"), max_delete=1).gone == 1
    assert names(path) == ["a.tar#1.jpg", "a.tarx", "b#1.jpg", "c.jpg"]
    assert run(path, whole([], "/"), max_delete=1).gone == 4


def test_a_stream_that_broke_off_deletes_nothing(path):
    first, second = keep("0.jpg"), keep("1.jpg")
    uncounted = Record({"eof": True, "roots": ["/pics"]})
    for stream in (
        [], [first], [first, eof(1, "/pics"), second], [first, eof(2, "/pics")], [eof(3, "/pics")],
        [first, eof(0, "/pics")], [first, uncounted],
    ):  # fmt: skip
        with pytest.raises(StreamError, match="Nothing was deleted"):
            run(path, stream, max_delete=1)
        assert len(names(path)) == 13


def test_what_came_before_the_break_is_stored(path):
    with pytest.raises(StreamError):
        run(path, [item("0.jpg", 1), item("new.jpg")])
    with open_index(path) as index:
        assert version_of(index.get("0.jpg")) == 1
        assert index.meta.count == 14


def test_an_eof_without_roots_is_wrong_usage(path):
    for end in (
        Record({"eof": True, "items": 1}),
        eof(1, "pics"),
        Record({"eof": True, "items": 1, "roots": [1]}),
    ):
        with pytest.raises(UsageError, match="roots"):
            run(path, [keep("0.jpg"), end])
    assert len(names(path)) == 13


def test_streams_one_after_the_other(path):
    first = whole([keep(f"{i}.jpg") for i in range(8)], "/pics")
    second = whole([keep("o1.jpg", base="/other")], "/other")
    assert run(path, [*first, *second]).gone == 2


def test_a_root_that_is_suddenly_empty(path):
    with pytest.raises(BadDataError, match="10 items under /pics") as refused:
        run(path, whole([]))
    assert "--max-delete 1" in str(refused.value)
    with pytest.raises(BadDataError, match="1 items under /other"):
        run(path, whole([keep(f"{i}.jpg") for i in range(10)], "/pics", "/other"))
    assert len(names(path)) == 13
    assert run(path, whole([]), max_delete=1).gone == 10
    assert names(path) == OTHERS


def test_more_than_half_going(path):
    def left(count):
        return whole([keep(f"{i}.jpg") for i in range(count)])

    with pytest.raises(BadDataError, match="6 of the 10 items"):
        run(path, left(4))
    with pytest.raises(BadDataError, match="3 of the 10 items"):
        run(path, left(7), max_delete=0.2)
    assert run(path, left(5)).gone == 5
    assert len(names(path)) == 8
    renamed = whole([item(f"new{i}.jpg") for i in range(50)])
    with pytest.raises(BadDataError, match="5 of the 5 items"):
        run(path, renamed)
    assert len(names(path)) == 58, "what came is stored"


def test_unreadable_pictures_and_bad_records_stay_when_they_are_named(path):
    def read(reject):
        for i in range(8):
            yield keep(f"{i}.jpg")
        reject(BadItem("stdin line 9", "bad", stage="read", record={"id": "8.jpg", "image": "8.jpg"}))
        wrong = item("9.jpg", 1, dim=3)
        yield wrong
        yield eof(10, "/pics")

    bad = []
    counts = sync(path, read, reject=bad.append)
    assert (counts.gone, len(bad)) == (0, 2)
    assert len(names(path)) == 13


def test_a_line_that_is_no_record_stops_the_deletion(path):
    def read(reject):
        yield keep("0.jpg")
        reject(BadItem("stdin line 2", "no JSON", stage="read", record={"raw": "{"}))
        yield eof(2, "/pics")

    with pytest.raises(StreamError, match="2 items, and 1 were read"):
        sync(path, read, reject=lambda bad: None, max_delete=1)


def test_dry_run_lists_what_would_go(path):
    told = []
    stream = [keep(f"{i}.jpg") for i in range(8)]
    assert run(path, whole(stream), dry_run=True, going=told.append).gone == 2
    assert told == ["8.jpg", "9.jpg"]
    told.clear()
    with pytest.raises(BadDataError):
        run(path, whole([]), dry_run=True, going=told.append)
    assert len(told) == 10
    assert len(names(path)) == 13


def test_an_empty_folder_makes_no_index(tmp_path):
    assert run(tmp_path / "new.mmr", whole([])).gone == 0
    assert not (tmp_path / "new.mmr").exists()


def test_on_the_command_line(path, sh, tmp_path):
    (tmp_path / "some.jsonl").write_bytes(lines(whole([keep(f"{i}.jpg") for i in range(8)])))
    (tmp_path / "few.jsonl").write_bytes(lines(whole([keep("0.jpg")])))
    done = sh("mmr index x.mmr --sync --dry-run some.jsonl")
    assert (done.status, done.lines) == (0, ["8.jpg", "9.jpg"])
    assert "0 new, 0 changed, 8 kept, 2 gone, 0 failed" in done.stderr
    assert sh("mmr index x.mmr --sync few.jsonl").status == 65
    assert sh("head -1 some.jsonl | mmr index x.mmr --sync").status == 74
    assert sh('echo \'{"eof": true, "items": 0}\' | mmr index x.mmr --sync').status == 2
    assert len(names(path)) == 13
    assert sh("mmr index x.mmr --sync some.jsonl").status == 0
    assert sh("cat few.jsonl | mmr index x.mmr --sync --max-delete 1").status == 0
    assert names(path) == sorted(["0.jpg", *OTHERS])
    assert sh("mmr index x.mmr --max-delete 1 some.jsonl").status == 2
