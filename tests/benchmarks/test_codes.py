"""Residual bits beside sign bits and random planes of as many bits, on vectors of real models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.measure import RESULTS, keep
from tests.conftest import SHARED

pytestmark = pytest.mark.bench
CODES = RESULTS.with_name("codes.jsonl")
K, HALVES, EXTRA = 10, 10, 64  # bits of the two numbers that bebr keeps beside its bits


def unit(*files: Path):
    x = np.concatenate([np.load(file).astype(np.float32) for file in files])
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def sets() -> dict[str, tuple]:
    """Pictures and the words that ask for them, by name."""
    folder = SHARED / "data" / "embeddings"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    flickr = folder / "flickr8k_clip_vitb32_pairs"
    more = folder / "flickr8k_clip_vitb32_images986" / "images.npy"
    found = {"flickr": (unit(flickr / "images.npy", more), unit(flickr / "texts.npy"))}
    for name in ("albums290_clip_vitb32", "fashion_pairs1126"):
        one = folder / name
        found[name.split("_")[0].rstrip("0123456789")] = (unit(one / "images.npy"), unit(one / "texts.npy"))
    return found


def found_by(spec: str, x, bank, asked, folder: Path, depth: int):
    """The first rows of each query by the codes of a kind alone, and the bytes a vector."""
    from mmr.index.table import adapter, parse

    row, params = parse(spec)
    kind, trained, file = adapter(row.name), folder / "trained", folder / "codes"
    kind.train(x, bank, len(x), params, trained)
    kind.write(x, params, file, trained)
    return kind.candidates(file, asked, depth, params, 1.0)


def recall(rows, truth) -> float:
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(rows, truth, strict=True)]))


@pytest.mark.parametrize("depth", [10, 20, 50])
@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("direction", ["words", "pictures"])
def test_residual_bits_find_more_than_signs_of_as_many_bits(tmp_path, direction, bits, depth):
    """Half of the queries are known, the others ask; ten halves, Student's interval of the difference."""
    from scipy import stats

    for name, (x, words) in sets().items():
        asked = words if direction == "words" else x
        others, mine = [], []
        for half in range(HALVES):
            order = np.random.default_rng(half).permutation(len(asked))
            bank, test = asked[order[::2]], asked[order[1::2][:300]]
            truth = np.argpartition(-(test @ x.T), K, axis=1)[:, :K]
            specs = [
                f"binary:code=planes,bits={x.shape[1] * bits + EXTRA}",
                *(["binary"] if bits == 1 else []),
            ]
            signs = [recall(found_by(spec, x, bank, test, tmp_path, depth), truth) for spec in specs]
            others.append(max(signs))
            mine.append(recall(found_by(f"bebr:bits={bits}", x, bank, test, tmp_path, depth), truth))
        gain = np.array(mine) - others
        width = float(stats.t.ppf(0.975, HALVES - 1) * gain.std(ddof=1) / HALVES**0.5)
        print(
            f"\n{name}, {direction}, {bits} bits, first {depth}: {np.mean(others):.3f} -> {np.mean(mine):.3f}"
        )
        keep(
            {
                "set": f"{name}, {direction} ask", "bits": bits, "depth": depth,
                "signs": round(float(np.mean(others)), 4), "bebr": round(float(np.mean(mine)), 4),
                "low": round(float(gain.mean()) - width, 4), "high": round(float(gain.mean()) + width, 4),
            },
            CODES, ("set", "bits", "depth"),
        )  # fmt: skip
        assert gain.mean() > 0
