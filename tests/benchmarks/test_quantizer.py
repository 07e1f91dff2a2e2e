"""Codes fitted to queries beside those of FAISS of as many bytes, on real vectors; the time of the fit."""

from __future__ import annotations

import json
import tarfile
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.benchmarks.measure import RESULTS, cpu, keep, report
from tests.benchmarks.test_codes import sets
from tests.conftest import SHARED

pytestmark = pytest.mark.bench
QUANTIZERS = RESULTS.with_name("quantizers.jsonl")
K, REFINE, ROUNDS = 10, 10, 40


class Asked(NamedTuple):
    """Rows of the index, those of them that the fit saw, queries that it saw, and those that ask."""

    rows: Any
    seen: Any
    queries: Any
    test: Any


def halves(rows, seed: int = 0):
    order = np.random.default_rng(seed).permutation(len(rows))
    return rows[order[::2]], rows[order[1::2]]


def clip(name: str) -> dict[str, Asked]:
    """What is asked of a set whose pictures and words have vectors of one model."""
    pictures, words = sets()[name]
    if name == "flickr":  # five captions a picture stand together: the halves share no picture
        order = np.random.default_rng(0).permutation(100)
        fitted, test = (words.reshape(100, 5, -1)[part].reshape(250, -1) for part in (order[:50], order[50:]))
    else:
        fitted, test = halves(words)
    held, rest = np.split(np.random.default_rng(1).permutation(len(pictures)), [200])
    early = np.random.default_rng(2).permutation(len(pictures))[: 2 * len(pictures) // 3]
    found = {
        "words ask, others of them fitted": Asked(pictures, pictures, fitted, test),
        "words ask, a third of the pictures came after the fit": Asked(
            pictures, pictures[early], fitted, test
        ),
        "pictures ask, words fitted": Asked(pictures[rest], pictures[rest], fitted, pictures[held]),
    }
    if name == "flickr":
        other = sets()["albums"][1]
        found["words ask, those of albums fitted"] = Asked(pictures, pictures, other, test)
    return found


@cache
def builtin() -> dict[str, Asked]:
    """Flickr8k's and COCO's pictures and captions by the built-in encoder; the halves share no picture."""
    from PIL import Image

    from mmr.encoders.builtin import Builtin

    encoder, pictures, words, of = Builtin(), [], [], []
    for name in ("flickr8k_clip", "coco_mini"):
        stem = SHARED / "data" / "pictures" / name
        if not stem.with_suffix(".tar").is_file():
            pytest.skip("needs the folder `shared` with pictures beside the repository")
        with tarfile.open(stem.with_suffix(".tar")) as tar:
            for line in stem.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                held = Image.open(BytesIO(tar.extractfile(row["file"]).read())).convert("RGB")
                words += row["captions"]
                of += [len(pictures)] * len(row["captions"])
                pictures.append(encoder.encode_images([held])[0])
    rows, asked = np.stack(pictures), encoder.encode_texts(words)
    first = np.random.default_rng(0).random(len(rows))[of] < 0.5
    test = asked[~first][np.random.default_rng(3).permutation(int((~first).sum()))[:1000]]
    return {"words ask, others of them fitted": Asked(rows, rows, asked[first], test)}


def plain(kind: str, params, rows, test) -> tuple[float, float]:
    """What FAISS's codes without a rotation find, as `--convert pq:m=...` makes them."""
    import tempfile
    from pathlib import Path

    from mmr.index.quantizer_learn import nearest, shares
    from mmr.index.table import adapter

    told, coder, right = {**params, "opq": "no"}, adapter(kind), nearest(test, rows, K)
    with tempfile.TemporaryDirectory() as folder:
        trained, file = Path(folder, "trained"), Path(folder, "codes")
        coder.train(rows, None, len(rows), told, trained)
        coder.write(rows, told, file, trained)
        found = [
            shares(coder.candidates(file, test, depth, told, 1.0), right).mean() for depth in (K, REFINE * K)
        ]
    return float(found[0]), float(found[1])


def figures(name: str, what: str, asked: Asked, spec: str) -> dict[str, Any]:
    """One row of the table."""
    from mmr.index.quantizer_fit import asked_kind, fit_rows, measured

    kind, params = asked_kind(spec)
    order = np.random.default_rng(4).permutation(len(asked.queries))
    fifth = len(order) // 5
    kept, used = asked.queries[order[:fifth]], asked.queries[order[fifth:]]
    fitted = fit_rows(kind, params, asked.seen, used, kept, ROUNDS)
    gain = measured(fitted, params, asked.rows, asked.test)
    alone, refined = plain(kind, params, asked.rows, asked.test)
    pieces, rows = fitted.params["m"], len(asked.rows)
    print(f"\n{name}, {what}, {spec}: {alone:.3f}, {gain.before:.3f} -> {gain.after:.3f}")
    row = {
        "set": f"{name}: {what}", "kind": kind, "bytes": pieces // 2, "plain": round(alone, 4),
        "opq": round(gain.before, 4), "fitted": round(gain.after, 4), "low": round(gain.low, 4),
        "high": round(gain.high, 4), "refined": [round(one, 4) for one in (refined, *gain.refined)],
        "rows": rows, "queries": len(asked.queries), "test": gain.queries,
    }  # fmt: skip
    keep(row, QUANTIZERS, ("set", "kind", "bytes"))
    return row


@pytest.mark.parametrize("spec", ["pq:m=32", "pq:m=128", "ivfpq:m=64,lists=8"])
@pytest.mark.parametrize("name", ["fashion", "flickr"])
def test_fitted_codes_of_clip(name, spec):
    for what, asked in clip(name).items():
        row = figures(name, what, asked, spec)
        if what == "words ask, others of them fitted":
            assert row["low"] > 0


@pytest.mark.parametrize("spec", ["pq:m=16", "pq:m=64", "ivfpq:m=32,lists=8"])
def test_fitted_codes_of_the_built_in_encoder(spec):
    for what, asked in builtin().items():
        figures("built-in encoder", what, asked, spec)


@pytest.mark.parametrize("spec", ["pq:m=64", "ivfpq:m=64,lists=8"])
def test_time_of_the_fit_beside_the_training_of_faiss(spec):
    """CPU seconds of the whole fit, FAISS's training in it, over FAISS's training of the same codes alone."""
    from mmr.index.quantizer_fit import asked_kind, fit_rows, trained_plain

    kind, params = asked_kind(spec)
    asked = clip("fashion")["words ask, others of them fitted"]
    ours, peer = [], []
    for _ in range(2):
        ours.append(cpu(lambda: fit_rows(kind, params, asked.rows, asked.queries[100:], asked.queries[:100],
                                         ROUNDS))[0])  # fmt: skip
        peer.append(cpu(lambda: trained_plain(kind, params, asked.rows))[0])
    name = f"{kind} fitted to 463 queries over 1,126 x 512, against FAISS's training with opq"
    report(name, min(ours), min(peer), 10)
