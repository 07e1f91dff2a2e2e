"""The Makefile of mmr-protocols(7), on stand-ins of four benchmarks that we draw ourselves."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.compose.programs import asked, write_program
from tests.conftest import ROOT
from tests.evaluate.protocols.naive import FILES
from tests.evaluate.protocols.test_pipes import draw

PAGE = ROOT / "man" / "prose" / "mmr-protocols.7.md"


def listing(name: str) -> str:
    """An example of the page, as a user copies it."""
    body = PAGE.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")[2]
    lines = []
    for line in body.splitlines():
        if line and not line.startswith("    "):
            break
        lines.append(line[4:])
    return "\n".join(lines).strip() + "\n"


def put(source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(FILES / source, target)


@pytest.fixture
def here(tmp_path):
    """The annotation files of the tests and pictures for them, laid out as the page says."""
    if shutil.which("make") is None:
        pytest.skip("needs GNU make")
    (tmp_path / "Makefile").write_text(listing("makefile"))
    (tmp_path / "crops.py").write_text(listing("crops.py"))
    data = tmp_path / "data"
    put("cap.rc2.val.json", data / "cirr/captions/cap.rc2.val.json")
    put("split.rc2.val.json", data / "cirr/image_splits/split.rc2.val.json")
    for number, path in enumerate(json.loads((FILES / "split.rc2.val.json").read_text()).values()):
        draw(data / "cirr/images" / path, number)
    put("val.json", data / "circo/annotations/val.json")
    for number in (900, 901, *range(11, 17), 21, 22):
        draw(data / "circo/images" / f"{number:012d}.jpg", number)
    for category, letter in (("dress", "A"), ("shirt", "B")):
        put(f"cap.{category}.val.json", data / f"fashioniq/captions/cap.{category}.val.json")
        put(f"split.{category}.val.json", data / f"fashioniq/image_splits/split.{category}.val.json")
        for name in json.loads((FILES / f"split.{category}.val.json").read_text()):
            draw(data / f"fashioniq/images/{name}.png", int(name[-1]) + 5 * (letter == "B"))
    for file in ("focus_object", "change_attribute"):
        put(f"{file}.json", data / f"genecis/{file}.json")
    for number in range(1, 10):
        draw(data / f"genecis/images/val2017/{number:012d}.jpg", number)
    for number in (2345, 77, 78):
        draw(data / f"genecis/VG_100K/{number}.jpg", number)
    return tmp_path


def test_from_pictures_to_figures(sh, here):
    program = write_program(here)
    setting = f"MODEL=builtin PYTHON={sys.executable} CAPTION='{program}' REWRITE='{program}'"
    result = sh(f"make -s {setting}", env={"XDG_CACHE_HOME": str(here / "cache")}, timeout=300)
    assert result.status == 0, result.stderr
    for figure in ("R_subset@1", "Avg", "AP(norm=min)@5", "dress", "focus_object", "change_attribute"):
        assert figure in result.stdout.decode(), figure
    words = [json.loads(line) for line in (here / "fashioniq.words.jsonl").read_text().splitlines()]
    assert words[0]["edited"] == f"{words[0]['caption']}, is longer and has no sleeves"
    hits = [json.loads(line) for line in (here / "cirr.hits.jsonl").read_text().splitlines()]
    for query in hits:
        assert query["image"] not in {hit["id"] for hit in query["hits"]}
    crops = sorted(path.name for path in (here / "data/genecis/images/crops").iterdir())
    assert crops == ["2345_10_20_30_40.png", "77_0_0_9_9.png", "77_5_5_9_9.png", "78_0_0_9_9.png"]
    captions = [line for line in asked(here) if line.startswith("caption")]
    assert len(captions) == len(set(captions))  # a reference with two changes is captioned once


def test_words_edited_by_hand_change_the_query(sh, here):
    program = write_program(here)
    setting = f"MODEL=builtin CAPTION='{program}' REWRITE='{program}' PRESET=cirevl circo"
    environment = {"XDG_CACHE_HOME": str(here / "cache")}
    assert sh(f"make -s {setting}", env=environment, timeout=300).status == 0
    before = (here / "circo.hits.jsonl").read_text()
    count = len(asked(here))
    sh('sed -i \'s/"edited":"[^"]*"/"edited":"a red thing"/\' circo.words.jsonl')
    assert sh(f"make -s {setting}", env=environment, timeout=300).status == 0
    after = [json.loads(line) for line in (here / "circo.hits.jsonl").read_text().splitlines()]
    assert {query["edited"] for query in after} == {"a red thing"}
    assert after[0]["hits"] == after[1]["hits"] != json.loads(before.splitlines()[0])["hits"]
    assert len(asked(here)) == count


def test_without_a_captioner(sh, here):
    line = "make -s MODEL=builtin WORDS=cat PRESET=weighted fashioniq"
    result = sh(line, env={"XDG_CACHE_HOME": str(here / "cache")}, timeout=300)
    assert result.status == 0, result.stderr
    via = json.loads((here / "fashioniq.hits.jsonl").read_text().splitlines()[0])["via"]
    assert any("t_m=text:texts" in step for step in via)
