"""The gallery as files: complete, the same every time, and honest about what it cannot write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mmr.demo import gallery, plan, render
from mmr.demo.plan import Picture


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A gallery with small stand-ins for the pictures; all its other files are real."""
    folder = tmp_path_factory.mktemp("gallery")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "render", lambda picture: Image.new("RGB", (8, 8)))
        gallery.draw(folder)
    yield folder


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_item_has_its_picture_and_no_text(drawn: Path) -> None:
    items = records(drawn / "items.jsonl")
    assert len(items) >= 300
    assert {item["id"] for item in items} == {
        f"pictures/{path.name}" for path in (drawn / "pictures").iterdir()
    }
    for item in items:
        captions = item["captions"]
        assert isinstance(captions, list)
        assert len(set(captions)) == 3
        assert item["image"] == item["id"]
        assert "text" not in item
        assert " " not in str(item["id"])


def test_judgements_name_known_queries_and_pictures(drawn: Path) -> None:
    items = {item["id"] for item in records(drawn / "items.jsonl")}
    for queries, judgements in (("queries.jsonl", "qrels.tsv"), ("edits.jsonl", "edits.qrels")):
        asked = records(drawn / queries)
        lines = [line.split("\t") for line in (drawn / judgements).read_text().splitlines()]
        assert {line[0] for line in lines} == {query["id"] for query in asked}
        assert len({query["id"] for query in asked}) == len(asked) >= 100
        assert {line[2] for line in lines} <= items
        assert {line[1] for line in lines} == {"0"}
        assert {line[3] for line in lines} <= {"1", "2"}
        assert len({(line[0], line[2]) for line in lines}) == len(lines)


def test_edits_name_reference_and_target(drawn: Path) -> None:
    items = {item["id"] for item in records(drawn / "items.jsonl")}
    for edit in records(drawn / "edits.jsonl"):
        assert {edit["image"], edit["target"]} <= items
        assert edit["image"] != edit["target"]
        assert edit["exclude"] == [edit["image"]]


def test_drawing_again_replaces_and_leaves_nothing_behind(
    drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in drawn.rglob("*") if path.is_file()}
    monkeypatch.setattr(gallery, "render", lambda picture: Image.new("RGB", (8, 8)))
    gallery.draw(drawn)
    assert before == {path: path.read_bytes() for path in drawn.rglob("*") if path.is_file()}


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    target = tmp_path / "apple.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        gallery._write(target, b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_bytes_do_not_depend_on_the_run() -> None:
    chosen = [
        Picture("cat", "grey", 2, "meadow", "night"),
        Picture("house", "blue", 1, "mountains", "day", "sketch"),
    ]
    here = [gallery.encoded(render.render(picture)) for picture in chosen]
    render._scene.cache_clear()
    assert here == [gallery.encoded(render.render(picture)) for picture in chosen]
    program = (
        "import hashlib; from mmr.demo import gallery, render; from mmr.demo.plan import Picture as P; "
        f"print([hashlib.sha256(gallery.encoded(render.render(p))).hexdigest() for p in {chosen!r}])"
    ).replace("Picture(", "P(")
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mmr.demo", *arguments], capture_output=True, text=True, check=False
    )


def test_help_is_on_stdout() -> None:
    answer = run("--help")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "python -m mmr.demo DIR" in answer.stdout


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--colour"]])
def test_wrong_usage(arguments: list[str]) -> None:
    answer = run(*arguments)
    assert answer.returncode == 2
    assert "name one folder" in answer.stderr


def test_a_path_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = run(str(tmp_path / "file" / "gallery"))
    assert answer.returncode == 73
    assert "cannot write the gallery" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_link_to_pictures_of_yours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "pictures").symlink_to(tmp_path / "mine")
    answer = run(str(tmp_path / "gallery"))
    assert answer.returncode == 73
    assert "is a link" in answer.stderr
    assert list((tmp_path / "mine").iterdir()) == []


def test_importing_the_package_does_not_import_pillow() -> None:
    program = "import sys, mmr.demo; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_names_are_unique() -> None:
    pictures = plan.pictures()
    assert len({picture.id for picture in pictures}) == len(pictures)
