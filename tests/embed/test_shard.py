"""Shards: together they are everything, none meets another, and one of them deletes nothing."""

from __future__ import annotations

import json
import shutil
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmr.cli import status
from mmr.embed.item import Item
from mmr.embed.shard import Shard, Sharded, end_record, parse_shard, shard_of
from mmr.errors import UsageError
from mmr.stream.records import Record
from tests.embed.made import pictures

EMBED = "mmr embed -q --batch 1"
IDS = st.text(st.characters(), min_size=1)


@pytest.fixture
def photos(tmp_path):
    pictures(tmp_path / "photos", 12)
    return tmp_path / "photos"


def records(result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def ids(result) -> list[str]:
    assert result.status == 0, result.stderr
    return [record["id"] for record in records(result) if "eof" not in record]


def items(names) -> list[Item | Record]:
    return [Item(Record({"id": name})) if len(name) % 2 else Record({"id": name}) for name in names]


def name_of(item) -> str:
    return (item.record if isinstance(item, Item) else item)["id"]


@given(st.lists(IDS), st.integers(1, 40))
def test_every_item_is_in_one_shard_and_order_stays(names, of):
    shards = [list(map(name_of, Sharded(items(names), Shard(i, of)))) for i in range(1, of + 1)]
    assert sorted(name for shard in shards for name in shard) == sorted(names)
    for number, shard in enumerate(shards, 1):
        assert shard == [name for name in names if shard_of(name, of) == number]


@given(st.lists(IDS), st.lists(st.booleans(), max_size=60))
def test_looking_ahead_loses_nothing(names, looks):
    stream = Sharded(items(names), Shard(1, 2), lambda: bool(looks and looks.pop()))
    found = []
    while True:
        stream.waits()
        item = next(stream, None)
        if item is None:
            break
        found.append(name_of(item))
    assert found == [name for name in names if shard_of(name, 2) == 1]


def test_the_hash_is_the_one_that_is_documented():
    for name in ("a.jpg", "pics/ü.png", "shard.tar#a.jpg"):
        number = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
        assert shard_of(name, 16) == number % 16 + 1
    assert [shard_of(name, 16) for name in ("a.jpg", "pics/ü.png", "shard.tar#a.jpg")] == [10, 12, 10]


def test_shards_are_of_like_size():
    counts = [0] * 16
    for number in range(16_000):
        counts[shard_of(f"pics/{number:06}.jpg", 16) - 1] += 1
    assert all(abs(count - 1000) < 5 * 1000**0.5 for count in counts)


@pytest.mark.parametrize(
    "text", ["", "0/4", "5/4", "1/0", "1", "/", "1/", "a/b", "-1/4", "1/4/2", "1.5/4", " 1/4"]
)
def test_what_is_no_shard(text):
    with pytest.raises(UsageError, match="from 1 to N"):
        parse_shard(text)


def test_the_whole_is_no_shard_to_an_index():
    assert end_record(3, ["/a"], parse_shard("1/1")) == {"eof": True, "items": 3, "roots": ["/a"]}
    assert end_record(3, ["/a"], parse_shard("2/4"))["shard"] == "2/4"


def test_waits_looks_past_the_items_of_other_shards():
    mine, other = (next(n for n in map(str, range(99)) if shard_of(n, 2) == i) for i in (1, 2))
    for names, waits in ([mine, other], True), ([mine, other, mine], False):
        left = list(names)

        def come(left=left):
            while left:
                yield Record({"id": left.pop(0)})

        stream = Sharded(come(), Shard(1, 2), lambda left=left: not left)
        assert name_of(next(stream)) == mine
        assert stream.waits() is waits


@pytest.mark.parametrize(
    "named",
    ["photos --id stem", "-0 --files-from list", "a.jsonl", "a.jsonl --id text",
     "--text a --text b photos a.tar - < a.jsonl"],
)  # fmt: skip
def test_the_shards_of_every_source_are_the_whole(sh, photos, tmp_path, named):
    paths = [f"photos/{path.name}" for path in sorted(photos.iterdir())]
    (tmp_path / "list").write_text("".join(f"{path}\0" for path in paths))
    lines = [{"id": f"i{n}", "image": path, "text": f"t{n}"} for n, path in enumerate(paths)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    sh("tar cf a.tar photos")
    whole = ids(sh(f"{EMBED} {named}"))
    assert len(whole) >= 12
    shards = [ids(sh(f"{EMBED} --shard {number}/2 {named}")) for number in (1, 2)]
    assert shards == [[name for name in whole if shard_of(name, 2) == number] for number in (1, 2)]
    assert all(shards)


def test_an_unreadable_picture_is_reported_by_its_own_shard(sh, photos):
    (photos / "0003.png").write_text("no picture")
    number = shard_of("photos/0003.png", 3)
    for shard in (1, 2, 3):
        done = sh(f"mmr embed --eof photos --shard {shard}/3")
        assert done.status == (status.SKIPPED if shard == number else 0)
        assert ("0003.png" in done.stderr) is (shard == number)


def test_skip_indexed_shards_by_the_ids_of_the_index(sh, photos):
    sh(f"{EMBED} photos --id stem | mmr index -q x.mmr")
    Image.new("RGB", (3, 3), "red").save(photos / "0005.png")
    found = [records(sh(f"{EMBED} photos --id stem --skip-indexed x.mmr --shard {i}/3")) for i in (1, 2, 3)]
    for number, (*shard, end) in enumerate(found, 1):
        assert end == {"eof": True, "items": len(shard), "shard": f"{number}/3", "roots": [str(photos)]}
        assert all(shard_of(record["id"], 3) == number for record in shard)
        assert all(("vector" in record) is (record["id"] == "0005") for record in shard)
    assert sum(len(shard) - 1 for shard in found) == 12


def test_one_shard_deletes_nothing(sh, photos):
    sh(f"{EMBED} photos | mmr index -q x.mmr")
    (photos / "0000.png").unlink()
    Image.new("RGB", (3, 3), "red").save(photos / "new.png")
    for number in (1, 2):
        done = sh(
            f"{EMBED} photos --skip-indexed x.mmr --shard {number}/2 | mmr index x.mmr --sync --max-delete 1"
        )
        assert done.status == status.USAGE and f"is shard {number}/2" in done.stderr
        assert "Nothing was deleted" in done.stderr and "Traceback" not in done.stderr
        assert sh(f"{EMBED} photos --eof --shard {number}/2 -o s.npy").status == 0
        assert sh("mmr index x.mmr --sync s.npy").status == status.USAGE
    held = sh("mmr index x.mmr --list").lines
    assert len(held) == 13 and "photos/0000.png" in held and "photos/new.png" in held
    done = sh(f"{EMBED} photos --skip-indexed x.mmr | mmr index x.mmr --sync")
    assert "0 new, 0 changed, 12 kept, 1 gone" in done.stderr


def test_a_shard_goes_on_where_it_was_killed(sh, photos, tmp_path):
    whole = sh(f"{EMBED} photos --shard 2/2 -o whole.npy")
    assert whole.status == 0
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) > 3
    data = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / ".x.npy.part").write_bytes(b"\0" + data[1:])
    (tmp_path / ".x.jsonl.part").write_bytes(b"".join(lines[:2]))
    done = sh("mmr embed --batch 1 photos --shard 2/2 -o x.npy")
    assert "going on after 2 records" in done.stderr
    assert (tmp_path / "x.npy").read_bytes() == data
    assert (tmp_path / "x.jsonl").read_bytes() == b"".join(lines)


