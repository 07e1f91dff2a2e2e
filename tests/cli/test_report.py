"""What is said of bad items: the first of a fault in full, some more in short, the rest as a number."""

from __future__ import annotations

import json

import pytest

from mmr.cli.report import KINDS, SAME, Report
from mmr.errors import BadItem


def item(line, what="has no picture and no words", fix='give it "image" or "text"'):
    return BadItem(f"stdin line {line}", what, fix, stage="embed", record={"id": str(line)})


def said(capsys):
    return capsys.readouterr().err.splitlines()


def test_one_fault_of_many_records(capsys, tmp_path):
    with Report("embed") as report:
        for line in range(1, 1001):
            report(item(line))
        report.summary(new=0)
    lines = said(capsys)
    assert lines[0] == 'mmr embed: stdin line 1: has no picture and no words; give it "image" or "text"'
    assert lines[1:SAME] == [
        f"mmr embed: stdin line {line}: has no picture and no words" for line in range(2, SAME + 1)
    ]
    assert lines[SAME:] == [
        f"mmr embed: {1000 - SAME} more like these (has no picture and no words); "
        "--errors FILE keeps them all",
        "mmr embed: 0 new, 1,000 failed",
    ]


def test_faults_are_told_apart(capsys):
    with Report("embed") as report:
        for line in range(1, SAME + 3):
            report(item(line))
            report(item(line, "is no JSON", ""))
    lines = said(capsys)
    assert len(lines) == 2 * SAME + 2 and lines[1] == "mmr embed: stdin line 1: is no JSON"
    assert [line.split(";")[0] for line in lines[-2:]] == [
        "mmr embed: 2 more like these (has no picture and no words)",
        "mmr embed: 2 more like these (is no JSON)",
    ]


def test_faults_of_their_own_are_all_told_in_full(capsys):
    with Report("embed") as report:
        for line in range(KINDS + 50):
            report(item(line, f"the hit {line} is not there", "look"))
    assert said(capsys) == [
        f"mmr embed: stdin line {line}: the hit {line} is not there; look" for line in range(KINDS + 50)
    ]


def test_all_of_them_are_kept(capsys, tmp_path):
    with Report("embed", errors=str(tmp_path / "bad.jsonl")) as report:
        for line in range(100):
            report(item(line))
    kept = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [one["id"] for one in kept] == [str(line) for line in range(100)]
    assert said(capsys)[-1] == f"mmr embed: {100 - SAME} more like these (has no picture and no words)"


def test_an_error_that_ends_the_run_leaves_the_count(capsys):
    with pytest.raises(ZeroDivisionError), Report("embed") as report:
        for line in range(SAME + 1):
            report(item(line))
        raise ZeroDivisionError
    assert said(capsys)[-1].startswith("mmr embed: 1 more like these")


def test_a_strict_run_stops_at_the_first(capsys):
    with pytest.raises(BadItem), Report("embed", strict=True) as report:
        report(item(1))
    assert said(capsys) == []


def test_by_hand(sh):
    done = sh("for i in $(seq 50); do echo '{}'; done | mmr embed")
    lines = done.stderr.splitlines()
    assert done.status == 3 and len(lines) == SAME + 2 and len(max(lines, key=len)) < 150
    assert lines[-1] == "mmr embed: 0 new, 0 changed, 0 kept, 50 failed"
