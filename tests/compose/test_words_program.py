"""The language steps as users run them: one command, by hand in between, and with programs that fail."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tests.compose.programs import FAULTS, asked, write_program
from tests.programs.conftest import said, serve  # noqa: F401 - a fixture

NAMES = ("dog", "cat", "poison", "bird")
WORDS = "--cache answers"


@pytest.fixture
def here(tmp_path):
    for number, name in enumerate(NAMES):
        Image.new("RGB", (9, 9 + number), (60 * number, 200, 10)).save(tmp_path / f"{name}.png")
    lines = [{"id": name, "image": f"{name}.png", "text": "at night", "note": 7} for name in NAMES]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def records(result, status=0):
    assert result.status == status, result.stderr
    return [json.loads(line) for line in result.lines]


def test_one_command(sh, here):
    program = write_program(here)
    line = f"mmr compose pdv-f --from t.jsonl --caption-cmd '{program}' --rewrite-cmd '{program}' {WORDS}"
    found = records(sh(line))
    assert [record["id"] for record in found] == list(NAMES)
    assert (found[0]["caption"], found[0]["edited"]) == ("a dog", "a dog, at night")
    assert found[0]["note"] == 7
    assert len(found[0]["vector"]) == 256
    before = asked(here)
    again = sh(line)
    assert [record["vector"] for record in records(again)] == [record["vector"] for record in found]
    assert asked(here) == before
    assert "8 answers were in the cache" in again.stderr


def test_a_pipe_of_steps_gives_what_one_command_gives(sh, here):
    program = write_program(here)
    words = f"--caption-cmd '{program}' --rewrite-cmd '{program}' {WORDS}"
    one = records(sh(f"mmr compose pdv-f --from t.jsonl {words}"))
    pipe = records(sh(
        f"mmr compose describe t.jsonl {words} | mmr embed --bind v=image:image --bind t_r=text:caption "
        "--bind t_c=text:edited | mmr compose pdv-f"
    ))  # fmt: skip
    assert [record["id"] for record in one] == [record["id"] for record in pipe]
    for a, b in zip(one, pipe, strict=True):
        assert max(abs(x - y) for x, y in zip(a["vector"], b["vector"], strict=True)) < 1e-6


def test_the_same_by_hand_and_with_an_edit(sh, here):
    """Stopped after each step, edited by hand and resumed: the edited words are embedded."""
    program = write_program(here)
    steps = f"--caption-cmd '{program}' {WORDS}"
    captions = records(sh(f"mmr compose describe t.jsonl {steps} -o c.jsonl; cat c.jsonl"))
    assert "edited" not in captions[0]
    sh("sed -i 's/a dog/a wolf/' c.jsonl")
    edited = records(sh(f"mmr compose describe c.jsonl --rewrite-cmd '{program}' {WORDS} | tee e.jsonl"))
    assert edited[0]["edited"] == "a wolf, at night"
    sh("sed -i 's/a cat, at night/a lion, at night/' e.jsonl")
    whole = records(sh(f"mmr compose cirevl --from e.jsonl --rewrite-cmd '{program}' {WORDS}"))
    words = " ".join(f"--text 'a {name}, at night'" for name in ("wolf", "lion", "bird"))
    vectors = records(sh(f"mmr embed {words}"))
    for one, other in zip((whole[0], whole[1], whole[3]), vectors, strict=True):
        assert max(abs(a - b) for a, b in zip(one["vector"], other["vector"], strict=True)) < 1e-6


def test_several_captions_become_lists_of_vectors(sh, here):
    program = write_program(here)
    words = f"--captions 3 --caption-cmd '{program}' --rewrite-cmd '{program}' {WORDS}"
    found = records(sh(f"head -1 t.jsonl | mmr compose ldre --keep-bindings {words}"))
    assert found[0]["edited"] == [f"dog {number}, at night" for number in range(3)]
    assert len(found[0]["bindings"]["t_c"]) == 3


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_programs_cost_one_item(sh, here, fault):
    program = write_program(here, FAULTS[fault])
    result = sh(
        f"mmr compose cirevl --from t.jsonl --caption-cmd '{program}' --rewrite-cmd '{program}' {WORDS} "
        "--timeout 2 --errors bad.jsonl --format jsonl"
    )
    assert [record["id"] for record in records(result, 3)] == ["dog", "cat", "bird"]
    assert "mmr compose: t.jsonl line 3 (poison): " in result.stderr
    (rejected,) = map(json.loads, (here / "bad.jsonl").read_text().splitlines())
    assert (rejected["id"], rejected["stage"], rejected["note"]) == ("poison", "caption", 7)
    good = write_program(here)
    again = sh(f"mmr compose cirevl --from bad.jsonl --caption-cmd '{good}' --rewrite-cmd '{good}' {WORDS}")
    assert [record["id"] for record in records(again)] == ["poison"]


def test_strict_stops_at_the_first(sh, here):
    program = write_program(here, FAULTS["error"], poison="cat")
    result = sh(f"mmr compose describe t.jsonl --caption-cmd '{program}' {WORDS} --strict")
    assert result.status == 65
    assert "the program says: too dark" in result.stderr


def test_prompt_and_parse_around_a_model_of_ones_own(sh, here):
    (here / "c.jsonl").write_text(
        '{"id":"1","caption":"a dog","text":"at night"}\n'
        '{"id":"2","captions":["a cat","two cats"],"text":"asleep"}\n'
        '{"id":"3","caption":"a fox","edited":"a red fox","text":"red"}\n'
        '{"id":"4","caption":"a fox"}\n'
    )
    asking = sh("mmr compose prompt c.jsonl --style structural > p.jsonl")
    assert (asking.status, "line 4 (4): has no words that say the edit" in asking.stderr) == (3, True)
    one, two, three = map(json.loads, (here / "p.jsonl").read_text().splitlines())
    assert one["messages"][-1] == {"role": "user", "content": "Picture: a dog\nInstruction: at night"}
    assert [chat[-1]["content"].splitlines()[0] for chat in two["messages"]] == [
        "Picture: a cat",
        "Picture: two cats",
    ]
    assert "messages" not in three
    one["reply"], two["reply"] = (
        "Edited description: a dog in the dark",
        ["Edited description: a cat asleep", "?"],
    )
    (here / "r.jsonl").write_text("".join(json.dumps(record) + "\n" for record in (one, two, three)))
    result = sh("mmr compose parse r.jsonl --style structural")
    found = records(result)
    assert [record["edited"] for record in found] == [
        "a dog in the dark",
        ["a cat asleep", "asleep"],
        "a red fox",
    ]
    assert all("messages" not in record and "reply" not in record for record in found)
    assert "1 edit is the modification itself" in result.stderr


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("mmr compose describe t.jsonl", 2, "name a program"),
        ("mmr compose cirevl --from t.jsonl --rewrite-cmd a --rewrite-url http://x", 2, "name one of them"),
        ("mmr compose cirevl --from t.jsonl --rewrite-cmd ./none", 69, "cannot be started"),
        (
            "mmr compose cirevl --from t.jsonl --rewrite-cmd cat --cache x --no-cache",
            2,
            "--cache and --no-cache",
        ),
        ("mmr compose cirevl --from t.jsonl --rewrite-cmd cat --cache t.jsonl", 65, "is no cache"),
        ("mmr compose cirevl --from t.jsonl --rewrite-cmd cat --cache no/where", 73, "cannot be opened"),
        ("mmr compose cirevl --from t.jsonl --rewrite-url nowhere", 2, "is no address of a server"),
        (
            "mmr compose cirevl --from t.jsonl --rewrite-url http://127.0.0.1:9",
            69,
            "does not say which models",
        ),
        ("mmr compose prompt t.jsonl --style long", 2, "no such style"),
        ("mmr compose parse t.jsonl --style ./none.toml", 66, "cannot be read"),
        ("mmr compose weighted --from t.jsonl --caption-cmd cat", 2, "No such option"),
    ],
)
def test_errors_are_sentences(sh, here, line, status, words):
    result = sh(line)
    assert (result.status, result.stdout) == (status, b"")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_interrupted_while_a_program_thinks(sh, here):
    program = write_program(here, "time.sleep(60)", poison="key")
    line = f"mmr compose describe t.jsonl --caption-cmd '{program}' {WORDS} 2> words"
    result = sh(f"( trap - INT; exec {line} ) & sleep 2; kill -INT $!; wait $!; echo $?")
    assert result.lines == ["130"]
    assert "mmr" not in (here / "words").read_text()


def test_a_killed_run_goes_on_where_it_was(sh, here):
    program = write_program(here, "time.sleep(0.3); say(found)", poison="key")
    line = f"mmr compose describe t.jsonl --caption-cmd '{program}' {WORDS}"
    until = "until [ $(wc -l < asked) -ge 3 ]; do sleep 0.05; done 2> no"
    sh(f"{line} & {until}; kill -9 $!; wait $! 2> no")
    before = asked(here)
    found = records(sh(line))
    assert [record["caption"] for record in found] == [f"a {name}" for name in NAMES]
    answered = before[:2]  # the program takes one at a time: when the third is asked, two are answered
    assert not set(answered) & set(asked(here)[len(before) :])


def test_models_behind_a_server(sh, here, serve):  # noqa: F811
    def reply(body, _before):
        content = body["messages"][-1]["content"]
        if isinstance(content, list):
            return 200, said("a thing")
        bad = "cat" in content
        return (
            (400, {"error": {"message": "no cats"}})
            if bad
            else (200, said("Edited description: a red thing"))
        )

    served = serve(reply)
    (here / "c.jsonl").write_text(
        '{"id":"1","image":"dog.png","text":"red"}\n{"id":"2","caption":"a cat","text":"red"}\n'
        '{"id":"3","caption":"a bird","text":"red"}\n'
    )
    urls = f"--caption-url {served.url} --rewrite-url {served.url}#other"
    line = f"mmr compose cirevl --from c.jsonl {urls} {WORDS}"
    result = sh(line, env={"MMR_API_KEY": "s3cret"})
    found = records(result, 3)
    assert [(record["id"], record["edited"]) for record in found] == [
        ("1", "a red thing"),
        ("3", "a red thing"),
    ]
    assert "c.jsonl line 2 (2): the server says 400: no cats" in result.stderr
    assert {body["model"] for body in served.bodies} == {"tiny", "other"}
    assert {one["authorization"] for one in served.headers} == {"Bearer s3cret"}
    before = len(served.bodies)
    assert sh(line).status == 3
    assert len(served.bodies) == before + 1  # what failed is asked again, and nothing else


def test_interrupted_while_a_server_thinks(sh, here, serve):  # noqa: F811
    import time

    served = serve(lambda *_: (time.sleep(5), (200, said("late")))[1])
    line = f"mmr compose describe t.jsonl --caption-url {served.url} {WORDS} 2> words"
    started = time.monotonic()
    result = sh(f"( trap - INT; exec {line} ) & sleep 2; kill -INT $!; wait $!; echo $?")
    assert result.lines == ["130"]
    assert (here / "words").read_text().strip() == ""
    assert time.monotonic() - started < 4.5
