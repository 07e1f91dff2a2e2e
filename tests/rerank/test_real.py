"""On real vectors: what the research notes measured where words ask for pictures."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.rerank.expansion import expanded, unit
from mmr.rerank.superglobal import superglobal
from tests.conftest import SHARED

FOLDER = SHARED / "data" / "embeddings" / "fashion_pairs1126"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="needs the folder `shared` with real vectors beside the repository"
)


@pytest.fixture(scope="module")
def asked():
    """Descriptions, the 100 first pictures of each, and their vectors."""
    pictures, words = (np.load(FOLDER / name).astype(np.float32) for name in ("images.npy", "texts.npy"))
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    return words, np.argsort(-(words @ pictures.T), axis=1)[:, :100], pictures


def first(asked, scored):
    """R@1 of scores of the hits."""
    words, hits, pictures = asked
    best = [hits[i][np.argmax(scored(words[i], pictures[hits[i]]))] for i in range(len(words))]
    return np.mean(np.array(best) == np.arange(len(words)))


def test_before(asked):
    assert first(asked, lambda q, x: x @ q) == pytest.approx(0.805, abs=6e-4)


@pytest.mark.parametrize(("neighbours", "expected"), [(9, 0.645), (3, 0.711), (1, 0.759)])
def test_trap_superglobal_loses(asked, neighbours, expected):
    assert first(asked, lambda q, x: superglobal(q, x, neighbours).scores) == pytest.approx(
        expected, abs=6e-4
    )


@pytest.mark.parametrize(
    ("n", "alpha", "expected"),
    [(1, 0, 0.805), (1, 3, 0.805), (3, 0, 0.629), (3, 3, 0.800), (10, 0, 0.415), (10, 3, 0.806)],
)
def test_trap_plain_expansion_swamps_the_query_and_alpha_3_does_not(asked, n, alpha, expected):
    found = first(asked, lambda q, x: x @ unit(expanded(q, x, n, alpha)))
    assert found == pytest.approx(expected, abs=6e-4)
