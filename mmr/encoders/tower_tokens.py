"""Words to tokens without torch: CLIP's byte pairs from a list of merges, others by `tokenizers`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmr.encoders.tower import Stated
from mmr.errors import BadDataError, UnavailableError, shown

if TYPE_CHECKING:
    from mmr.encoders.tower import Tokens

MERGES = 48_894  # of CLIP's vocabulary of 49,408: 512 single bytes, the merges, start and end
BYTES = 256
START, END = 2 * BYTES + MERGES, 2 * BYTES + MERGES + 1
SPECIAL = {"<start_of_text>": START, "<end_of_text>": END}
PIECES = r"|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
ASCII_PIECES = r"|'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+"
PLAIN = re.compile(r"[ -%'-~]*")  # printable ASCII without &: ftfy and html leave it as it is
PUNCTUATION = str.maketrans("", "", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
PARTS = 65_536  # words whose pieces are kept


@dataclass(frozen=True, slots=True)
class TokenRules(Stated):
    """How a text becomes tokens.

    kind      "clip" (merges of CLIP) or "json" (a tokenizer.json)
    context   positions
    clean     "lower", "whitespace" or "canonicalize" (lower case, no punctuation), as open_clip calls them
    pad, pad_left, cut_left   of "json": the padding token, and the sides of padding and cutting
    zeroed    of "json": a token that becomes 0 (CLIPA's [SEP]), -1 for none
    """

    kind: str
    context: int
    clean: str
    pad: int
    pad_left: bool
    cut_left: bool
    zeroed: int


def fixed(text: str) -> str:
    """What open_clip's `basic_clean` gives: mended by ftfy, HTML's escapes resolved twice, no blanks around.

    Printable ASCII without & is left alone by both, so that they are not imported.
    Raises `UnavailableError` where ftfy is needed and not installed.
    """
    if PLAIN.fullmatch(text):
        return text.strip()
    import html

    try:
        import ftfy
    except ImportError as error:
        raise needed("ftfy") from error
    return str(html.unescape(html.unescape(ftfy.fix_text(text)))).strip()


def needed(package: str) -> UnavailableError:
    """The error for a package that text beyond plain ASCII needs."""
    what = f"words beyond plain ASCII need the package {package}"
    return UnavailableError(what, f"Run `pip install {package}`, or `pip install 'mmr[clip]'`.")


def lower(text: str) -> str:
    """Mended text in lower case with single blanks."""
    return " ".join(fixed(text).split()).lower()


def whitespace(text: str) -> str:
    """Mended text with single blanks."""
    return " ".join(fixed(text).split())


def canonicalize(text: str) -> str:
    """Mended text in lower case, without ASCII punctuation, with single blanks (big_vision's rule)."""
    return " ".join(fixed(text).replace("_", " ").translate(PUNCTUATION).lower().split())


CLEANING: dict[str, Callable[[str], str]] = {
    "lower": lower, "whitespace": whitespace, "canonicalize": canonicalize,
}  # fmt: skip


def byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in CLIP's merges, in the order of the first 256 tokens."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(BYTES) if byte not in set(kept)]
    letters = {byte: chr(byte) for byte in kept}
    return letters | {byte: chr(BYTES + number) for number, byte in enumerate(others)}


class ClipTokens:
    """CLIP's byte-pair tokens (Sennrich et al., 2016), as open_clip's SimpleTokenizer gives them.

    merges  48,894 lines "left right", in the order of their rank; a merge's token is 512 + its rank, since
            no two merges join to the same letters
    cut     how many texts were too long so far
    """

    def __init__(self, rules: TokenRules, merges: bytes) -> None:
        lines = merges.decode("utf-8").split("\n")
        if len(lines) != MERGES:
            raise BadDataError(f"the vocabulary has {len(lines):,} merges, and CLIP's has {MERGES:,}")
        self._ranks = dict(zip(lines, range(MERGES), strict=True))
        self._context = rules.context
        self._clean = CLEANING[rules.clean]
        self._letters = byte_letters()
        self._single = {letter: number for number, letter in enumerate(self._letters.values())}
        self._known: dict[str, list[int]] = {name: [token] for name, token in SPECIAL.items()}
        self.cut = 0

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Return tokens (n, context) int64: start, pieces, end, zeros; a long text keeps its first pieces."""
        rows = np.zeros((len(texts), self._context), np.int64)
        for row, text in zip(rows, texts, strict=True):
            found = self.encode(text)
            self.cut += len(found) > self._context - 2
            tokens = [START, *found[: self._context - 2], END]
            row[: len(tokens)] = tokens
        return rows

    def encode(self, text: str) -> list[int]:
        """The tokens of one text, without start and end."""
        text = self._clean(text)
        found: list[int] = []
        for piece in pieces(text):
            tokens = self._known.get(piece)
            if tokens is None:
                tokens = self._merged(piece)
                if len(self._known) < PARTS:
                    self._known[piece] = tokens
            found += tokens
        return found

    def _merged(self, piece: str) -> list[int]:
        """The tokens of one piece: its bytes, the pair of least rank joined again and again."""
        word = [self._letters[byte] for byte in piece.encode("utf-8")]
        tokens = [self._single[letter] for letter in word]
        word[-1] += "</w>"
        tokens[-1] += BYTES
        while len(word) > 1:
            ranks = [self._ranks.get(f"{a} {b}", MERGES) for a, b in pairwise(word)]
            rank = min(ranks)
            if rank == MERGES:
                break
            first = ranks.index(rank)
            pair = word[first], word[first + 1]
            at = first
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == pair:
                    word[at : at + 2] = ["".join(pair)]
                    tokens[at : at + 2] = [2 * BYTES + rank]
                at += 1
        return tokens


@cache
def ascii_pattern() -> re.Pattern[str]:
    """The rule that cuts plain ASCII into pieces."""
    return re.compile("|".join(SPECIAL) + ASCII_PIECES, re.IGNORECASE)


@cache
def any_pattern() -> Any:
    """The rule that cuts any text into pieces; raises `UnavailableError` without the package regex."""
    try:
        regex = import_module("regex")
    except ImportError as error:
        raise needed("regex") from error
    return regex.compile("|".join(SPECIAL) + PIECES, regex.IGNORECASE)


def pieces(text: str) -> list[str]:
    """Cut cleaned text into words, digits and runs of signs."""
    found: list[str] = (ascii_pattern() if PLAIN.fullmatch(text) else any_pattern()).findall(text)
    return found


class JsonTokens:
    """The tokens of a tokenizer.json as open_clip asks for them: padded, cut (`cut` counts), cleaned before.

    Raises `UnavailableError` without the package `tokenizers`, `BadDataError` for a file it cannot read.
    """

    def __init__(self, rules: TokenRules, file: bytes) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            what = "the model's words are cut by the package tokenizers"
            raise UnavailableError(what, "Run `pip install tokenizers`.") from error
        try:
            self._tokenizer = Tokenizer.from_buffer(file)
        except Exception as error:
            raise BadDataError(f"the tokenizer.json cannot be read: {shown(str(error))}") from error
        side = {True: "left", False: "right"}
        self._tokenizer.enable_truncation(rules.context, direction=side[rules.cut_left])
        self._tokenizer.enable_padding(length=rules.context, pad_id=rules.pad, direction=side[rules.pad_left])
        self._clean, self._context, self._zeroed = CLEANING[rules.clean], rules.context, rules.zeroed
        self.cut = 0

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Return tokens (n, context) int64."""
        found = self._tokenizer.encode_batch([self._clean(text) for text in texts])
        self.cut += sum(bool(one.overflowing) for one in found)
        rows: npt.NDArray[np.int64] = np.array([one.ids for one in found], np.int64)
        rows = rows.reshape(-1, self._context)
        rows[rows == self._zeroed] = 0
        return rows


def tokenizer(rules: TokenRules, data: bytes) -> ClipTokens | JsonTokens:
    """What turns texts into tokens; raises `BadDataError` for rules that are not known here."""
    if rules.clean not in CLEANING:
        raise BadDataError(f"the tower cleans text by {shown(rules.clean)!r}, which this mmr does not know")
    if rules.kind == "clip":
        return ClipTokens(rules, data)
    if rules.kind == "json":
        return JsonTokens(rules, data)
    raise BadDataError(f"the tower's tokenizer is {shown(rules.kind)!r}, which this mmr does not know")


def stated_rules(open_clip: Any, live: Any, context: int) -> tuple[TokenRules, bytes]:
    """Read a tokenizer of open_clip: its rules, and its merges or its tokenizer.json.

    Raises `UnavailableError` with the reason where it works in a way that is not known here.
    """
    module = open_clip.tokenizer
    names = {getattr(module, f"_clean_{name}"): name for name in CLEANING}
    clean = names.get(getattr(live, "clean_fn", None))
    if clean is None or live.context_length != context:
        raise UnavailableError(f"its tokenizer ({type(live).__name__}) cleans text in its own way")
    rules: Mapping[str, Any] = {"context": context, "clean": clean}
    if type(live) is module.SimpleTokenizer:
        merges = "\n".join(f"{a} {b}" for a, b in live.bpe_ranks)
        if live.reduction_fn is not None or len(live.all_special_ids) != len(SPECIAL):
            raise UnavailableError("its tokenizer has tokens of its own")
        return TokenRules("clip", **rules, pad=0, pad_left=False, cut_left=False, zeroed=-1), merges.encode()
    fast = getattr(getattr(live, "tokenizer", None), "backend_tokenizer", None)
    if type(live) is not module.HFTokenizer or fast is None or live.tokenizer_mode:
        raise UnavailableError(f"its tokenizer is {type(live).__name__}, in a form without tokenizer.json")
    inner = live.tokenizer
    zeroed = int(inner.sep_token_id) if live.strip_sep_token else -1
    found = TokenRules(
        "json", **rules, pad=int(inner.pad_token_id), pad_left=inner.padding_side == "left",
        cut_left=inner.truncation_side == "left", zeroed=zeroed,
    )  # fmt: skip
    return found, fast.to_str().encode()
