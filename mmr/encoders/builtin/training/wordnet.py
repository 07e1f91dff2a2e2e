"""Read WordNet 3.0 as Debian's package `wordnet-base` lays it out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LEXICOGRAPHER_FILES = {
    5: "animal", 6: "artifact", 8: "body", 13: "food", 17: "object", 18: "person", 20: "plant", 25: "shape",
}  # fmt: skip


@dataclass(frozen=True)
class Synset:
    """One meaning: its offset (the number in an ImageNet id), words, gloss and broader meanings."""

    offset: int
    file: str
    file_number: int
    words: tuple[str, ...]
    gloss: str
    broader: tuple[int, ...]


def synsets(folder: Path, part: str) -> Iterator[Synset]:
    """Yield the meanings in `data.PART`, part being noun, verb, adj or adv."""
    with (folder / f"data.{part}").open(encoding="utf8") as lines:
        for line in lines:
            if line.startswith("  "):
                continue
            front, _, gloss = line.partition(" | ")
            fields = front.split()
            count = int(fields[3], 16)
            words = tuple(re.sub(r"\(\w+\)$", "", fields[4 + 2 * i]).replace("_", " ") for i in range(count))
            pointers = fields[5 + 2 * count :]
            broader = tuple(int(pointers[i + 1]) for i, sign in enumerate(pointers) if sign in {"@", "@i"})
            name = LEXICOGRAPHER_FILES.get(int(fields[1]), "") if part == "noun" else part
            yield Synset(int(fields[0]), name, int(fields[1]), words, gloss.strip(), broader)


def sense_counts(folder: Path) -> dict[tuple[str, int], int]:
    """Count how often each (word, lexicographer file) was met in tagged text."""
    counts: dict[tuple[str, int], int] = {}
    with (folder / "cntlist.rev").open(encoding="utf8") as lines:
        for line in lines:
            key, _, tagged = line.split()
            word, _, place = key.partition("%")
            where = (word.replace("_", " "), int(place.split(":")[1]))
            counts[where] = counts.get(where, 0) + int(tagged)
    return counts


def definition_and_examples(gloss: str) -> tuple[str, list[str]]:
    """Split a gloss into what it says and the example sentences it quotes."""
    examples = re.findall(r'"([^"]+)"', gloss)
    return re.sub(r';?\s*"[^"]+"', "", gloss).strip(" ;"), examples


def broader_names(nouns: dict[int, Synset], offset: int, steps: int = 3) -> list[str]:
    """Name the next broader meanings of a noun, nearest first, one word each."""
    names = []
    for _ in range(steps):
        above = nouns[offset].broader
        if not above:
            break
        offset = above[0]
        names.append(nouns[offset].words[0])
    return names
