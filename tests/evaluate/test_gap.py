"""The modality gap: the reference's case 16, and every pair counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.errors import BadDataError
from mmr.evaluate import gap as module
from mmr.evaluate.gap import gap, meaning


def test_case_16():
    found = gap(np.float32([[1, 0], [0, 1]]), np.float32([[-1, 0], [0, 1]]))
    assert found.distance == 1
    assert (found.within_first, found.within_second, found.across) == (0, 0, 0)


@given(st.integers(2, 12), st.integers(1, 9), st.integers(1, 6), st.integers(0, 99))
def test_naively(n, m, d, seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.standard_normal((rows, d)).astype(np.float32) * 7 for rows in (n, m))
    found = gap(x, y)
    u, v = (a.astype(float) / np.linalg.norm(a.astype(float), axis=1, keepdims=True) for a in (x, y))
    assert found.distance == pytest.approx(np.linalg.norm(u.mean(0) - v.mean(0)), abs=1e-12)
    assert found.across == pytest.approx((u @ v.T).mean(), abs=1e-12)
    assert found.within_first == pytest.approx((u @ u.T)[~np.eye(n, dtype=bool)].mean(), abs=1e-12)
    if m == 1:
        assert math.isnan(found.within_second)
    else:
        assert found.within_second == pytest.approx((v @ v.T)[~np.eye(m, dtype=bool)].mean(), abs=1e-12)


def test_blocks_and_mapped_float16(monkeypatch, tmp_path):
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal((rows, 16)).astype(np.float16) for rows in (1000, 70))
    whole = gap(x, y)
    monkeypatch.setattr(module, "ROWS", 64)
    np.save(tmp_path / "x.npy", x)
    assert gap(np.load(tmp_path / "x.npy", mmap_mode="r"), y) == pytest.approx(whole, rel=1e-12)


def test_meaning():
    rng = np.random.default_rng(2)
    same = rng.standard_normal((60, 8))
    assert "lie in one place" in meaning(gap(same, same))
    shift = 9 * np.eye(8)[0]
    apart = gap(same + shift, same - shift)
    assert f"are {min(apart[4:6]) - apart.across:.3f} lower in cosine" in meaning(apart)
    assert "One vector" in meaning(gap(same, same[:1]))


def test_refusals():
    good = np.eye(3, dtype=np.float32)
    with pytest.raises(BadDataError, match="a has 3 dimensions, b has 2"):
        gap(good, good[:, :2], ("a", "b"))
    with pytest.raises(BadDataError, match="the second file has no vectors"):
        gap(good, good[:0])
    for value in (0, math.nan, math.inf):
        bad = good.copy()
        bad[1, :] = value
        with pytest.raises(BadDataError, match="row 1 is zero or not finite"):
            gap(good, bad)
