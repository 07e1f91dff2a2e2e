"""What rewriters are asked, and how their replies are read."""

from __future__ import annotations

import pytest

from mmr.compose.styles import CAPTION, STYLES, Style, load_style
from mmr.errors import BadDataError, MissingInputError, UsageError


@pytest.mark.parametrize("name", STYLES)
def test_each_style_asks_in_its_own_words_and_names_its_source(name):
    style = load_style(name)
    assert "CIReVL" in style.source
    assert style.summary
    assert style.marker in style.instructions
    messages = style.messages("a dog\non a sofa", "outdoors")
    assert [one["role"] for one in messages] == [
        "system",
        *["user", "assistant"] * len(style.examples),
        "user",
    ]
    assert messages[0]["content"] == style.instructions
    assert messages[-1]["content"] == "Picture: a dog on a sofa\nInstruction: outdoors"
    for example, reply in zip(style.examples, messages[2::2], strict=True):
        assert style.parse(reply["content"]) == example.edited


def test_styles_differ_as_the_reference_has_them():
    assert len(load_style("contextual").examples) > len(load_style("short").examples)
    assert all("," in one.edited for one in load_style("focus").examples)
    assert all(
        one.edited.startswith(one.text) or one.text in one.edited for one in load_style("focus").examples
    )
    assert load_style(CAPTION).examples == ()


STYLE = Style("s", "", "", "say it", "Edited description:", ())


@pytest.mark.parametrize(
    ("reply", "edited"),
    [
        ("Edited description: a dog on grass", "a dog on grass"),
        ("I think so.\nEdited Description:  a dog: brown, on grass \nBye.", "a dog: brown, on grass"),
        ('**Edited description:** "a dog"', "a dog"),
        ("Edited description: first\nEdited description: second", "first"),
        ("The line Edited description: is missing", None),
        ("Edited description:", None),
        ("Edited description:   \na dog", None),
        ("a dog on grass", None),
        ("", None),
    ],
)
def test_the_marker_starts_a_line_and_splits_it_once(reply, edited):
    assert STYLE.parse(reply) == edited


def test_a_style_of_the_user(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'instructions = "Sag es."\nmarker = "Neu:"\n[[examples]]\ncaption="a"\ntext="b"\nedited="c"\n'
    )
    style = load_style(str(file))
    assert style.messages("x", "y")[2] == {"role": "assistant", "content": "Neu: c"}
    assert style.parse("Neu: z") == "z"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("instructions = ", "is no TOML"),
        ("marker = 'x'", 'no words in "instructions"'),
        ("instructions = 'x'\nmarker = ' '", 'no words in "marker"'),
        ("instructions = 'x'\n[[examples]]\ncaption = 'a'\n", 'no words in "text"'),
        ("instructions = 'x'\nexamples = 3", "no list of tables"),
    ],
)
def test_files_that_are_no_styles(tmp_path, words, error):
    file = tmp_path / "mine.toml"
    file.write_text(words)
    with pytest.raises(BadDataError, match=error):
        load_style(str(file))


def test_names_that_are_no_styles(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'short'"):
        load_style("shrt")
    with pytest.raises(MissingInputError, match="cannot be read"):
        load_style(str(tmp_path / "none.toml"))
