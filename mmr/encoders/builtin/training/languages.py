"""Stage `languages`: the hashed table of words that are not English, fitted to CLDR's emoji names.

A name in any language should land on the vector of the English name, a keyword on that of the English
keyword that is given to the same emoji. Emoji that are held out are held out in all languages, and five
languages are left out whole.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from mmr.encoders.builtin.languages import grams, split
from mmr.encoders.builtin.text import TextTower, unit
from mmr.encoders.builtin.weights import FloatArray, Weights

from . import captions, corpus, packing, wordnet

LANGUAGES = (
    "am", "ar", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "es", "et", "fa", "fi",
    "fil", "fr", "ga", "gu", "he", "hi", "hr", "hu", "hy", "id", "is", "it", "ja", "ka", "kk", "km", "kn",
    "ko", "lt", "lv", "ml", "mn", "mr", "ms", "my", "ne", "nl", "no", "pa", "pl", "pt", "ro", "ru", "si",
    "sk", "sl", "sq", "sr", "sv", "sw", "ta", "te", "th", "tr", "uk", "ur", "uz", "vi", "yue", "zh",
    "zh-Hant",
)  # fmt: skip
NEVER_SEEN = ("gl", "mk", "fo", "eu", "zu")  # whole languages that are measured and not learnt
HELD_OUT = 0.15  # share of the emoji
ROWS, WIDTH = 65536, 64
BATCH, RATE = 2048, 0.02


@dataclass(frozen=True)
class Entry:
    """One emoji in one language."""

    emoji: str
    name: str
    keywords: tuple[str, ...]


def entries(npm: Path, language: str) -> list[Entry]:
    """Read the names and keywords of a language; none where CLDR has no such folder."""
    path = npm / f"cldr-annotations-full/annotations/{language}/annotations.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf8")).get("annotations", {}).get("annotations", {})
    return [
        Entry(emoji, entry["tts"][0], tuple(entry.get("default", ())))
        for emoji, entry in found.items()
        if entry.get("tts")
    ]


def held_out(emoji: str) -> bool:
    """Say whether an emoji is kept for measuring, always the same ones."""
    return random.Random(f"held out {emoji}").random() < HELD_OUT


def keyword_targets(
    english: list[Entry], other: list[Entry], names: dict[str, FloatArray], words: dict[str, FloatArray]
) -> dict[str, FloatArray]:
    """Give each keyword a unit vector: the English keyword of the most alike set of emoji, and their names.

    Alike sets are measured by the share of both that is in both (Jaccard).
    """
    given: dict[str, set[str]] = defaultdict(set)
    of_emoji: dict[str, tuple[str, ...]] = {}
    for entry in english:
        of_emoji[entry.emoji] = entry.keywords
        for keyword in entry.keywords:
            given[keyword].add(entry.emoji)
    mine: dict[str, set[str]] = defaultdict(set)
    for entry in other:
        for keyword in entry.keywords:
            if entry.emoji in names:
                mine[keyword].add(entry.emoji)
    found = {}
    for keyword, emoji in mine.items():
        shared = Counter(word for one in sorted(emoji) for word in of_emoji.get(one, ()))
        vector = np.mean([names[one] for one in sorted(emoji)], axis=0)
        ranked = sorted(((n / (len(given[w]) + len(emoji) - n), w) for w, n in shared.items()), reverse=True)
        for alike, word in ranked[:3]:
            vector = vector + 2 * alike * words[word]
        found[keyword] = unit(vector[None])[0]
    return found


@dataclass
class Texts:
    """Texts of other languages as hashed grams, with target vectors (n, d) and weights (n,)."""

    rows: list[npt.NDArray[np.int64]]
    targets: FloatArray
    weights: npt.NDArray[np.float32]


def hashed(text: str, rows: int = ROWS) -> npt.NDArray[np.int64]:
    """Give the table rows of all words of a text."""
    return np.array([gram % rows for word in split(text) for gram in grams(word)], np.int64)


def collect(npm: Path, text: TextTower) -> Texts:
    """Gather names (weight 1) and keywords (0.4) of all languages, without the emoji that are held out."""
    english = [entry for entry in entries(npm, "en") if not held_out(entry.emoji)]
    keywords = sorted({keyword for entry in english for keyword in entry.keywords})
    words = dict(zip(keywords, text.encode(keywords), strict=True))
    names = dict(zip((e.emoji for e in english), text.encode([entry.name for entry in english]), strict=True))
    sums: dict[str, FloatArray] = defaultdict(lambda: np.zeros(text.dim, np.float32))
    weights: dict[str, float] = defaultdict(float)
    for language in LANGUAGES:
        other = [entry for entry in entries(npm, language) if not held_out(entry.emoji)]
        for entry in other:
            if entry.emoji in names:
                sums[entry.name.lower()] += names[entry.emoji]
                weights[entry.name.lower()] += 1.0
        for keyword, vector in keyword_targets(english, other, names, words).items():
            sums[keyword.lower()] += 0.4 * vector
            weights[keyword.lower()] += 0.4
    rows, targets, shares = [], [], []
    for name, vector in sums.items():
        hashes = hashed(name)
        if len(hashes):
            rows.append(hashes)
            targets.append(vector)
            shares.append(min(weights[name], 3.0))
    return Texts(rows, unit(np.stack(targets)), np.array(shares, np.float32))


class Table(nn.Module):  # type: ignore[misc]
    """Sum of hashed rows, times a matrix: → unit rows (n, dim)."""

    def __init__(self, dim: int, rows: int = ROWS, width: int = WIDTH) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(rows, width, mode="sum", sparse=False)
        nn.init.normal_(self.table.weight, std=0.02)
        self.out = nn.Linear(width, dim, bias=False)

    def forward(self, grams: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        """Turn the rows of all texts in one line and their starts (n,) into unit rows."""
        return functional.normalize(self.out(self.table(grams, starts)))


def bags(
    rows: list[npt.NDArray[np.int64]], which: npt.NDArray[np.int64]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay the chosen texts' rows in one line, with the start of each."""
    chosen = [rows[i] for i in which]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in chosen])[:-1]])
    return torch.from_numpy(np.concatenate(chosen)), torch.from_numpy(starts)


