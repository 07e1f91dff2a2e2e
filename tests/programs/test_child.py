"""Programs in the pipe: order, faults, limits, a clean end."""

from __future__ import annotations

import os
import signal
import time
from itertools import islice
from pathlib import Path

import pytest

from mmr.errors import UnavailableError, UsageError
from mmr.programs.cache import Cache
from mmr.programs.child import Child

ECHO = """
for line in sys.stdin:
    request = json.loads(line)
    say({"key": request["key"], "caption": request["text"].upper()})
"""


def captions(child: Child, texts: list[str]) -> list[str]:
    """The caption, or the problem, of each text."""
    return [
        answer.problem if answer.fields is None else answer.fields["caption"]
        for answer in child.answers({"text": text} for text in texts)
    ]


def ends(pid: int, seconds: float = 5.0) -> bool:
    """Whether a process is gone within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_hello_names_protocol_and_role(program):
    with Child(program("", hello='say({"tag": hello["role"] + str(hello["protocol"])})'), "caption") as child:
        assert child.hello == {"tag": "caption1"}


def test_answers_keep_the_order_of_the_requests(program):
    body = """
import random
held = []
for line in sys.stdin:
    held.append(json.loads(line))
    random.shuffle(held)
    if len(held) == 4:
        while held:
            request = held.pop()
            say({"key": request["key"], "caption": request["text"]})
"""
    texts = [str(number) for number in range(100)]
    with Child(program(body), "caption", window=8) as child:
        assert captions(child, texts) == texts


def test_the_window_is_filled_and_never_passed(program):
    body = """
import select
held = []
os.set_blocking(0, False)
rest = b""
while True:
    select.select([0], [], [])
    data = os.read(0, 1 << 16)
    if not data:
        break
    *lines, rest = (rest + data).split(b"\\n")
    held += [json.loads(line)["key"] for line in lines]
    if len(held) >= 5:
        time.sleep(0.1)
        more = bool(select.select([0], [], [], 0)[0])
        for key in held:
            say({"key": key, "caption": [len(held), more]})
        held = []
"""
    taken = []

    def requests():
        for number in range(10):
            taken.append(number)
            yield {"text": str(number)}

    with Child(program(body), "caption", window=5, seconds=60) as child:
        answers = child.answers(requests())
        assert next(answers).fields == {"caption": [5, False]}
        assert len(taken) == 5
        assert [answer.fields for answer in answers] == [{"caption": [5, False]}] * 9


def test_large_lines_both_ways_do_not_block(program):
    text = "x" * 3_000_000
    with Child(program(ECHO), "caption", window=4) as child:
        assert captions(child, [text] * 6) == [text.upper()] * 6


def test_an_error_of_one_request_is_its_own(program):
    body = """
for line in sys.stdin:
    request = json.loads(line)
    bad = request["text"] == "b"
    say({"key": request["key"], **({"error": "too\\ndark"} if bad else {"caption": "ok"})})
"""
    with Child(program(body), "caption") as child:
        assert captions(child, ["a", "b", "c"]) == ["ok", r"the program says: too\ndark", "ok"]


FAULTS = {
    "dies": ("os._exit(7)", "it ended with status 7"),
    "killed": ("os.kill(os.getpid(), 9)", "it ended by signal 9"),
    "hangs": ("time.sleep(60)", "it did not answer within 1 s"),
    "rubbish": ('print("<html>\\x1b[31m", flush=True)', r"it wrote '<html>\\x1b[31m', which is no JSON"),
    "no object": ("say([1])", "it wrote '[1]', which is no JSON object"),
    "other key": ('say({"key": "no"})', 'whose "key" is none that it was asked'),
}


@pytest.mark.parametrize(("fault", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_a_request_that_breaks_the_program_spares_the_others(program, fault, words):
    body = f"""
for line in sys.stdin:
    request = json.loads(line)
    if request["text"] == "poison":
        {fault}
    else:
        say({{"key": request["key"], "caption": "ok"}})
"""
    texts = ["a", "b", "poison", "c", "d", "e"]
    seconds = 1 if "answer within" in words else 60
    with Child(program(body), "caption", window=4, seconds=seconds) as child:
        answers = captions(child, texts)
    assert answers[:2] + answers[3:] == ["ok"] * 5
    assert answers[2].startswith("the program failed on it twice: ")
    assert words in answers[2]


def test_a_crash_that_does_not_come_back_costs_nothing(program, tmp_path):
    flag = tmp_path / "crashed"
    body = f"""
