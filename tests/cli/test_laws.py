"""The laws of the stream, each told once in a real shell."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, Result, program_environment, restore_signals

Shell = Callable[..., Result]
DIM = 16
ITEMS = 3000


def lines(records: list[dict]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def unit(rng: np.random.Generator, count: int) -> list[list[float]]:
    rows = rng.standard_normal((count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32).tolist()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 3,000 random items, their index, and 1,500 queries."""
    folder = tmp_path_factory.mktemp("laws")
    rng = np.random.default_rng(3)
    items = [{"id": f"item {n}", "model": "toy#1", "vector": row} for n, row in enumerate(unit(rng, ITEMS))]
    asked = [
        {"note": {"b": n, "a": [None]}, "id": f"q{n}", "model": "toy#1", "vector": row}
        for n, row in enumerate(unit(rng, ITEMS // 2))
    ]
    (folder / "items.jsonl").write_bytes(lines(items))
    (folder / "q.jsonl").write_bytes(lines(asked))
    (folder / "words.tsv").write_text("text\n" + "".join(f"a cat number {n}\n" for n in range(500)))
    make = (
        "mmr index -q x.mmr items.jsonl && "
        "mmr embed -q words.tsv --id text | mmr index -q words.mmr"
    )  # fmt: skip
    subprocess.run(["bash", "-o", "pipefail", "-c", make], cwd=folder, env=program_environment(), check=True)
    return folder


@pytest.fixture
def here(built: Path, tmp_path: Path) -> Path:
    """A copy of that folder that a test may change."""
    return Path(shutil.copytree(built, tmp_path / "here"))


def test_data_on_stdout_and_talk_on_stderr(sh: Shell, here: Path) -> None:
    written = sh("mmr index new.mmr items.jsonl", cwd=here)
    assert (written.stdout, written.status) == (b"", 0)
    assert "3,000 new" in written.stderr
    asked = sh("head -1 q.jsonl | mmr query x.mmr --from - -o -", cwd=here)
    assert (asked.stderr, asked.status, len(asked.lines)) == ("", 0, 1)


def test_order_in_is_order_out_and_ids_and_fields_are_kept(sh: Shell, built: Path) -> None:
    found = [json.loads(line) for line in sh("mmr query x.mmr --from q.jsonl -k 1", cwd=built).lines]
    asked = [json.loads(line) for line in (built / "q.jsonl").read_text().splitlines()]
    assert [record["id"] for record in found] == [record["id"] for record in asked]
    for record, query in zip(found, asked, strict=True):
        assert list(record)[: len(query)] == list(query)
        assert record["note"] == query["note"]
        np.testing.assert_array_equal(np.float32(record["vector"]), np.float32(query["vector"]))


def test_one_bad_item_never_stops_a_stream(sh: Shell, here: Path) -> None:
    spoiled = (here / "q.jsonl").read_bytes().splitlines(keepends=True)[:10]
    spoiled[4] = spoiled[4].replace(b'"vector": [', b'"vector": ["x", ')
    done = sh("mmr query x.mmr --format ids -k 1 --errors bad.jsonl", cwd=here, stdin=b"".join(spoiled))
    assert (len(done.lines), done.status) == (9, 3)
    assert "stdin line 5" in done.stderr
    kept = json.loads((here / "bad.jsonl").read_bytes())
    assert (kept["id"], kept["stage"], kept["note"]) == ("q4", "read", {"b": 4, "a": [None]})
    again = sh("sed 's/\"x\",//' bad.jsonl | mmr query x.mmr -k 1", cwd=here)
    assert (again.status, again.stderr) == (0, "")
    answer = json.loads(again.stdout)
    assert answer["id"] == "q4" and "error" not in answer and "stage" not in answer


def test_strict_stops_at_the_first_bad_item(sh: Shell, here: Path) -> None:
    done = sh("{ head -2 items.jsonl; echo x; tail -1 items.jsonl; } | mmr index new.mmr --strict", cwd=here)
    assert done.status == 65
    assert "stdin line 3" in done.stderr


def test_the_same_bytes_at_any_thread_count_and_however_the_stream_is_cut(sh: Shell, built: Path) -> None:
    ask = "mmr query x.mmr -k 5"
    done = sh(
        f"{ask} --from q.jsonl > $TMP/1; {ask} --threads 2 --from q.jsonl > $TMP/2; "
        f"{{ head -700 q.jsonl | {ask}; tail -n +701 q.jsonl | {ask}; }} > $TMP/3; "
        f"for n in 1 700 1500; do sed -n ${{n}}p q.jsonl | {ask}; done > $TMP/4; "
        "sed -n '1p;700p;1500p' $TMP/1 > $TMP/5; "
        "cmp $TMP/1 $TMP/2 && cmp $TMP/1 $TMP/3 && cmp $TMP/4 $TMP/5 && wc -l < $TMP/1; rm -r $TMP",
        cwd=built, env={"TMP": subprocess.check_output(["mktemp", "-d"], text=True).strip()},
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == (b"1500", "")


def test_embeddings_do_not_depend_on_the_batch(sh: Shell) -> None:
    done = sh(
        "for n in 1 5; do mmr embed --batch $n --text 'a cat' --text 'a dog on the green grass at night' "
        "--text x --text 'an apple' --text red > $n; done; cat 1 5"
    )
    assert done.status == 0
    rows = np.array([json.loads(line)["vector"] for line in done.lines])
    assert rows.shape[0] == 10
    np.testing.assert_allclose(rows[:5], rows[5:], atol=1e-6)


@pytest.mark.parametrize("command", ["mmr index x.mmr", "mmr query x.mmr"])
def test_vectors_of_different_models_never_meet(sh: Shell, here: Path, command: str) -> None:
    other = {"id": "a", "model": "other#2", "vector": [1.0] * DIM}
    done = sh(command, cwd=here, stdin=lines([other]))
    assert (done.stdout, done.status) == (b"", 65)
    assert "toy#1" in done.stderr and "other#2" in done.stderr


def test_files_joined_by_cat_are_one_stream(sh: Shell, here: Path) -> None:
    done = sh(
        "head -5 items.jsonl | head -c -1 > a.jsonl; tail -5 items.jsonl > b.jsonl; echo >> a.jsonl; "
        "cat a.jsonl b.jsonl | mmr index one.mmr && mmr index two.mmr a.jsonl b.jsonl && "
        "cmp <(mmr index one.mmr --dump) <(mmr index two.mmr --dump) && mmr index one.mmr --dump | wc -l",
        cwd=here,
    )  # fmt: skip
    assert (done.stdout.strip(), done.status) == (b"10", 0)


@pytest.mark.parametrize(
    "command",
    ["mmr query x.mmr --from q.jsonl", "mmr query x.mmr --from q.jsonl --format trec",
     "mmr index x.mmr --dump", "mmr show items.jsonl", "mmr embed -q words.tsv"],
)  # fmt: skip
def test_a_closed_pipe_ends_silently(sh: Shell, built: Path, command: str) -> None:
    done = sh(f"{command} | head -1; echo ${{PIPESTATUS[0]}}", cwd=built)
    assert (done.stderr, done.lines[-1], len(done.lines)) == ("", "0", 2)


def next_line(child: subprocess.Popen[bytes]) -> str:
    """The next line that a program writes; one that holds it back for half a minute is ended."""
    assert child.stdout is not None
    if not select.select([child.stdout], [], [], 30)[0]:
        child.kill()
        pytest.fail("no answer came while the pipe stayed open")
    return child.stdout.readline().decode().strip()


def test_a_program_can_ask_line_by_line(built: Path) -> None:
    with start("mmr query x.mmr -k 1 --format ids", built) as child:
        assert child.stdin is not None and child.stdout is not None
        for line in (built / "items.jsonl").read_bytes().splitlines(keepends=True)[:3]:
            child.stdin.write(line)
            child.stdin.flush()
            assert next_line(child) == json.loads(line)["id"]
        child.stdin.close()
        assert child.wait(30) == 0


def test_embed_answers_line_by_line_too(built: Path) -> None:
    with start(
        "bash -c 'mmr embed -q --model-of words.mmr | mmr query words.mmr -k 1 --format ids'", built
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        for words in ("a cat number 7", "a cat number 300"):
            child.stdin.write(json.dumps({"text": words}).encode() + b"\n")
            child.stdin.flush()
            assert next_line(child) == words
        child.stdin.close()
        assert child.wait(30) == 0


def test_one_index_at_both_ends_of_a_pipe(sh: Shell, here: Path) -> None:
    embed = "mmr embed -q words.tsv --id text --skip-indexed words.mmr"
    done = sh(f"{embed} | mmr index words.mmr; echo ${{PIPESTATUS[@]}}", cwd=here, timeout=60)
    assert (done.lines, "500 kept" in done.stderr) == (["0 0"], True), done.stderr


def start(line: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["bash", "-c", f"exec {line}"], cwd=folder, env=program_environment(), preexec_fn=restore_signals,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_until_it_reads(child: subprocess.Popen[bytes]) -> None:
    """A bad line is reported as soon as it is read."""
    assert child.stdin is not None and child.stderr is not None
    child.stdin.write(b"nonsense\n")
    child.stdin.flush()
    assert b"stdin line 1" in child.stderr.readline()


@pytest.mark.parametrize(
    "command",
    ["mmr index x.mmr", "mmr query x.mmr -o out.jsonl", "mmr show --html out.html", "mmr embed -o out.jsonl"],
)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_an_interrupted_run_leaves_quietly_and_leaves_nothing(
    here: Path, command: str, number: int, status: int
) -> None:
    before = sorted(path.name for path in here.iterdir())
    with start(command, here) as child:
        wait_until_it_reads(child)
        child.send_signal(number)
        stdout, stderr = child.communicate(timeout=30)
    assert (stdout, stderr.strip(), child.returncode) == (b"", b"", status)
    assert sorted(path.name for path in here.iterdir()) == before


def test_an_interrupt_while_modules_load_leaves_quietly(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = subprocess.run(
        [sys.executable, "-m", "mmr", "--help"], capture_output=True, preexec_fn=restore_signals,
        env=program_environment({"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}),
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", -signal.SIGINT)


def test_an_ignored_interrupt_stays_ignored(here: Path) -> None:
    with start("bash -c \"trap '' INT; exec mmr query x.mmr -k 1 --format ids\"", here) as child:
        wait_until_it_reads(child)
        child.send_signal(signal.SIGINT)
        stdout, _ = child.communicate(
            (here / "items.jsonl").read_bytes().splitlines(keepends=True)[0], timeout=30
        )
    assert (stdout, child.returncode) == (b"item 0\n", 3)


def test_nothing_half_written_is_ever_seen(here: Path) -> None:
    (here / "out.jsonl").write_text("old\n")
    with start("mmr query x.mmr -o out.jsonl", here) as child:
        wait_until_it_reads(child)
        assert child.stdin is not None
        child.stdin.write((here / "q.jsonl").read_bytes())
        child.stdin.flush()
        time.sleep(0.2)
        child.kill()
    assert (here / "out.jsonl").read_text() == "old\n"


@pytest.mark.parametrize(
    "command",
    ["mmr query x.mmr --from q.jsonl > /dev/full", "mmr query x.mmr --from q.jsonl -o /dev/full",
     "mmr index x.mmr --dump > /dev/full", "mmr show items.jsonl > /dev/full",
     "mmr embed -q words.tsv > /dev/full", "mmr embed -q words.tsv --format npy > /dev/full",
     "head -1 q.jsonl | mmr query x.mmr --format ids > /dev/full"],
)  # fmt: skip
def test_a_full_disk_is_said(sh: Shell, built: Path, command: str) -> None:
    done = sh(command, cwd=built)
    assert done.status == 74
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_a_file_that_does_not_fit_is_not_left_behind(sh: Shell, here: Path) -> None:
    done = sh("ulimit -f 100; trap '' XFSZ; mmr query x.mmr --from q.jsonl -o out.jsonl", cwd=here)
    assert done.status == 74
    assert "File too large" in done.stderr
    assert not [path.name for path in here.iterdir() if "out.jsonl" in path.name]


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("mmr query x.mmr --from q.jsonl >&-", 73, "standard output is closed"),
        ("mmr index x.mmr --dump >&-", 73, "standard output is closed"),
        ("mmr query x.mmr <&-", 2, "standard input is closed"),
        ("mmr index x.mmr <&-", 2, "standard input is closed"),
    ],
)
def test_closed_streams_are_said(sh: Shell, here: Path, command: str, status: int, words: str) -> None:
    done = sh(command, cwd=here)
    assert (done.status, words in done.stderr) == (status, True), done.stderr


def test_a_closed_stderr_changes_nothing(sh: Shell, built: Path) -> None:
    done = sh("{ echo x; head -1 q.jsonl; } | mmr query x.mmr --format ids -k 1 2>&-", cwd=built)
    assert (len(done.lines), done.status) == (1, 3)


def test_colour_only_where_it_is_wanted(sh: Shell, built: Path) -> None:
    show = "head -2 q.jsonl | mmr query x.mmr -k 2 | mmr show"
    plain = sh(show, cwd=built, env={"NO_COLOR": ""})
    assert b"\x1b" not in plain.stdout and plain.status == 0
    assert b"\x1b[" in sh(show, cwd=built, env={"NO_COLOR": "", "FORCE_COLOR": "1"}).stdout
    assert b"\x1b" not in sh(show, cwd=built, env={"NO_COLOR": "1"}).stdout


def on_a_terminal(line: str, folder: Path, environment: dict[str, str]) -> tuple[str, int]:
    """Run a line with stdin, stdout and stderr on a terminal; return what it drew and its status."""
    mine, theirs = pty.openpty()
    child = subprocess.Popen(
        ["bash", "-c", f"exec {line}"], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
        env=program_environment({"TERM": "xterm", "COLUMNS": "100", **environment}), start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    while True:
        try:
            chunk = os.read(mine, 65536)
        except OSError:
            break
        if not chunk:
            break
        drawn += chunk
    os.close(mine)
    return drawn.decode(), child.wait(30)


def test_a_terminal_gets_a_table_and_a_pipe_gets_records(built: Path) -> None:
    ask = "mmr query x.mmr --from q.jsonl -k 1"
    drawn, status = on_a_terminal(ask, built, {"NO_COLOR": "1"})
    assert status == 0
    assert "item " in drawn and '{"' not in drawn and "\x1b[3" not in drawn


@pytest.mark.parametrize("command", ["mmr index x.mmr", "mmr query x.mmr", "mmr embed", "mmr show"])
def test_a_terminal_with_nothing_named_gets_the_help(built: Path, command: str) -> None:
    drawn, status = on_a_terminal(command, built, {})
    assert (status, "Usage: " in drawn, "Examples:" in drawn) == (2, True, True)
