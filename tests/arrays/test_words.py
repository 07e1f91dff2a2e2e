"""What counts as a word, in several languages."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.arrays.words import FINGERPRINT, SAMPLE, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Straße STRASSE ﬁn don't", ["strasse", "strasse", "fin", "don", "t"]),
        ("red_car 2.5 l'arbre", ["red", "car", "2", "5", "l", "arbre"]),
        ("Café CAFE\u0301 cafe", ["cafe"] * 3),
        ("Αθήνα ΑΘΗΝΑ", ["αθηνα"] * 2),
        ("ёлка ЕЛКА", ["елка"] * 2),
        ("İzmir izmir", ["izmir"] * 2),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("שָׁלוֹם שלום", ["שלום"] * 2),
        ("كِتَابٌ كتاب", ["كتاب"] * 2),
        ("黒い猫", ["黒", "い", "猫", "黒い", "い猫"]),
        ("猫", ["猫"]),
        ("ﾈｺ", ["ネ", "コ", "ネコ"]),
        ("빨간 차", ["빨", "간", "빨간", "차"]),
        ("น้ำ", ["น้\u0e4d", "า", "น้\u0e4dา"]),
        ("iPhone15ケースpro", ["iphone15", "ケ", "ー", "ス", "ケー", "ース", "pro"]),
        ("", []),
        (" ,._!\u200b ", []),
        ("a\ud800b", ["a", "b"]),
    ],
)  # fmt: skip
def test_worked(text, expected):
    assert words(text) == expected


@given(st.text())
def test_words_of_words_are_themselves(text):
    found = words(text)
    assert all(found) and all(words(word)[-1] == word for word in found)


def test_another_rule_must_have_another_fingerprint():
    """An index says which rule made its words; what other words come of, is another model."""
    assert blake2b("\n".join(words(SAMPLE)).encode(), digest_size=4).hexdigest() == FINGERPRINT