for line in sys.stdin:
    request = json.loads(line)
    if request["text"] == "c" and not os.path.exists({str(flag)!r}):
        open({str(flag)!r}, "w").close()
        os._exit(1)
    say({{"key": request["key"], "caption": request["text"]}})
"""
    with Child(program(body), "caption") as child:
        assert captions(child, list("abcdef")) == list("abcdef")


def test_a_program_that_only_dies_is_given_up(program, tmp_path):
    log = tmp_path / "starts"
    command = program(f"open({str(log)!r}, 'a').write('x'); sys.stdin.readline(); os._exit(3)")
    words = "failed 4 times in a row; at last it ended with status 3"
    with Child(command, "caption") as child, pytest.raises(UnavailableError, match=words):
        captions(child, [str(number) for number in range(100)])
    assert log.read_text() == "xxxx"


@pytest.mark.parametrize(
    ("hello", "words"),
    [
        ("", r"did not say hello: it ended with status 0"),
        ("sys.exit(4)", "it ended with status 4"),
        ("print('Loading model...', flush=True)", "which is no JSON"),
        ('say({"name": "x"})', 'has no "tag"'),
        ("time.sleep(30)", "did not answer within 0.5 s"),
    ],
)  # fmt: skip
def test_no_hello_is_unavailable(program, hello, words):
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=words):
        Child(program("", hello=hello), "caption", start_seconds=0.5)
    assert time.monotonic() - started < 25


def test_another_hello_after_a_restart_is_refused(program):
    body = "sys.stdin.readline(); os._exit(1)"
    command = program(body, hello='say({"tag": str(os.getpid())})')
    with Child(command, "caption") as child, pytest.raises(UnavailableError, match="another hello"):
        captions(child, ["a"])


def test_commands_are_split_as_a_shell_would_and_no_shell_runs(program, tmp_path):
    command = program("", hello='say({"tag": "|".join(sys.argv[1:])})')
    with Child(f"{command} 'a b' \"c\" $HOME ; touch x", "caption") as child:
        assert child.hello["tag"] == "a b|c|$HOME|;|touch|x"
    with pytest.raises(UsageError, match="cannot be split"):
        Child("program 'unclosed", "caption")
    with pytest.raises(UsageError, match="empty"):
        Child("  ", "caption")
    with pytest.raises(UnavailableError, match="cannot be started"):
        Child(str(tmp_path / "nothing"), "caption")


def test_close_ends_the_program(program):
    child = Child(program(ECHO, hello='say({"tag": str(os.getpid())})'), "caption")
    child.close()
    child.close()
    assert ends(int(child.hello["tag"]), 0.1)


def test_close_kills_a_program_that_stays(program, monkeypatch):
    monkeypatch.setattr("mmr.programs.child.END_SECONDS", 0.2)
    body = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)"
    child = Child(program(body, hello='say({"tag": str(os.getpid())})'), "caption")
    time.sleep(0.2)
    assert child._lines is not None
    child._lines.close(seconds=0.2)
    assert ends(int(child.hello["tag"]), 0.1)
    child._lines = None


def test_answers_left_unread_do_not_mix_with_the_next(program):
    with Child(program(ECHO), "caption", window=4) as child:
        first = child.answers({"text": text} for text in "abcdefgh")
        assert [answer.fields for answer in islice(first, 1)] == [{"caption": "A"}]
        first.close()
        assert captions(child, ["x", "y"]) == ["X", "Y"]


def test_text_that_json_cannot_hold_is_a_problem_of_its_own(program):
    with Child(program(ECHO), "caption") as child:
        answers = captions(child, ["a", "\udcff", "b"])
    assert answers[0] == "A"
    assert "cannot be written as JSON" in answers[1]
    assert answers[2] == "B"


def test_what_it_says_on_stderr_is_passed_through(program, capfd):
    with Child(program('print("hello there", file=sys.stderr)'), "caption"):
        pass
    assert "hello there" in capfd.readouterr().err


def test_a_program_that_dies_at_random_loses_no_answer(program):
    body = """
