"""Captions and edits from programs: what is asked, what is kept, and what faulty programs cost."""

from __future__ import annotations

import tarfile

import pytest
from PIL import Image

from mmr.compose.chats import caption_chat, rewrite_chat
from mmr.compose.language import Language
from mmr.compose.styles import CAPTION, load_style
from mmr.errors import BadItem, UnavailableError
from mmr.pictures.sent import SIDE
from mmr.programs.ask import open_program
from mmr.programs.cache import Cache
from mmr.stream.records import Place, Record
from tests.compose.programs import FAULTS, asked, write_program
from tests.programs.conftest import said, serve  # noqa: F401 - a fixture

NAMES = ("dog", "cat", "poison", "bird", "fish")


@pytest.fixture
def pics(tmp_path):
    """Five pictures, and a record of each: its name as id, and words."""
    for number, name in enumerate(NAMES):
        Image.new("RGB", (8, 6 + number), (number * 40, 10, 200)).save(tmp_path / f"{name}.png")
    return [
        Record({"id": name, "image": f"{name}.png", "base": str(tmp_path), "text": f"at night {name[0]}"},
               Place("t.jsonl", number + 1))
        for number, name in enumerate(NAMES)
    ]  # fmt: skip


def run(tmp_path, records, command, *, count=1, cache=None, seconds=20.0, roles=("caption", "rewrite")):
    """What the steps make of records, and the items that they refused."""
    refused: list[BadItem] = []
    with Cache(cache) as kept:
        programs = [
            open_program(role, command=command, cache=kept, seconds=seconds) if role in roles else None
            for role in ("caption", "rewrite")
        ]
        steps = Language(*programs, load_style("short"), count=count, reject=refused.append)
        found = list(steps.of(iter(records)))
        for program in programs:
            if program is not None:
                program.close()
    return found, refused, steps


def test_captions_and_edits(tmp_path, pics):
    found, refused, steps = run(tmp_path, pics, write_program(tmp_path))
    assert [record["caption"] for record in found] == [f"a {name}" for name in NAMES]
    assert [record["edited"] for record in found] == [f"a {name}, at night {name[0]}" for name in NAMES]
    assert found[0]["via"] == ["caption toy caption", "rewrite short toy rewrite"]
    assert (refused, steps.fallen) == ([], 0)


def test_several_captions_and_the_edit_of_each(tmp_path, pics):
    found, _, _ = run(tmp_path, pics[:1], write_program(tmp_path), count=3)
    assert found[0]["captions"] == ["dog 0", "dog 1", "dog 2"]
    assert found[0]["edited"] == ["dog 0, at night d", "dog 1, at night d", "dog 2, at night d"]
    assert "caption" not in found[0]


def test_what_is_there_is_not_asked_again(tmp_path, pics):
    """A stream that was stopped, edited by hand and resumed gives what was edited."""
    first, _, _ = run(tmp_path, pics[:3], write_program(tmp_path), roles=("caption",))
    first[0]["caption"] = "a wolf"
    first[1] |= {"caption": "a lion", "edited": "a lion in the snow"}
    before = len(asked(tmp_path))
    found, _, _ = run(tmp_path, first, write_program(tmp_path))
    assert [record["edited"] for record in found] == [
        "a wolf, at night d", "a lion in the snow", "a poison, at night p",
    ]  # fmt: skip
    assert asked(tmp_path)[before:] == ["rewrite a wolf", "rewrite a poison"]