def answers(sh, index: str) -> dict:
    """The hits of every item of an index, among all."""
    done = sh(f"mmr query {index} --all-items -k 12")
    found = {record["id"]: record["hits"] for record in records(done)}
    assert done.status == 0 and len(found) == 12
    return found


SHARDS = f"{EMBED} photos --shard {{}}/3 -o shard-{{}}.npy"
STARTERS = [f"seq 3 | xargs -P 3 -I{{}} {SHARDS}", f"seq 3 | parallel -j 3 {SHARDS}"]


@pytest.mark.parametrize("starter", STARTERS, ids=["xargs", "parallel"])
def test_shards_side_by_side_are_the_whole_index(sh, photos, starter):
    if "parallel" in starter and shutil.which("parallel") is None:
        pytest.skip("GNU parallel is not installed; the same with xargs -P is tested")
    done = sh(starter)
    assert done.status == 0, done.stderr
    sh(f"{EMBED} photos | mmr index -q whole.mmr")
    assert sh("mmr index -q all.mmr shard-1.npy shard-2.npy shard-3.npy").status == 0
    assert answers(sh, "all.mmr") == answers(sh, "whole.mmr")


@pytest.mark.skipif(shutil.which("parallel") is None, reason="GNU parallel is not installed")
def test_parallel_splits_a_list_of_paths(sh, photos):
    split = "parallel --pipe -N5 -j2 'mmr embed -q --files-from - --vector-format base64'"
    assert sh(f"find photos -name '*.png' | {split} | mmr index -q p.mmr").status == 0
    assert len(sh("mmr index p.mmr --list").lines) == 12


def test_the_indexes_of_shards_merge(sh, photos):
    for number in (1, 2):
        sh(f"{EMBED} photos --shard {number}/2 | mmr index -q {number}.mmr")
    sh(f"{EMBED} photos | mmr index -q whole.mmr")
    assert sh("mmr index 1.mmr --dump | mmr index -q all.mmr").status == 0
    assert sh("mmr index 2.mmr --dump | mmr index -q all.mmr").status == 0
    assert answers(sh, "all.mmr") == answers(sh, "whole.mmr")