import random
for line in sys.stdin:
    request = json.loads(line)
    if random.random() < 0.02:
        os._exit(1)
    say({"key": request["key"], "caption": request["text"]})
"""
    texts = [str(number) for number in range(200)]
    with Child(program(body), "caption", window=8) as child:
        answers = captions(child, texts)
    assert len(answers) == 200
    for text, answer in zip(texts, answers, strict=True):
        assert answer == text or answer.startswith("the program failed on it twice")


def test_a_signal_to_the_program_restarts_it(program):
    with Child(program(ECHO, hello='say({"tag": "t"}); sys.stderr.flush()'), "caption") as child:
        assert captions(child, ["a"]) == ["A"]
        assert child._lines is not None
        os.kill(child._lines._process.pid, signal.SIGKILL)
        assert captions(child, ["b", "c"]) == ["B", "C"]


def test_the_cache_answers_before_the_program(program, tmp_path: Path):
    log = tmp_path / "asked"
    body = f"""
for line in sys.stdin:
    request = json.loads(line)
    open({str(log)!r}, "a").write(request["text"])
    say({{"key": request["key"], **({{"error": "no"}} if request["text"] == "e" else {{"caption": "ok"}})}})
"""
    for _ in range(2):
        with Cache(tmp_path / "cache.sqlite") as cache, Child(program(body), "caption", cache=cache) as child:
            assert captions(child, ["a", "b", "e"]) == ["ok", "ok", "the program says: no"]
    assert log.read_text() == "abee"
    other = program(body, hello='say({"tag": "t2"})')
    with Cache(tmp_path / "cache.sqlite") as cache, Child(other, "caption", cache=cache) as child:
        assert captions(child, ["a"]) == ["ok"]
    assert log.read_text() == "abeea"


def test_equal_requests_are_asked_once(program, tmp_path):
    log = tmp_path / "asked"
    body = f"""
held = [json.loads(sys.stdin.readline()) for _ in range(2)]
for request in held:
    open({str(log)!r}, "a").write(request["text"])
    say({{"key": request["key"], **({{"error": "no"}} if request["text"] == "b" else {{"caption": "ok"}})}})
"""
    with Cache(None) as cache, Child(program(body), "caption", cache=cache, window=6) as child:
        assert captions(child, list("abaab")) == [
            "ok", "the program says: no", "ok", "ok", "the program says: no",
        ]  # fmt: skip
    assert log.read_text() == "ab"


def test_of_several_answers_to_one_request_the_first_counts(program):
    body = """
for line in sys.stdin:
    request = json.loads(line)
    for number in range(3):
        say({"key": request["key"], "caption": f"{request['text']}{number}"})
"""
    with Child(program(body), "caption", window=4) as child:
        assert captions(child, list("abcdef")) == ["a0", "b0", "c0", "d0", "e0", "f0"]
        assert 10 <= child.repeated <= 12


def test_a_program_that_only_repeats_itself_is_started_again(program):
    body = """
first = json.loads(sys.stdin.readline())
while True:
    say({"key": first["key"], "caption": "ok"})
"""
    with Child(program(body), "caption", window=1) as child:
        answers = captions(child, ["a", "b", "c"])
    assert answers[0] == "ok"
    assert set(answers[1:]) == {"ok"}  # each is the first that a new start was asked


def test_an_answer_that_is_wrong_is_a_problem_and_is_not_kept(program, tmp_path):
    """NaN from a scorer: the next run asks again, and the good answers are there."""
    body = """
for line in sys.stdin:
    request = json.loads(line)
    bad = request["n"] == 1 and not os.path.exists("{mark}")
    say({{"key": request["key"], "score": float("nan") if bad else request["n"]}})
    if bad:
        open("{mark}", "w").close()
""".format(mark=tmp_path / "mark")
    command = program(body)

    def check(fields):
        return "NaN" if fields["score"] != fields["score"] else ""

    def run():
        with Cache(tmp_path / "cache") as cache, Child(command, "score", cache=cache, check=check) as child:
            return [tuple(answer) for answer in child.answers({"n": n} for n in range(3))], cache.found

    assert run() == ([({"score": 0}, ""), (None, "NaN"), ({"score": 2}, "")], 0)
    assert run() == ([({"score": 0}, ""), ({"score": 1}, ""), ({"score": 2}, "")], 2)
