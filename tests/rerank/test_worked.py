"""The worked cases of the reference, and published formulas written as plainly as they are printed."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.rerank import diffusion, diversify, expansion, kreciprocal, profile, superglobal
from tests.rerank.made import Q, T, unit


def close(found, expected):
    assert np.asarray(found) == pytest.approx(np.asarray(expected), abs=1e-4)


def test_superglobal_worked():
    found = superglobal.superglobal(Q, T, neighbours=1)
    close(found.first, [0.95743, 0.91888, 0.81712, 0.33571])
    close(found.second, [0.99779, 1.14907, 1.09618, 0.67469])
    close(found.scores, [0.97761, 1.03397, 0.95665, 0.50520])


def test_expansions_worked():
    close(expansion.unit(expansion.expanded(Q, T, 2)), [0.95274, 0.30377])
    powered = expansion.unit(expansion.expanded(Q, T, 2, 3))
    close(powered, [0.95550, 0.29498])
    close(T @ powered, [0.95550, 0.94139, 0.80928, 0.29498])
    close(expansion.rocchio(Q, T[:2], T[3:]), [1.635, 0.355])
    close(expansion.averaged(Q, T, 2), [0.92, 0.29333])
    close(expansion.feedback(Q, T, 2), [0.936, 0.288])


def test_k_reciprocal_worked():
    final, jaccard = kreciprocal.distances(Q, T, k1=2, k2=1)
    close(jaccard, [0.4984, 0.5067, 0.8010, 1])
    close(final, [0.3498, 0.3571, 0.5839, 1])


@pytest.mark.parametrize(("alpha", "expected"), [(0.9, [4.972, 6.867, 6.504, 4.020]),
                                                 (0.99, [45.4139, 67.0553, 66.6871, 44.4515])])  # fmt: skip
def test_diffusion_worked(alpha, expected):
    """At .99 the reference prints 45.5 for the last hit, and the formula gives 44.4515."""
    found = diffusion.diffused(Q, T, alpha)
    assert found == pytest.approx(expected, abs=5e-4)


def test_mmr_worked():
    alike = np.array([[1, 0.9, 0.1], [0.9, 1, 0.2], [0.1, 0.2, 1]])
    order, values, like = diversify.picked(np.array([0.9, 0.85, 0.5]), alike, 0.5)
    assert order == [0, 2, 1] and like == [-1, 0, 0]
    close(values, [0.45, 0.20, -0.025])


def naive_superglobal(q, x, k, beta):
    m = len(x)
    near = [sorted(range(m), key=lambda j: (j != i, -(x[i] @ x[j])))[: k + 1] for i in range(m)]
    refined = []
    for i in range(m):
        weights = [1 if j == i else beta * max(x[i] @ x[j], 0) for j in near[i]]
        refined.append(sum(w * x[j] for w, j in zip(weights, near[i], strict=True)) / sum(weights))
    first = np.array([q @ g for g in refined])
    expanded = np.max([refined[i] for i in np.argsort(-first)[: k + 1]], axis=0)
    return (first + np.array([expanded @ g for g in refined])) / 2


def naive_k_reciprocal(q, x, k1, k2, share):
    points = np.vstack([q, x])
    n = len(points)
    d = np.array([[max(2 - 2 * (a @ b), 0) for b in points] for a in points]) ** 2
    np.fill_diagonal(d, 0)
    d = (d / d.max(axis=0)).T
    order = np.argsort(d, axis=1, kind="stable")

    def mutual(i, k):
        return [f for f in order[i, : k + 1] if i in order[f, : k + 1]]

    v = np.zeros((n, n))
    for i in range(n):
        own = mutual(i, k1)
        members = set(own)
        for c in own:
            theirs = mutual(c, int(np.around(k1 / 2)))
            if len(set(theirs) & set(own)) > 2 / 3 * len(theirs):
                members |= set(theirs)
        for j in members:
            v[i, j] = np.exp(-d[i, j])
        v[i] /= v[i].sum()
    if k2 != 1:
        v = np.array([v[order[i, :k2]].mean(axis=0) for i in range(n)])
    least = np.array([np.minimum(v[0], v[j]).sum() for j in range(1, n)])
    return (1 - share) * (1 - least / (2 - least)) + share * d[0, 1:]


def naive_diffusion(q, x, a, g, k, seeds):
    m = len(x)
    edges = np.array([[0 if i == j else max(x[i] @ x[j], 0) ** g for j in range(m)] for i in range(m)])
    near = [set(np.argsort(-edges[i], kind="stable")[:k].tolist()) for i in range(m)]
    for i in range(m):
        for j in range(m):
            if i not in near[j] or j not in near[i]:
                edges[i, j] = 0
    total = edges.sum(axis=1)
    w = np.array([[edges[i, j] / np.sqrt(total[i] * total[j]) if edges[i, j] else 0 for j in range(m)]
                  for i in range(m)])  # fmt: skip
    best = np.argsort(-(x @ q), kind="stable")[:seeds]
    y = np.array([max(x[i] @ q, 0) ** g if i in best else 0 for i in range(m)])
    f = np.zeros(m)
    for _ in range(3000):
        f = a * w @ f + y
    return f


def naive_dba(x, k, alpha):
    out = []
    for i in range(len(x)):
        near = sorted((j for j in range(len(x)) if j != i), key=lambda j: -(x[i] @ x[j]))[:k]
        mixed = x[i].copy()
        for place, j in enumerate(near, 1):
            mixed += x[j] * ((k - place) / k if alpha is None else max(x[i] @ x[j], 0) ** alpha)
        out.append(mixed / np.linalg.norm(mixed))
    return np.array(out)


def naive_mmr(relevance, alike, share):
    left, order, values = list(range(len(relevance))), [], []
    while left:

        def value(i):
            return share * relevance[i] - (1 - share) * max((alike[i][j] for j in order), default=0)

        best = max(left, key=value)
        values.append(value(best))
        order.append(best)
        left.remove(best)
    return order, values


@pytest.mark.parametrize(("m", "d"), [(1, 3), (2, 4), (7, 5), (40, 8)])
@pytest.mark.parametrize("seed", [1, 2])
def test_formulas(m, d, seed):
    q, x = unit(seed, d), unit(seed + 10, m, d)
    x = x[np.argsort(-(x @ q))]
    exact = {"abs": 1e-10, "rel": 1e-10}
    for k in (0, 1, 9):
        found = superglobal.superglobal(q, x, k, 0.15).scores
        assert found == pytest.approx(naive_superglobal(q, x, k, 0.15), **exact)
    for k1, k2 in ((1, 1), (5, 3), (20, 6)):
        found = kreciprocal.distances(q, x, k1, k2, 0.3)[0]
        assert found == pytest.approx(naive_k_reciprocal(q, x, k1, k2, 0.3), **exact)
    for k, seeds in ((2, 1), (5, 3), (50, 10)):
        found = diffusion.diffused(q, x, 0.9, 3, k, seeds)
        assert found == pytest.approx(naive_diffusion(q, x, 0.9, 3, k, seeds), **exact)
    for k, alpha in ((1, None), (4, None), (4, 3.0), (0, None)):
        assert expansion.augmented(x, k, alpha) == pytest.approx(naive_dba(x, k, alpha), **exact)
    for share in (0.0, 0.3, 1.0):
        order, values, _ = diversify.picked(x @ q, x @ x.T, share)
        plain = naive_mmr((x @ q).tolist(), (x @ x.T).tolist(), share)
        assert order == plain[0] and values == pytest.approx(plain[1], **exact)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_feedback_formulas(n):
    q, x = unit(3, 6), unit(4, 8, 6)
    head = x[:n]
    exact = {"abs": 1e-10}
    plain = q + sum(row * max(q @ row, 0) ** 3 for row in head)
    assert expansion.expanded(q, x, n, 3) == pytest.approx(plain, **exact)
    assert expansion.expanded(q, x, n) == pytest.approx(q + head.sum(axis=0), **exact)
    assert expansion.feedback(q, x, n) == pytest.approx(0.6 * q + 0.4 * head.mean(axis=0), **exact)
    assert expansion.averaged(q, x, n) == pytest.approx((q + head.sum(axis=0)) / (1 + len(head)), **exact)
    moved = 1 * q + 0.75 * head.mean(axis=0) - 0.15 * x[-2:].mean(axis=0)
    assert expansion.rocchio(q, head, x[-2:]) == pytest.approx(moved, **exact)


def test_alpha_qe_with_alpha_0_is_aqe():
    q, x = unit(3, 6), unit(4, 8, 6)
    assert expansion.expanded(q, x, 4, 0).tolist() == expansion.expanded(q, x, 4).tolist()


def test_tastes():
    """Two tight tastes are found whatever the order; shares are how often each was chosen."""
    generator = np.random.default_rng(5)
    one, other = np.eye(4)[0], np.eye(4)[1]
    rows = np.vstack([one + 0.01 * generator.standard_normal((9, 4)),
                      other + 0.01 * generator.standard_normal((3, 4))])  # fmt: skip
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for order in (np.arange(12), generator.permutation(12)):
        centres, shares = profile.centroids(rows[order])
        assert len(centres) == 2 and sorted(shares) == [0.25, 0.75]
        assert np.sort((centres @ np.eye(4)[:2].T).max(axis=0)) == pytest.approx([1, 1], abs=1e-3)
    near = profile.preference(np.eye(4)[:2], np.eye(4)[:2])
    assert near.tolist() == [1, 1]
    assert profile.preference(np.eye(4)[:2], np.eye(4)[:2], np.array([0.75, 0.25])).tolist() == [0.75, 0.25]
    cleaned = profile.without(unit(6, 5, 4), unit(7, 4))
    assert np.abs(cleaned @ unit(7, 4)).max() < 1e-12
    assert np.linalg.norm(cleaned, axis=1) == pytest.approx(np.ones(5))
    assert profile.without(np.array([[1.0, 0]]), np.array([1.0, 0])).tolist() == [[0, 0]]
