"""`mmr embed` as people run it: what is named, what is skipped, how the stream ends."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmr.cli import status
from tests.cli.unprivileged import unprivileged
from tests.embed.made import pictures

EMBED = "mmr embed --batch 4"


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    pictures(folder, 6)
    return folder


def records(result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def names(result) -> list[str]:
    return [record.get("id", "eof") for record in records(result)]


def listed(sh) -> list[str]:
    return sorted(sh("mmr index photos.mmr --list").lines)


def test_sources_in_the_order_in_which_they_are_named(sh, photos, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id":"a","text":"red"}\n{"id":"b","image":"photos/0001.png"}\n')
    (tmp_path / "odd").write_text('{"id":"odd","text":"blue"}\n')
    (tmp_path / "t.tsv").write_text("id\ttext\nrow\tgreen\n")
    sh("tar cf shard.tar photos/0002.png photos/0003.png")
    done = sh(
        f"{EMBED} --text one a.jsonl shard.tar odd photos/0004.png t.tsv --id path",
        env={"MMR_MODEL": "builtin"},
    )
    assert done.status == status.SKIPPED  # records without a picture have no path
    done = sh(f"{EMBED} --text one a.jsonl shard.tar odd photos/0004.png t.tsv - < a.jsonl")
    assert done.status == 0, done.stderr
    tar = ["shard.tar#photos/0002.png", "shard.tar#photos/0003.png"]
    assert names(done)[1:] == ["a", "b", *tar, "odd", "photos/0004.png", "row", "a", "b"]
    assert done.stderr == "mmr embed: 10 new, 0 changed, 0 kept, 0 failed\n"
    assert names(sh(f"{EMBED} <(cat a.jsonl) photos/0000.png")) == ["a", "b", "photos/0000.png"]


def test_words_alone_are_quiet(sh):
    done = sh("mmr embed --text 'a cat' --text 'a dog'")
    assert done.stderr == "" and len(done.lines) == 2


def test_lists_of_files_also_with_line_breaks_in_names(sh, photos):
    (photos / "0000.png").rename(photos / "a\nb.png")
    done = sh(f"find photos -name '*.png' -print0 | sort -z | {EMBED} -0 --files-from -")
    assert names(done)[-1] == "photos/a\nb.png" and len(names(done)) == 6
    done = sh(
        f"printf 'photos/0001.png\\nnowhere.png\\n./photos//0002.png' > list; {EMBED} --files-from list"
    )
    assert names(done) == ["photos/0001.png", "photos/0002.png"] and done.status == status.SKIPPED


def test_ids(sh, photos, tmp_path):
    assert names(sh(f"{EMBED} photos --id stem"))[:2] == ["0000", "0001"]
    assert names(sh(f"{EMBED} photos --id name"))[0] == "0000.png"
    assert sh(f"{EMBED} photos --id key").status == status.USAGE
    lines = b'{"id":"x","text":"a","key":"k"}\n{"id":"y","text":"b"}\n'
    done = sh(f"{EMBED} --id key", stdin=lines)
    assert names(done) == ["k"] and done.status == status.SKIPPED


def test_what_is_not_there(sh, photos):
    done = sh(f"{EMBED} nowhere nothing")
    assert done.status == 66 and "nowhere does not exist, nor any of the 1 other paths" in done.stderr
    done = sh(f"{EMBED} nowhere photos --eof")
    assert done.status == status.SKIPPED and len(names(done)) == 6 and "no eof record" in done.stderr
    assert sh(f"{EMBED} photos nowhere.jsonl").status == 66


def test_other_endings_are_left_out_and_said(sh, photos):
    (photos / "notes.txt").write_text("x")
    done = sh(f"{EMBED} photos")
    assert "left out by their endings: 1 .txt; --include takes them." in done.stderr and done.status == 0
    assert sh(f"{EMBED} photos --include '*'").status == status.SKIPPED


def test_skip_indexed_embeds_only_what_changed(sh, photos):
    first = sh(f"{EMBED} photos | mmr index photos.mmr")
    assert first.status == 0
    shutil.copy(photos / "0000.png", photos / "0001.png")
    os.utime(photos / "0002.png", (1, 1))
    Image.new("RGB", (3, 3), "red").save(photos / "new.png")
    done = sh(f"{EMBED} photos --skip-indexed photos.mmr")
    found = {record["id"]: record for record in records(done)[:-1]}
    assert [name for name, record in found.items() if "vector" in record] == [
        "photos/0001.png",
        "photos/new.png",
    ]
    touched = found["photos/0002.png"]
    assert touched["keep"] is True and touched["mtime"] == 1 and list(touched)[:3] == ["id", "image", "base"]
    assert records(done)[-1] == {"eof": True, "items": 7, "roots": [str(photos)]}
    assert "1 new, 1 changed, 5 kept, 0 failed" in done.stderr


def test_skip_indexed_knows_a_file_by_its_absolute_path(sh, photos, tmp_path):
    sh(f"{EMBED} photos --id stem | mmr index photos.mmr")
    done = sh(f"{EMBED} {photos} --skip-indexed {tmp_path}/photos.mmr", cwd=Path("/"))
    assert names(done) == [f"{number:04}" for number in range(6)] + ["eof"]
    assert all("keep" in record for record in records(done)[:-1])
    Image.new("RGB", (3, 3), "red").save(photos / "0000.png")
    changed = records(sh(f"{EMBED} {photos} --skip-indexed {tmp_path}/photos.mmr", cwd=Path("/")))[0]
    assert changed["id"] == "0000" and "vector" in changed


def test_skip_indexed_takes_the_model_from_the_index_and_refuses_another(sh, photos, tmp_path):
    vector = ",".join(["0.5"] * 4)
    line = f'{{"id":"x","vector":[{vector}],"model":"builtin#000000000000"}}'
    assert sh("mmr index photos.mmr", stdin=line.encode()).status == 0
    for more in ("", "--model builtin"):
        done = sh(f"{EMBED} photos --skip-indexed photos.mmr {more}")
        assert done.status == 65 and "builtin#000000000000" in done.stderr and done.stdout == b""
    missing = sh(f"{EMBED} photos --skip-indexed nowhere.mmr")
    assert missing.status == 0 and names(missing)[-1] == "eof" and len(names(missing)) == 7


def test_embedding_into_the_index_that_is_read_does_not_wait_for_itself(sh, photos):
    pictures(photos, 60)  # 180 kB of records, and a pipe holds 64
    for expected in ("60 new", "60 kept"):
        done = sh(
            "set -o pipefail; mmr embed photos --skip-indexed photos.mmr | mmr index photos.mmr --sync",
            timeout=60,
        )
        assert done.status == 0 and done.stderr.count(expected) == 2


class TestNothingGoes:
    """However a walk fails, `index --sync` deletes nothing that may still be there."""

    SYNC = "mmr embed photos --skip-indexed photos.mmr | mmr index photos.mmr --sync"

    @pytest.fixture(autouse=True)
    def indexed(self, sh, photos):
        (photos / "sub").mkdir()
        for number in range(4):
            shutil.copy(photos / f"{number:04}.png", photos / "sub")
        assert sh(self.SYNC).status == 0
        self.all = listed(sh)
        assert len(self.all) == 10

    def test_an_unreadable_folder(self, sh, photos, tmp_path):
        (photos / "sub").chmod(0)
        (photos / "0005.png").unlink()
        done = unprivileged(self.SYNC, tmp_path)
        (photos / "sub").chmod(0o755)
        assert done.status == 74 and "photos/sub: cannot be read (permissions)" in done.stderr
        assert listed(sh) == self.all

    def test_a_root_that_is_not_mounted(self, sh, photos):
        photos.rename(photos.with_name("away"))
        assert sh(self.SYNC).status == 74 and listed(sh) == self.all
        photos.mkdir()
        assert sh(self.SYNC).status == 65 and listed(sh) == self.all

    def test_a_picture_that_is_half_copied(self, sh, photos):
        data = (photos / "0001.png").read_bytes()
        (photos / "0001.png").write_bytes(data[: len(data) // 2])
        done = sh(f"set -o pipefail; {self.SYNC}")
        assert (
            "photos/0001.png: is a PNG file that is cut off" in done.stderr and done.status == status.SKIPPED
        )
        assert listed(sh) == self.all

    def test_a_walker_that_is_killed(self, sh):
        done = sh("(mmr embed photos --skip-indexed photos.mmr | head -3) | mmr index photos.mmr --sync")
        assert done.status == 74 and listed(sh) == self.all

    def test_but_what_is_gone_goes(self, sh, photos):
        (photos / "0005.png").unlink()
        assert sh(self.SYNC).status == 0
        assert listed(sh) == [name for name in self.all if name != "photos/0005.png"]


def test_records_of_another_model_are_embedded_again(sh):
    own = json.loads(sh("mmr embed --text 'a cat'").stdout)
    other = {**own, "vector": [1.0, 0.0], "model": "other#1"}
    bare = {"id": "v", "vector": [1.0, 0.0], "model": "other#1"}
    lines = "\n".join(json.dumps(one) for one in (own, other, bare)).encode()
    same, again, kept = records(sh("mmr embed", stdin=lines))
    assert same == own and kept == bare
    assert again["vector"] == own["vector"] and again["model"] == own["model"]


def test_queries_are_composed(sh, photos):
    line = b'{"id":"q","image":"photos/0000.png","text":"blue"}\n'
    item, query = (records(sh(f"mmr embed {more}", stdin=line))[0] for more in ("", "--queries"))
    words = records(sh("mmr embed --text blue"))[0]["vector"]
    mixed = 0.4 * np.array(item["vector"]) + 0.6 * np.array(words)
    assert np.allclose(query["vector"], mixed / np.linalg.norm(mixed), atol=1e-6)
    assert "size" in item and "size" not in query


def test_options_that_do_not_go_together(sh, photos):
    for line in ("photos --format npy --eof", "photos --bind v", "photos --bind v=sound:x",
                 "photos --model builtin --model-of x.mmr", "--template nothing --text a"):  # fmt: skip
        assert sh(f"{EMBED} {line}").status == status.USAGE, line


def test_models_are_listed(sh):
    done = sh("mmr embed --list-models")
    assert (
        done.status == 0
        and done.lines[0].startswith("builtin")
        and any("clip " in line for line in done.lines)
    )


def test_rejects_can_be_fed_back(sh, photos):
    data = (photos / "0001.png").read_bytes()
    (photos / "0001.png").write_bytes(data[:30])
    done = sh(f"{EMBED} photos --errors bad.jsonl")
    assert done.status == status.SKIPPED and len(names(done)) == 5
    (photos / "0001.png").write_bytes(data)
    assert names(sh("mmr embed < bad.jsonl")) == ["photos/0001.png"]


def test_pixels_can_be_limited(sh, photos):
    done = sh(f"{EMBED} photos --max-pixels 29")
    assert done.status == status.SKIPPED and "6 × 5 = 30 pixels, and the limit is 29" in done.stderr


def test_real_pictures_in_a_tar(sh, shared):
    tar = shared / "data" / "pictures" / "coco_mini.tar"
    done = sh(f"mmr embed {tar} --vector-format base64 --include '*0001*'")
    assert done.status == 0 and len(done.lines) > 2
    assert records(done)[0]["image"].startswith(f"{tar}#")
