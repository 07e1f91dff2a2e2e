"""How ids, texts and scores read."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.show import words


def test_doctests():
    found = doctest.testmod(words)
    assert found.attempted > 5
    assert found.failed == 0


@given(st.text(st.characters(codec="utf-8")))
def test_visible_text_never_acts(text):
    shown = words.visible(text)
    assert not any(c in shown for c in "\n\r\t\x1b\x07\x7f\u202e\u2066\u2028\x9b")
    assert words.visible(shown) == shown


def test_visible_keeps_scripts_and_emoji():
    for text in ("naïve café", "東京　駅", "👩‍👧 می‌خواهم", "a\u00a0b"):
        assert words.visible(text) == text


@given(st.text(), st.integers(0, 30))
def test_cut_text_fits(text, width):
    for cut in (words.cut_middle, words.cut_end):
        shown = cut(text, width)
        assert words.cells(shown) <= width or not text
        assert words.cells(text) > width or shown == text


def test_cut_middle_keeps_both_ends():
    assert words.cut_middle("a" * 50 + "/picture-7.jpg", 20).endswith("e-7.jpg")
    assert words.cut_middle("東京東京東京", 7) == "東京…京"


@pytest.mark.parametrize(
    ("score", "text"),
    [(0.12345, "0.1235"), (1, "1.0000"), (float("nan"), "-"), ("x", "-"), (True, "-"), (-2.0, "-2.0000")],
)
def test_scores_have_four_places(score, text):
    assert words.score_words(score) == text


def test_pictures_lie_below_their_base():
    assert words.picture_path({"image": "a.jpg", "base": "/photos"}) == "/photos/a.jpg"
    assert words.picture_path({"image": "/x/a.jpg", "base": "/photos"}) == "/x/a.jpg"
    assert words.picture_path({"image": "s.tar#a.jpg", "base": "/p"}) == "/p/s.tar#a.jpg"
    assert words.picture_path({"text": "x"}) == ""


def test_only_names_that_people_gave_are_told():
    assert words.given_name({"id": "q1", "text": "a cat"}) == "q1"
    assert words.given_name({"id": "a.jpg", "image": "a.jpg"}) == ""
    assert words.given_name({"id": "0123456789abcdef" * 2, "text": "a cat"}) == ""
    assert words.given_name({"id": "q1"}) == ""