def fit(texts: Texts, passes: int, rows: int = ROWS, width: int = WIDTH) -> Table:
    """Fit the table: 1 - cosine, and cross-entropy over the targets of the batch, equal ones as one."""
    torch.manual_seed(0)
    model = Table(texts.targets.shape[1], rows, width)
    targets, weights = torch.from_numpy(texts.targets), torch.from_numpy(texts.weights)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    rng = np.random.default_rng(0)
    steps = passes * (len(texts.rows) // BATCH)
    hashes = [row % rows for row in texts.rows]
    for step in range(steps):
        if step % (len(hashes) // BATCH) == 0:
            order = rng.permutation(len(hashes))
        at = step % (len(hashes) // BATCH) * BATCH
        which = order[at : at + BATCH]
        made, target, weight = model(*bags(hashes, which)), targets[which], weights[which]
        wanted = ((target @ target.T) / 0.04).softmax(1)
        crossed = -(wanted * (made @ target.T * 20).log_softmax(1)).sum(1)
        lost = (weight * (1 - (made * target).sum(1) + 0.2 * crossed)).sum() / weight.sum()
        for group in optimiser.param_groups:
            group["lr"] = RATE * max(1 - step / steps, 0.01)
        optimiser.zero_grad(set_to_none=True)
        lost.backward()
        optimiser.step()
        if step % 100 == 0:
            cosine = (made * target).sum(1).mean().item()
            print(f"languages: step {step} of {steps}, cosine {cosine:.4f}", flush=True)
    return model


def fit_choice(work: Path, rows: int = ROWS) -> npt.NDArray[np.float32]:
    """Fit a score for each row, so that a word's sum is above 0 when the word is likelier not English.

    English words are those of WordNet's texts and of CLDR's English names, by their use there; a word
    that is also met in other languages counts on both sides.
    """
    npm = work / "npm/node_modules"
    folder = work / "debian/usr/share/wordnet"
    texts = corpus.wordnet_texts(folder)
    texts += [text for entry in entries(npm, "en") for text in (entry.name, *entry.keywords)]
    english = Counter(word for text in texts for word in split(text))
    for synset in wordnet.synsets(folder, "noun"):
        english.update(captions.plural(word) for word in synset.words if word.isalpha() and word.islower())
    for synset in wordnet.synsets(folder, "verb"):
        stems = [word.removesuffix("e") for word in synset.words if word.isalpha()]
        english.update(stem + end for stem in stems for end in ("ing", "er", "ers", "ed"))
    foreign: Counter[str] = Counter()
    for language in LANGUAGES:
        for entry in entries(npm, language):
            for text in (entry.name, *entry.keywords):
                foreign.update(split(text))
    words = [word for word in english if not word.isdigit()]
    others = [word for word in foreign if not word.isdigit()]
    hashes = [np.array([gram % rows for gram in grams(word)], np.int64) for word in words + others]
    uses = [english[word] for word in words] + [foreign[word] for word in others]
    weights = torch.from_numpy(np.log1p(np.array(uses, np.float32)))
    weights[: len(words)] *= 2
    wanted = torch.from_numpy(np.repeat([0.0, 1.0], [len(words), len(others)]).astype(np.float32))
    torch.manual_seed(0)
    score = nn.EmbeddingBag(rows, 1, mode="sum")
    nn.init.zeros_(score.weight)
    optimiser = torch.optim.Adam(score.parameters(), lr=0.05)
    rng = np.random.default_rng(0)
    steps = 8 * (len(hashes) // 4096)
    for step in range(steps):
        if step % (len(hashes) // 4096) == 0:
            order = rng.permutation(len(hashes))
        at = step % (len(hashes) // 4096) * 4096
        which = order[at : at + 4096]
        made = score(*bags(hashes, which))[:, 0]
        lost = functional.binary_cross_entropy_with_logits(made, wanted[which], weights[which])
        for group in optimiser.param_groups:
            group["lr"] = 0.05 * max(1 - step / steps, 0.01)
        optimiser.zero_grad(set_to_none=True)
        lost.backward()
        optimiser.step()
        if step % 100 == 0:
            right = ((made > 0) == (wanted[which] > 0)).float().mean().item()
            print(f"languages: choice, step {step} of {steps}, right {right:.4f}", flush=True)
    scores: npt.NDArray[np.float32] = score.weight.detach().numpy()[:, 0].copy()
    return scores


def quantise(table: FloatArray) -> tuple[packing.Stored, packing.Stored]:
    """Round rows to 4 bits: (n, d) → (n, d/2) uint8, two numbers + 8 in each, and (n,) float16 scales.

    Column c is the low half of byte c, column c + d/2 the high half. Each row's scale is that of a few
    with the least squared error.
    """
    widest = np.maximum(np.abs(table).max(1), 1e-5) / 7
    best = np.full(len(table), np.inf)
    scale = widest.astype(np.float16)
    for share in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5):
        tried = (share * widest).astype(np.float16)
        steps = tried.astype(np.float32)[:, None]
        lost = ((table - np.clip(np.rint(table / steps), -8, 7) * steps) ** 2).sum(1)
        scale = np.where(lost < best, tried, scale)
        best = np.minimum(best, lost)
    rounded = np.clip(np.rint(table / scale.astype(np.float32)[:, None]), -8, 7).astype(np.int8) + 8
    half = table.shape[1] // 2
    return (rounded[:, :half] | rounded[:, half:] << 4).astype(np.uint8), scale


def save(model: Table, scores: npt.NDArray[np.float32], work: Path) -> None:
    """Write the table and the scores to `work/languages.safetensors`."""
    packed, scale = quantise(model.table.weight.detach().numpy())
    step = np.abs(scores).max() / 127
    tensors: dict[str, packing.Stored] = {
        "other.table": packed,
        "other.scale": scale,
        "other.choice": np.rint(scores / step).astype(np.int8),
        "other.choice.step": np.array([step], np.float32),
        "other.out": model.out.weight.detach().numpy().T.astype(np.float16),
    }
    packing.write(tensors, {}, work / "languages.safetensors")


def run(work: Path, passes: int) -> None:
    """Fit and write the table of other languages."""
    npm = work / "npm/node_modules"
    text = TextTower(Weights(work / "text.safetensors"), (work / "vocabulary.txt").read_bytes())
    save(fit(collect(npm, text), passes), fit_choice(work), work)
