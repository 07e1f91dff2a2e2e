"""The table: aligned, cut to the terminal, safe, plain where nobody looks."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys

import pytest

from mmr.errors import OutputError
from mmr.show.table import Look, blocks, print_hits
from mmr.show.words import cells
from tests.conftest import program_environment

PLAIN = Look(None, False)
HITS = {
    "id": "q1",
    "text": "a red apple",
    "hits": [
        {"id": "pics/apple.png", "score": 0.98123, "image": "pics/apple.png", "text": "a red apple"},
        {"id": "pics/a-much-longer-name-of-a-pear.png", "score": 0.5, "text": "a pear,\nlying"},
    ],
}


def lines(records, look=PLAIN):
    return [line for block in blocks(records, look) for line in block]


def test_hits_are_aligned():
    assert lines([HITS]) == [
        "a red apple  q1",
        " 1  0.9812  pics/apple.png                         a red apple",
        " 2  0.5000  pics/a-much-longer-name-of-a-pear.png  a pear, lying",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    wide = {"id": "東京" * 40, "score": 1.0, "text": "京" * 90, "image": "/elsewhere/" + "x" * 70}
    records = [{**HITS, "hits": [*HITS["hits"], wide]}, {"id": "i" * 99, "text": "w" * 300}]
    shown = lines(records, Look(width, False))
    assert max(map(cells, shown)) <= width
    assert len(shown) == 6


def test_forty_columns_show_the_ids():
    assert lines([HITS], Look(40, False))[2] == " 2  0.5000  pics/a-much-lo…of-a-pear.png"


def test_rank_and_score_stay_aligned_in_long_lists():
    hits = [{"id": f"{i}", "score": 100.0 - i} for i in range(120)]
    shown = lines([{"id": "q", "hits": hits}])
    assert {re.match(r" *\d+ +-?\d+\.\d{4}  ", line).end() for line in shown[1:]} == {16}


def test_a_picture_that_the_id_does_not_tell_has_its_own_column():
    same = {"id": "a.png", "score": 1.0, "image": "/home/me/a.png"}
    other = {"id": "item 7", "score": 0.5, "image": "pics/b.png"}
    assert lines([{"id": "q", "hits": [same]}])[1] == " 1  1.0000  a.png"
    assert lines([{"id": "q", "hits": [other]}])[1] == " 1  0.5000  item 7  pics/b.png"


def test_queries_without_hits_and_with_pictures():
    query = {"id": "7", "image": "ref.jpg", "text": "at night", "hits": []}
    assert lines([query]) == ["ref.jpg + at night  7", "  no hits"]


def test_items_and_queries_mix():
    items = [{"id": f"{i}.png", "text": "x"} for i in range(3)]
    shown = lines([*items, HITS, *items[:1]])
    assert shown[:3] == ["0.png  x", "1.png  x", "2.png  x"]
    assert shown[3:5] == ["", "a red apple  q1"]
    assert shown[-2:] == ["", "0.png  x"]


def test_many_items_keep_their_columns():
    shown = lines({"id": f"{i:05}", "text": "x"} for i in range(1000))
    assert shown == [f"{i:05}  x" for i in range(1000)]


def test_nothing_acts_on_the_terminal():
    evil = "\x1b]0;owned\x07\x9b31m\r\n\u202e"
    record = {"id": evil, "text": evil, "image": evil, "hits": [{"id": evil, "score": 1.0, "text": evil}]}
    text = "".join(lines([record, {"id": evil, "image": f"x{evil}"}]))
    assert text.isprintable()
    assert "\\x1b]0;owned\\x07" in text


def test_colours_only_when_asked(sh):
    line = json.dumps(HITS).encode()
    plain = sh("mmr show", stdin=line)
    assert plain.status == 0
    assert b"\x1b" not in plain.stdout
    forced = sh("mmr show", stdin=line, env={"NO_COLOR": "", "FORCE_COLOR": "1"})
    assert b"\x1b[1ma red apple\x1b[0m" in forced.stdout
    assert re.sub(rb"\x1b\[\d*m", b"", forced.stdout) == plain.stdout
    assert sh("mmr show", stdin=line, env={"FORCE_COLOR": "1"}).stdout == plain.stdout  # NO_COLOR is set


def test_a_pipe_is_not_cut_unless_columns_says_so(sh):
    line = json.dumps({"id": "x" * 300}).encode()
    assert sh("mmr show", stdin=line).stdout == b"x" * 300 + b"\n"
    cut = sh("mmr show", stdin=line, env={"COLUMNS": "40"}).stdout.decode().rstrip("\n")
    assert len(cut) == 40
    assert "…" in cut


def test_a_terminal_that_knows_no_ellipsis(sh):
    line = json.dumps({"id": "é" * 60}).encode()
    shown = sh("mmr show", stdin=line, env={"COLUMNS": "40", "PYTHONIOENCODING": "latin-1"})
    assert shown.status == 0
    assert shown.stdout.startswith("é".encode("latin-1"))
    assert b"\\u2026" in shown.stdout


def test_trec_runs_are_shown(sh):
    shown = sh("mmr show", stdin=b"q1 Q0 d1 1 0.5 x\nq1 Q0 d2 2 0.25 x\n")
    assert shown.lines == ["q1", " 1  0.5000  d1", " 2  0.2500  d2"]


def test_bad_lines_are_skipped_and_counted(sh):
    shown = sh("mmr show", stdin=b'{"id":"a"}\nnonsense\n{"id":"b","hits":[{"id":3}]}\n{"id":"c"}\n')
    assert shown.stdout == b"a\nc\n"
    assert shown.status == 3
    assert "stdin line 2" in shown.stderr
    assert "stdin line 3" in shown.stderr


def test_an_empty_stream_is_no_error(sh):
    shown = sh("mmr show")
    assert (shown.stdout, shown.stderr, shown.status) == (b"", "", 0)


def test_title_without_a_page_is_a_usage_error(sh):
    assert sh("mmr show --title x", stdin=b"").status == 2


def test_a_missing_file_and_a_closed_pipe(sh):
    assert sh("mmr show nowhere.jsonl").status == 66
    many = b"".join(b'{"id":"item-%d"}\n' % i for i in range(50_000))
    done = sh("mmr show | head -1; echo ${PIPESTATUS[0]}", stdin=many)
    assert done.lines == ["item-0", "0"]
    assert done.stderr == ""


def test_an_answer_is_shown_as_soon_as_it_is_there():
    process = subprocess.Popen([sys.executable, "-m", "mmr", "show"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=program_environment())  # fmt: skip
    try:
        process.stdin.write(json.dumps(HITS).encode() + b"\n")
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 30)[0]
        assert process.stdout.readline() == b"a red apple  q1\n"
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def test_nothing_named_on_a_terminal_prints_help(tmp_path):
    master, slave = pty.openpty()
    try:
        done = subprocess.run([sys.executable, "-m", "mmr", "show"], stdin=slave, capture_output=True,
                              env=program_environment(), timeout=60)  # fmt: skip
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 2
    assert b"mmr query pics.mmr" in done.stderr


def test_a_real_terminal_gets_colours_and_its_width(tmp_path):
    import fcntl
    import struct
    import termios

    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps(HITS))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    environment = {**program_environment(), "NO_COLOR": "", "TERM": "xterm"}
    try:
        subprocess.run([sys.executable, "-m", "mmr", "show", str(file)], stdin=slave, stdout=slave,
                       env=environment, timeout=60, check=True)  # fmt: skip
        shown = os.read(master, 65536).decode()
    finally:
        os.close(master)
        os.close(slave)
    assert "\x1b[36m0.9812\x1b[0m" in shown
    assert max(cells(re.sub(r"\x1b\[\d*m", "", line)) for line in shown.splitlines()) <= 40


def test_the_table_needs_nothing_heavy(sh):
    code = (
        "import sys, io; from mmr.cli.main import run; sys.stdin = None\n"
        "assert run(['show', 'q.jsonl']) == 0\n"
        "print(sorted({'numpy', 'PIL', 'rich', 'torch', 'faiss'} & set(sys.modules)))"
    )
    done = sh(f'echo \'{{"id":"a","hits":[]}}\' > q.jsonl; python -c "{code}"')
    assert done.lines[-1] == "[]"


def test_a_table_in_a_file_is_plain_and_whole(tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    file = tmp_path / "table.txt"
    print_hits([HITS], str(file))
    assert file.read_text() == "".join(f"{line}\n" for line in lines([HITS]))

    def broken():
        yield HITS
        raise ValueError("the stream died")

    with pytest.raises(ValueError, match="died"):
        print_hits(broken(), str(file))
    assert file.read_text().count("\n") == 3
    with pytest.raises(OutputError):
        print_hits([HITS], str(tmp_path / "nowhere" / "table.txt"))


def test_why_stands_below_a_hit():
    hits = {"id": "q", "text": "red", "hits": [{"id": "a", "score": 1.0, "why": "red 0.7500,\ncar 0.2500"},
                                               {"id": "b", "score": 0.5}]}  # fmt: skip
    plain, said = lines([hits], Look(None, False)), lines([hits], Look(None, False, explain=True))
    assert said == [*plain[:2], " " * 12 + "red 0.7500, car 0.2500", plain[2]]
    assert lines([hits], Look(30, False, explain=True))[2] == " " * 12 + "red 0.7500, car 0…"
