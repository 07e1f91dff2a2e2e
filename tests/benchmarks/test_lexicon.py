"""What is lost when vectors become bags of words: sparse search beside the search of the vectors."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from tests.benchmarks.test_rerank_quality import VECTORS, rows, sh, unit, write
from tests.conftest import ROOT

FIGURES = ROOT / "man" / "lexicons.jsonl"
SETTINGS = ("--top 16", "--top 32", "--top 64", "", "--top 256", "--shrink 1", "--shrink 0.8", "--mean none")


class Made(NamedTuple):
    """A set: what it is, its list of words in words, and how `mmr fit lexicon` names that."""

    name: str
    listed: str
    words: str


def of_text(letter: str, vectors: np.ndarray, texts: list[str]) -> Iterator[dict[str, object]]:
    for i, (row, text) in enumerate(zip(vectors, texts, strict=True)):
        yield {"id": f"{letter}{i}", "text": text, "vector": row}


def fashion(folder: Path) -> Made:
    """Half of the pairs ask and are asked; the descriptions of the other half are the words."""
    pictures, words = unit("fashion_pairs1126/images.npy"), unit("fashion_pairs1126/texts.npy")
    test, other = np.split(np.random.default_rng(0).permutation(len(words)), 2)
    write(folder / "g.jsonl", ({"id": f"i{i}", "image": f"i{i}", "vector": row}
                               for i, row in enumerate(pictures[test])))  # fmt: skip
    write(folder / "q.jsonl", of_text("t", words[test], [f"t{i}" for i in range(len(test))]))
    write(folder / "w.jsonl", of_text("w", words[other], [f"w{i}" for i in other]))
    (folder / "qrels").write_text("".join(f"t{i} 0 i{i} 1\n" for i in range(len(test))))
    return Made("fashion, FashionCLIP: words ask for one of 563 pictures", "563 other descriptions",
                "w.jsonl")  # fmt: skip


def captions(folder: Path) -> Made:
    """Captions of 50 pictures ask among 1,036; those of the other 50 are the words."""
    pairs, more = "flickr8k_clip_vitb32_pairs", "flickr8k_clip_vitb32_images986"
    pictures, texts = unit(f"{pairs}/images.npy"), unit(f"{pairs}/texts.npy")
    others = unit(f"{more}/images.npy")
    others = others[(others @ pictures.T).max(axis=1) < 0.99]
    of = np.array([row["image_row"] for row in rows(f"{pairs}/texts.jsonl")])
    test, rest = np.split(np.random.default_rng(0).permutation(100), 2)
    gallery = {f"p{i}": pictures[i] for i in test} | {f"o{i}": row for i, row in enumerate(others)}
    write(folder / "g.jsonl", ({"id": name, "image": name, "vector": row} for name, row in gallery.items()))
    asked, listed = np.flatnonzero(np.isin(of, test)), np.flatnonzero(np.isin(of, rest))
    write(folder / "q.jsonl", of_text("t", texts[asked], [f"t{i}" for i in asked]))
    write(folder / "w.jsonl", of_text("w", texts[listed], [f"w{i}" for i in listed]))
    (folder / "qrels").write_text("".join(f"t{i} 0 p{of[row]} 1\n" for i, row in enumerate(asked)))
    return Made(f"Flickr8k, CLIP ViT-B/32: words ask for one of {len(gallery):,} pictures",
                "250 other captions", "w.jsonl")  # fmt: skip


def demo(folder: Path) -> Made:
    """The drawn gallery, with the short words that ship."""
    sh(f"{sys.executable} -m mmr.demo . && mmr embed -q pictures > g.jsonl && "
       "mmr embed -q --queries queries.jsonl > q.jsonl && cp qrels.tsv qrels", folder)  # fmt: skip
    return Made("the drawn gallery, built-in encoder: words ask for kinds of 508 pictures",
                "401 short words that ship", "words:en")  # fmt: skip


def spoken(folder: Path) -> Made:
    """The same, with the captions of its pictures for words."""
    shutil.copytree(folder.parent / "demo", folder, dirs_exist_ok=True)
    texts = {text for row in map(json.loads, (folder / "items.jsonl").read_text().splitlines())
             for text in row["captions"]}  # fmt: skip
    (folder / "w0.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in sorted(texts)))
    sh("mmr embed -q --queries w0.jsonl > w.jsonl", folder)
    return Made("the drawn gallery, built-in encoder: words ask for kinds of 508 pictures",
                f"{len(texts):,} captions of it", "w.jsonl")  # fmt: skip


def bags(path: Path) -> tuple[list[str], list[dict[str, float]]]:
    found = [record for record in map(json.loads, path.read_bytes().splitlines()) if "eof" not in record]
    return [record["id"] for record in found], [record["sparse"] for record in found]


def searched(folder: Path) -> float:
    """Write the ten best items of each query by the sum over the terms that both have; terms an item."""
    (names, items), (asked, queries) = bags(folder / "gs.jsonl"), bags(folder / "qs.jsonl")
    place: dict[str, int] = {}

    def matrix(of: list[dict[str, float]]) -> csr_matrix:
        begins = np.cumsum([0, *map(len, of)])
        columns = [place.setdefault(term, len(place)) for bag in of for term in bag]
        return csr_matrix(([w for bag in of for w in bag.values()], columns, begins), (len(of), 1 << 16))

    scores = (matrix(queries) @ matrix(items).T).toarray().astype(np.float32)
    with (folder / "sparse.trec").open("w") as run:
        for name, row in zip(asked, scores, strict=True):
            best = sorted(np.flatnonzero(row > 0), key=lambda i: (-row[i], names[i]))[:10]
            run.writelines(f"{name} Q0 {names[i]} {n} {row[i]:.9g} x\n" for n, i in enumerate(best, 1))
    return float(np.mean([len(bag) for bag in items]))


@pytest.mark.bench
def test_what_bags_of_words_lose(tmp_path):
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    out = []
    for make in (fashion, captions, demo, spoken):
        folder = tmp_path / make.__name__
        folder.mkdir()
        made = make(folder)
        sh("rm -rf g.mmr; mmr index -q g.mmr g.jsonl && "
           "mmr query g.mmr -q --from q.jsonl --format trec > dense.trec && "
           "awk '{print $1, 0, $3, 1}' dense.trec > near", folder)  # fmt: skip
        for setting in SETTINGS:
            sh(f"mmr fit lexicon -q --words {made.words} --index g.mmr {setting} -o lex.npz && "
               "mmr normalize apply -q lex.npz g.jsonl > gs.jsonl && "
               "mmr normalize apply -q lex.npz q.jsonl > qs.jsonl", folder)  # fmt: skip
            terms = searched(folder)
            near, first = (json.loads(sh(f"mmr eval -q {line} --format jsonl", folder)) for line in
                           ("near sparse.trec -m R@10 --ci",
                            "qrels dense.trec sparse.trec --compare -m hit@1"))  # fmt: skip
            found = {"near": near["value"], "near_low": near["low"], "near_high": near["high"],
                     "before": first["base"], "after": first["value"], "low": first["low"],
                     "high": first["high"]}  # fmt: skip
            out.append({"set": made.name, "words": made.listed, "setting": setting or "defaults (--top 128)",
                        "terms": round(terms, 1), "queries": near["queries"],
                        **{key: round(100 * value, 2) for key, value in found.items()}})  # fmt: skip
            print(out[-1])
    FIGURES.write_text("".join(json.dumps(row) + "\n" for row in out))
    for name in {(row["set"], row["words"]) for row in out}:
        of = {row["setting"]: row for row in out if (row["set"], row["words"]) == name}
        assert of["--top 16"]["near"] < of["--top 64"]["near"] < of["--top 256"]["near"], (
            "more words, less loss"
        )
        assert of["--shrink 1"]["near"] < of["defaults (--top 128)"]["near"], "unlike words find more"
