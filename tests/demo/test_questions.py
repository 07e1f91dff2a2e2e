"""Questions, judgements and edits follow from attributes alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace

import pytest

from mmr.demo import asked, edits, words
from mmr.demo.plan import Picture, first_alone, pictures, second_alone

CAT = Picture("cat", "grey", 1, "meadow", "day")
CHANGED = {"time": {"time"}, "style": {"style"}, "colour": {"colour"}, "count": {"count"}, "scene": {"scene"}}


@pytest.mark.parametrize(
    ("question", "picture", "expected"),
    [
        ({"object": "cat"}, CAT, 2),
        ({"object": "cat", "colour": "black"}, CAT, 1),
        ({"object": "dog"}, CAT, 0),
        ({"object": "cat", "time": "night"}, CAT, 1),
        ({"object": "cat", "count": 2}, CAT, 1),
        ({"object": "cat", "style": "sketch"}, replace(CAT, style="sketch"), 2),
        ({"scene": "meadow"}, CAT, 2),
        ({"scene": "meadow", "time": "night"}, CAT, 1),
        ({"scene": "beach"}, CAT, 0),
        ({"style": "sketch"}, CAT, 0),
        ({"object": "moon"}, replace(CAT, time="night"), 1),
        ({"object": "moon", "colour": "yellow"}, replace(CAT, time="night"), 0),
        ({"object": "ball", "colour": "red"}, replace(CAT, other="ball", other_colour="red"), 2),
        ({"object": "ball", "colour": "grey"}, replace(CAT, other="ball", other_colour="red"), 1),
        ({"object": "cat", "with": "ball"}, replace(CAT, other="ball", other_colour="red"), 2),
        ({"object": "cat", "with": "ball"}, CAT, 1),
    ],
)
def test_grades(question: dict[str, str | int], picture: Picture, expected: int) -> None:
    assert asked.grade(question, picture) == expected


def test_questions_of_every_kind_and_each_answered() -> None:
    gallery = pictures()
    questions = asked.questions(gallery)
    kinds = Counter(question.kind for question in questions)
    assert set(kinds) == {"object", "colour", "count", "scene", "time", "style", "combination", "with"}
    assert min(kinds.values()) >= 10
    assert len({question.text for question in questions}) == len(questions)
    assert {question.kind for question in questions[:8]} == set(kinds)
    assert {word for question in questions for word in question.text.split()}.isdisjoint({"None", "plain"})


def test_the_named_examples_are_asked() -> None:
    texts = {question.text for question in asked.questions(pictures())}
    assert {"a red apple", "a sad face", "two cats", "a snowy winter landscape", "a house at night"} <= texts


def test_edits_of_every_kind() -> None:
    kinds = Counter(edit.kind for edit in edits.edits(pictures()))
    assert set(kinds) == {*CHANGED, "removal", "addition"}
    assert sum(kinds.values()) >= 120
    assert min(kinds.values()) >= 20


def test_a_target_differs_in_the_edited_attribute_alone() -> None:
    gallery = set(pictures())
    for edit in edits.edits(pictures()):
        assert {edit.reference, edit.target} <= gallery
        if edit.kind in CHANGED:
            before, after = asdict(edit.reference), asdict(edit.target)
            assert {key for key in before if before[key] != after[key]} == CHANGED[edit.kind], edit
        else:
            both, alone = edit.reference, edit.target
            both, alone = (both, alone) if edit.kind == "removal" else (alone, both)
            assert alone in (first_alone(both), second_alone(both))


def test_a_reference_and_its_words_have_one_target() -> None:
    seen = Counter((edit.reference, edit.text) for edit in edits.edits(pictures()))
    assert [key for key, number in seen.items() if number > 1] == []


def test_wordings() -> None:
    assert words.captions(replace(CAT, time="night", style="sketch")) == [
        "a sketch of a grey cat in a meadow at night",
        "a pencil drawing of a grey kitten on the green grass after dark",
        "a grey cat in the countryside in the moonlight, sketched by hand",
    ]
    assert words.phrase(Picture("apple", "red", 3)) == "three red apples"
    assert words.phrase(Picture("cherries", "red")) == "red cherries"
    assert (
        words.phrase(Picture("cat", "orange", other="fish", other_colour="blue"))
        == "an orange cat with a blue fish"
    )


def test_one_thing_alone_has_no_second() -> None:
    with pytest.raises(ValueError, match="one thing only"):
        second_alone(CAT)
