"""Words that are not English: how they are cut, hashed, told apart and looked up."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest

from mmr.encoders.builtin.languages import OtherTable, chosen, grams, is_latin, split


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ein roter Apfel!", ["ein", "roter", "apfel"]),
        ("l'été", ["l", "été"]),
        ("l'e\u0301te\u0301", ["l", "été"]),
        ("लाल सेब", ["लाल", "सेब"]),
        ("красное яблоко", ["красное", "яблоко"]),
        ("赤いリンゴ", ["赤いリンゴ"]),
        ("GPS定位", ["gps", "定位"]),
        ("แอปเปิลแดง", ["แอปเปิลแดง"]),
        ("빨간 사과", ["빨간", "사과"]),
        ("two 2 🍎", ["two", "2"]),
        ("", []),
        ("?!", []),
    ],
)
def test_words_are_cut(text, words):
    assert split(text) == words


def hashed(*parts):
    return tuple(crc32(part.encode()) for part in parts)


def test_a_word_is_itself_and_its_runs_of_letters():
    assert grams("haus") == hashed(
        "=haus", "<ha", "hau", "aus", "us>", "<hau", "haus", "aus>", "<haus", "haus>"
    )


def test_a_run_without_blanks_is_its_parts():
    assert grams("苹果") == hashed("苹", "果", "苹果")
    assert grams("사과") == hashed("=사과", "<사", "사과", "과>", "<사과", "사과>")


def test_a_long_word_is_cut_short():
    assert grams("a" * 10_000) == grams("a" * 40)


@pytest.mark.parametrize(
    ("words", "scores", "other"),
    [
        (["a", "red", "apple"], [-3, -9, -8], [False, False, False]),
        (["ein", "roter", "apfel"], [2.0, 5.0, 6.0], [True, True, True]),
        (["ein", "rot", "die"], [3.0, 2.0, -3.0], [True, True, True]),
        (["a", "photo", "of", "katze"], [-3, -5, -6, 4], [False, False, False, True]),
        (["a", "tolkien"], [-4, 0.5], [False, False]),
        (["яблоко"], [-9.0], [True]),
        ([], [], []),
    ],
)
def test_words_vote_and_clear_ones_stand_alone(words, scores, other):
    assert chosen(words, scores) == other


def test_latin_letters():
    assert all(map(is_latin, ["apple", "été", "ağaç", "việt", "2"]))
    assert not any(map(is_latin, ["яблоко", "苹果", "μήλο"]))


class Tensors(dict):
    """Stands for a weights file."""

    def tensor(self, name):
        return self[name]

    def matrix(self, name):
        return self[name].astype(np.float32)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return Tensors(
        {
            "other.table": rng.integers(0, 256, (50, 3)).astype(np.uint8),
            "other.scale": rng.uniform(0.1, 1, 50).astype(np.float16),
            "other.choice": rng.integers(-100, 100, 50).astype(np.int8),
            "other.choice.step": np.array([0.05], np.float32),
            "other.out": rng.normal(size=(6, 4)).astype(np.float16),
        }
    )


def test_a_vector_is_the_sum_of_its_rows(table):
    words = ["haus", "苹果"]
    summed = np.zeros(6)
    for word in words:
        for gram in grams(word):
            packed = table["other.table"][gram % 50]
            row = np.concatenate([packed & 15, packed >> 4]).astype(np.float64) - 8
            summed += row * float(table["other.scale"][gram % 50])
    expected = summed @ table["other.out"].astype(np.float64)
    np.testing.assert_allclose(
        OtherTable(table).vector(words), expected / np.linalg.norm(expected), atol=1e-5
    )


def test_a_score_is_the_sum_of_its_rows(table):
    expected = sum(0.05 * int(table["other.choice"][gram % 50]) for gram in grams("haus"))
    assert OtherTable(table).score("haus") == pytest.approx(expected, abs=1e-5)
    assert OtherTable(table).score("2026") < 0


@pytest.mark.parametrize(
    ("text", "rest", "count", "words"),
    [
        ("a photo of яблоко, big", "a photo of  , big", 4, ["яблоко"]),
        ("красное яблоко!", "   !", 0, ["красное", "яблоко"]),
        ("🍎 яблоко", "🍎  ", 1, ["яблоко"]),
        ("Apple", "apple", 1, []),
        ("", "", 0, []),
    ],
)
def test_a_text_is_divided(table, text, rest, count, words):
    table["other.choice"][:] = -100
    left, english, others = OtherTable(table).divide(text)
    assert (left.split(), english, others) == (rest.split(), count, words)
