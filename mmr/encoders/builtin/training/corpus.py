"""The texts that the text table is fitted on. None is a caption or label of a photo set."""

from __future__ import annotations

import random
from pathlib import Path

from . import captions, sources, wordnet

SUBJECT_FILES = frozenset({"animal", "artifact", "food", "person", "plant", "object", "body", "shape"})
PATTERNS = (
    "{n1} {v1}ing {p} {n2}",
    "{n1} {p} {n2}",
    "a photo of {n1} and {n2}",
    "{a1} {n1} {v1}ing {p} {a2} {n2}",
    "{n1} and {n2} {v1}ing",
    "{n1} with {a1} {n2} {p} {n3}",
    "{a1} {n1}",
)
PREPOSITIONS = ("on", "in", "near", "with", "under", "behind", "next to", "in front of", "beside", "over")


def weighted_words(folder: Path, part: str, files: frozenset[str] | None) -> tuple[list[str], list[float]]:
    """List a part of speech's words, each with a weight that grows with its use in tagged text."""
    counts = wordnet.sense_counts(folder)
    best: dict[str, int] = {}
    for synset in wordnet.synsets(folder, part):
        if files is None or synset.file in files:
            for word in synset.words:
                if word.islower() and len(word) > 2:
                    tagged = counts.get((word.lower(), synset.file_number), 0)
                    best[word] = max(best.get(word, 0), tagged)
    return list(best), [(count + 0.3) ** 0.6 for count in best.values()]


def _noun_phrase(noun: str, rng: random.Random) -> str:
    if rng.random() < 0.3:
        return f"{rng.choice(('two', 'three', 'some', 'several', ''))} {captions.plural(noun)}".strip()
    return captions.with_article(noun) if rng.random() < 0.8 else f"the {noun}"


def template_captions(folder: Path, count: int, rng: random.Random) -> list[str]:
    """Make sentences that read like picture captions out of WordNet's nouns, verbs and adjectives."""
    nouns, noun_weights = weighted_words(folder, "noun", SUBJECT_FILES)
    verbs, verb_weights = weighted_words(folder, "verb", None)
    adjectives, adjective_weights = weighted_words(folder, "adj", None)
    many_nouns = rng.choices(nouns, noun_weights, k=3 * count)
    many_verbs = rng.choices(verbs, verb_weights, k=count)
    many_adjectives = rng.choices(adjectives, adjective_weights, k=2 * count)
    texts = []
    for i in range(count):
        first, second, third = (_noun_phrase(noun, rng) for noun in many_nouns[3 * i : 3 * i + 3])
        verb = many_verbs[i].split()[0]
        texts.append(
            rng.choice(PATTERNS).format(
                n1=first, n2=second, n3=third, v1=verb[:-1] if verb.endswith("e") else verb,
                p=rng.choice(PREPOSITIONS), a1=many_adjectives[2 * i], a2=many_adjectives[2 * i + 1],
            )
        )  # fmt: skip
    return texts


def wordnet_texts(folder: Path) -> list[str]:
    """List every word, definition and example sentence of WordNet."""
    texts: list[str] = []
    for part in ("noun", "verb", "adj", "adv"):
        for synset in wordnet.synsets(folder, part):
            definition, examples = wordnet.definition_and_examples(synset.gloss)
            texts += [*synset.words, definition, *examples]
    return texts


def collect(work: Path, templates: int, seed: int = 0) -> list[str]:
    """Gather all distinct texts, in a fixed shuffled order.

    Names of the held-out drawings are taken out again unless WordNet has the same text.
    """
    rng = random.Random(seed)
    folder = work / "debian/usr/share/wordnet"
    from_wordnet = wordnet_texts(folder)
    names: list[str] = []
    keywords: list[str] = []
    for drawing in sources.training_drawings(work):
        names.append(drawing.name)
        keywords += drawing.words
    held_out = {drawing.name for drawing in sources.held_out_drawings(work)}
    drawn = [text for text in [*names, *keywords] if text not in held_out]
    nouns, weights = weighted_words(folder, "noun", SUBJECT_FILES)
    subjects = [*rng.choices(nouns, weights, k=20_000), *rng.choices(names, k=10_000)]
    scenes = [captions.caption(captions.random_scene(subjects, rng), rng) for _ in range(templates)]
    made = template_captions(folder, templates, rng)
    texts = sorted({" ".join(text.split()) for text in [*from_wordnet, *drawn, *scenes, *made]} - {""})
    rng.shuffle(texts)
    return texts