SKIPPED = {
    "crashes": "the program failed on it twice: it ended with status 9",
    "hangs": "did not answer within 1 s",
    "rubbish": "no JSON",
    "no object": "no JSON object",
    "several lines": "the caption is of 2 lines, not one",
    "many": "the captioner answered with 2 captions, asked for 1",
    "no words": 'without a "caption" of words',
    "nothing": 'without a "caption" of words',
    "empty": "the caption is of 0 lines, not one",
    "error": "the program says: too dark",
    "too few": "did not answer within 1 s",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_picture_on_which_the_captioner_fails_is_skipped_and_the_rest_goes_on(tmp_path, pics, fault):
    command = write_program(tmp_path, FAULTS[fault])
    seconds = 1 if "answer within" in SKIPPED[fault] else 20
    found, refused, _ = run(tmp_path, pics, command, seconds=seconds)
    assert [record["id"] for record in found] == ["dog", "cat", "bird", "fish"]
    assert all("edited" in record for record in found)
    assert [item.stage for item in refused] == ["caption"]
    assert SKIPPED[fault] in refused[0].what
    assert refused[0].where == "t.jsonl line 3 (poison)"
    assert refused[0].record is pics[2]


@pytest.mark.parametrize(
    "fault", ["crashes", "rubbish", "several lines", "many", "no words", "nothing", "empty"]
)
def test_an_edit_on_which_the_rewriter_fails_is_skipped_and_the_rest_goes_on(tmp_path, pics, fault):
    for record in pics:
        record["caption"] = f"the {record['id']}"
    found, refused, _ = run(tmp_path, pics, write_program(tmp_path, FAULTS[fault]), roles=("rewrite",))
    assert [record["id"] for record in found] == ["dog", "cat", "bird", "fish"]
    assert [(item.stage, item.where) for item in refused] == [("rewrite", "t.jsonl line 3 (poison)")]


def test_answers_out_of_order_are_no_fault(tmp_path, pics):
    backwards = (
        "held.append(found)\nif len(held) == 5:\n    [say(one) for one in reversed(held)]\n    held = []"
    )
    found, refused, _ = run(tmp_path, pics, write_program(tmp_path, backwards, poison="key"))
    assert [record["edited"] for record in found] == [f"a {name}, at night {name[0]}" for name in NAMES]
    assert refused == []


def test_a_program_that_is_gone_ends_the_run(tmp_path, pics):
    many = [Record({**pics[0], "id": str(number), "caption": f"c{number}"}) for number in range(9)]
    with pytest.raises(UnavailableError, match="failed 4 times in a row"):
        run(tmp_path, many, write_program(tmp_path, "os._exit(1)", poison="key"), roles=("rewrite",))


def test_nothing_is_asked_twice(tmp_path, pics):
    """Equal pictures and equal edits are one question, in one run and in the next."""
    again = [Record({**record, "id": f"{record['id']} again"}) for record in pics]
    plain = [Record(record) for record in pics]
    for records in (plain + again, [Record(record) for record in again]):
        found, _, _ = run(tmp_path, records, write_program(tmp_path), cache=tmp_path / "c")
        assert len(found) == len(records)
    assert sorted(asked(tmp_path)) == sorted(
        [f"caption {name}.png" for name in NAMES] + [f"rewrite a {name}" for name in NAMES]
    )


def test_a_picture_that_has_changed_is_asked_again(tmp_path, pics):
    for colour in ("red", "blue"):
        Image.new("RGB", (8, 8), colour).save(tmp_path / "dog.png")
        run(tmp_path, [Record(pics[0])], write_program(tmp_path), cache=tmp_path / "c", roles=("caption",))
    assert len(asked(tmp_path)) == 2


def test_a_members_bytes_are_sent(tmp_path):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "dog.png")
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        tar.add(tmp_path / "dog.png", "dog.png")
    body = "import base64; say({'key': key, 'caption': str(base64.b64decode(request['image_data'])[1:4])})"
    record = Record({"id": "1", "image": "s.tar#dog.png", "base": str(tmp_path)})
    found, refused, _ = run(tmp_path, [record], write_program(tmp_path, body, "key"), roles=("caption",))
    assert (found[0]["caption"], refused) == ("b'PNG'", [])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": "x"}, "has no picture to caption"),
        ({"image": "none.png", "text": "x"}, "does not exist"),
        ({"caption": "a dog"}, "has no words that say the edit"),
        ({"caption": "a dog", "text": " "}, "has no words that say the edit"),
    ],
)
def test_records_that_lack_what_is_needed(tmp_path, pics, fields, words):
    found, refused, _ = run(tmp_path, [Record({"id": "q", **fields}), pics[0]], write_program(tmp_path))
    assert [record["id"] for record in found] == ["dog"]
    assert words in refused[0].what


def test_an_edit_without_a_caption(tmp_path, pics):
    _, refused, _ = run(tmp_path, pics[:1], write_program(tmp_path), roles=("rewrite",))
    assert "has no caption to edit" in refused[0].what


REPLIES = {
    "say({'key': key, 'reply': 'Sure.\\nEdited description: a wolf: grey'})": ("a wolf: grey", 0),
    "say({'key': key, 'edited': 'Edited description: a wolf'})": ("a wolf", 0),
    "say({'key': key, 'edited': ['a wolf', 'two wolves']})": (["a wolf", "two wolves"], 0),
    "say({'key': key, 'reply': 'a wolf'})": ("at night d", 1),
    "say({'key': key, 'reply': 'Edited description:'})": ("at night d", 1),
    "say({'key': key, 'edited': ''})": ("at night d", 1),
}


@pytest.mark.parametrize(("fault", "wanted"), REPLIES.items())
def test_replies_without_a_marked_line_fall_back_to_the_modification_and_are_counted(
    tmp_path, pics, fault, wanted
):
    pics[0]["caption"] = "a dog"
    found, refused, steps = run(tmp_path, pics[:1], write_program(tmp_path, fault, "key"), roles=("rewrite",))
    assert (found[0]["edited"], steps.fallen, refused) == (*wanted, [])
    assert ("1 fell back to the modification" in found[0]["via"][-1]) == bool(wanted[1])


def test_models_behind_a_server(tmp_path, pics, serve):  # noqa: F811
    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "dog.png")

    def reply(body, _before):
        content = body["messages"][-1]["content"]
        if isinstance(content, str):
            return 200, said(
                "Hm.\nEdited description: " + content.splitlines()[0].removeprefix("Picture: ") + "!"
            )
        address = content[1]["image_url"]["url"]
        import base64
        import io

        picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        assert picture.format == "JPEG"
        return 200, said(*[f"{picture.size} {number}" for number in range(body["n"])])

    served = serve(reply)
    refused: list[BadItem] = []
    with (
        Cache(None) as cache,
        open_program(
            "caption", url=served.url, chat=caption_chat(load_style(CAPTION), 2), cache=cache
        ) as one,
        open_program("rewrite", url=served.url, chat=rewrite_chat(), cache=cache) as two,
    ):
        steps = Language(one, two, load_style("focus"), count=2, reject=refused.append)
        found = list(
            steps.of([pics[0], Record({"id": "x", "image": str(tmp_path / "asked.txt"), "text": "t"})])
        )
    assert found[0]["captions"] == [f"({SIDE}, {SIDE // 2}) 0", f"({SIDE}, {SIDE // 2}) 1"]
    assert found[0]["edited"] == [caption + "!" for caption in found[0]["captions"]]
    assert [body["temperature"] for body in served.bodies] == [1.0, 0, 0]
    assert [item.where for item in refused] == ["x"]
