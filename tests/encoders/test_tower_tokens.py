"""Tokens without torch: the same as open_clip's SimpleTokenizer and HFTokenizer on anything."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from mmr.encoders.tower_tokens import PLAIN, ClipTokens, TokenRules, pieces, stated_rules, tokenizer
from mmr.errors import BadDataError, UnavailableError
from tests.conftest import program_environment

SCRAPS = (
    "a", "the", "dog's", "they're", "I'LL", "CAFÉ", "naïve", "straße", "ſ", "K", "İstanbul", "東京",
    "の夜", "🌃", "👨\u200d👩\u200d👧", "№5", "½", "٣", "३", "…", "“quoted”", "&amp;", "&lt;b&gt;",
    "&amp;amp;", "&", "<b>", "</b>", "<start_of_text>", "<end_of_text>", "<START_OF_TEXT>", "</w>",
    "\t", "\n", "\x1b", "\x00", "\x85", "\u200b", "\xa0", "\u3000", "\ufeff", "Ã©", "â€™", "ﬁ",
    "é", "1234", "3.14", "!!!", "--", "_", "a_b", "'s", "''", "'T", "antidisestablishmentarianism",
    "supercalifragilistic", "xqzjkvw", "http://x.org/?a=1&b=2", " ", "  ",
)  # fmt: skip


def strings(count, seed=0):
    """Random strings: scraps, printable ASCII, code points of any plane."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        kind = number % 4
        length = int(rng.integers(0, 14))
        if kind == 0:
            yield " ".join(SCRAPS[one] for one in rng.integers(0, len(SCRAPS), length))
        elif kind == 1:
            yield "".join(SCRAPS[one] for one in rng.integers(0, len(SCRAPS), length))
        elif kind == 2:
            yield bytes(rng.integers(32, 127, 5 * length).tolist()).decode()
        else:
            points = rng.integers(0, [0x250, 0x3000, 0xD800, 0x1FFFF][number // 4 % 4], length)
            yield "".join(chr(one) for one in points if not 0xD800 <= one < 0xE000)


@pytest.fixture(scope="module")
def clip(open_clip):
    """Make our tokenizer and open_clip's of one cleaning."""

    def make(clean="lower", context=77):
        live = open_clip.tokenizer.SimpleTokenizer(clean=clean, context_length=context)
        return tokenizer(*stated_rules(open_clip, live, context)), live

    return make


def assert_same(ours, live, texts):
    texts = list(texts)
    found, expected = ours(texts), live(texts).numpy()
    assert found.shape == expected.shape and found.dtype == np.int64
    wrong = np.flatnonzero((found != expected).any(axis=1))
    assert wrong.size == 0, [texts[row] for row in wrong[:5]]


def test_tokens_are_those_of_open_clip(clip):
    for clean in ("lower", "whitespace", "canonicalize"):
        ours, live = clip(clean)
        assert_same(ours, live, [*SCRAPS, *strings(3000), "", " ", "word " * 100])
    assert_same(*clip(context=8), strings(500, 1))


@pytest.mark.soak
def test_tokens_are_those_of_open_clip_on_60000_strings(clip):
    ours, live = clip()
    texts = list(strings(60_000, 2))
    assert sum(bool(PLAIN.fullmatch(text)) for text in texts) > 6000
    assert_same(ours, live, texts)


def test_plain_words_need_neither_ftfy_nor_regex(clip, open_clip, tmp_path):
    _, merges = stated_rules(open_clip, open_clip.tokenizer.SimpleTokenizer(), 77)
    (tmp_path / "merges").write_bytes(merges)
    code = """
import sys
from pathlib import Path
from mmr.encoders.tower_tokens import TokenRules, tokenizer
for name in ("torch", "open_clip", "ftfy", "regex"):
    sys.modules[name] = None
rules = TokenRules("clip", 77, "lower", 0, False, False, -1)
tokens = tokenizer(rules, Path("merges").read_bytes())
print(tokens(["A dog's <b>life</b>, 42!"])[0, :14].tolist())
try:
    tokens(["café"])
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=program_environment(),
                          capture_output=True, text=True, check=True)  # fmt: skip
    first, *rest = done.stdout.splitlines()
    expected = open_clip.tokenizer.SimpleTokenizer()(["A dog's <b>life</b>, 42!"])[0, :14]
    assert first == str(expected.tolist())
    assert "need the package ftfy" in rest[0]


def test_pieces():
    assert pieces("they're 2 dogs!") == ["they", "'re", "2", "dogs", "!"]
    assert pieces("<end_of_text>x") == ["<end_of_text>", "x"]


RULES = {"context": 8, "pad": 0, "pad_left": False, "cut_left": False, "zeroed": -1}


def test_rules_that_are_not_known_are_refused():
    with pytest.raises(BadDataError, match="tokenizer is 'wordpiece'"):
        tokenizer(TokenRules(kind="wordpiece", clean="lower", **RULES), b"")
    with pytest.raises(BadDataError, match="cleans text by 'upper'"):
        tokenizer(TokenRules(kind="clip", clean="upper", **RULES), b"")
    with pytest.raises(BadDataError, match="has 2 merges, and CLIP's has 48,894"):
        ClipTokens(TokenRules(kind="clip", clean="lower", **RULES), b"a b\nc d")
    if find_spec("tokenizers"):
        with pytest.raises(BadDataError, match=r"tokenizer\.json cannot be read"):
            tokenizer(TokenRules(kind="json", clean="lower", **RULES), b"{}")


def test_a_tokenizer_of_another_kind_is_left_to_open_clip(open_clip):
    simple = open_clip.tokenizer.SimpleTokenizer
    for live in (simple(reduction_mask="simple"), simple(additional_special_tokens=["<x>"]), object()):
        with pytest.raises(UnavailableError, match="its tokenizer"):
            stated_rules(open_clip, live, 77)
    with pytest.raises(UnavailableError, match="its tokenizer"):
        stated_rules(open_clip, simple(context_length=8), 77)


def test_a_tokenizer_json_is_padded_cut_and_cleaned(unigram):
    file = unigram.to_str().encode()
    rules = {**RULES, "pad": 0, "kind": "json", "clean": "canonicalize"}
    rows = tokenizer(TokenRules(**rules), file)(["A dog, on THE beach!", "cats", "", "a " * 20])
    assert rows.shape == (4, 8)
    assert rows[0].tolist() == [3, 4, 7, 8, 9, 1, 0, 0]
    assert rows[1].tolist() == [5, 6, 1, 0, 0, 0, 0, 0]
    assert rows[2].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert rows[3].tolist() == [3] * 7 + [1]
    left = tokenizer(TokenRules(**{**rules, "pad": 2, "pad_left": True, "zeroed": 1}), file)(["cats"])
    assert left.tolist() == [[2, 2, 2, 2, 2, 5, 6, 0]]
    assert tokenizer(TokenRules(**rules), file)([]).shape == (0, 8)


@pytest.mark.parametrize("options", [
    {"clean": "canonicalize"}, {"clean": "lower", "strip_sep_token": True}, {},
])  # fmt: skip
def test_tokens_of_a_json_are_those_of_open_clip(open_clip, unigram, tmp_path, options):
    """Through transformers, which open_clip asks; skipped where it is not installed."""
    transformers = pytest.importorskip("transformers")
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=unigram, pad_token="<pad>", eos_token="</s>", sep_token="</s>",
        unk_token="<unk>",
    )  # fmt: skip
    fast.save_pretrained(tmp_path)
    live = open_clip.tokenizer.HFTokenizer(str(tmp_path), context_length=12, **options)
    ours = tokenizer(*stated_rules(open_clip, live, 12))
    assert_same(ours, live, [*SCRAPS, *strings(800), "a dog on the beach " * 5])


def test_texts_that_are_cut_are_counted(clip, unigram):
    ours, _ = clip()
    ours(["cat " * 75, "cat"])
    assert ours.cut == 0
    ours(["cat " * 76, "cat " * 75, "dog " * 300])
    assert ours.cut == 2
    rules = TokenRules("json", 6, "lower", 0, False, False, -1)
    json = tokenizer(rules, unigram.to_str().encode())
    json(["a dog", "a dog a cat"])
    assert json.cut == 0
    json(["a dog a cat a dog", "a dog"])
    assert json.cut == 1
