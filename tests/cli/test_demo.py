"""`make demo` as a stranger sees it: every command is shown before it runs, and the pictures answer."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.conftest import ROOT, program_environment


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """The folder and the output of one tour."""
    folder = tmp_path_factory.mktemp("tour") / "demo"
    done = subprocess.run(
        ["bash", str(ROOT / "mmr/demo/tour.sh"), str(folder)], capture_output=True, text=True, timeout=300,
        env=program_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_first_pictures_are_red_apples(tour):
    hits = re.search(r"\na red apple\n((?: +\d.*\n)+)", tour[1])[1].splitlines()
    assert len(hits) == 5 and all("apple-red" in hit for hit in hits[:3])


def test_each_command_is_shown_and_the_page_is_whole(tour):
    folder, said = tour
    shown = [line for line in said.splitlines() if line.startswith("$ ")]
    assert len(shown) >= 6 and any("--skip-indexed" in line for line in shown)
    page = (folder / "gallery.html").read_text()
    assert page.count("<img") >= 60 and page.rstrip().endswith("</html>")
    assert said.split("What to try next\n")[1].strip().count("\n") == 2


@pytest.mark.parametrize("words, wanted", [("two cars", "car-red-two"), ("a blue fish", "fish-blue"),
                                           ("a yellow star", "star-yellow")])  # fmt: skip
def test_answers_are_right(tour, sh, words, wanted):
    done = sh(f"mmr query pics.mmr '{words}' -k 1 --format ids", cwd=tour[0])
    assert done.status == 0 and wanted in done.lines[0]


def test_pictures_of_yours(tour, sh, tmp_path):
    done = sh(f"bash {ROOT}/mmr/demo/tour.sh mine", env={"PICS": str(tour[0] / "pictures")}, timeout=300)
    assert done.status == 0, done.stderr
    assert "508 new" in done.stderr and not (tmp_path / "mine" / "pictures").exists()
