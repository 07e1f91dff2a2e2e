"""The algebra of the reference's section 6, as properties, and its hand-worked figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmr.compose.apply import expression, method
from mmr.compose.columns import Column
from mmr.compose.evaluate import evaluate
from tests.compose.made import found, seeds, shares, strengths, unit, units

PDV_F = "u((1-$b)*(v + $ai*(t_c - t_r)) + $b*(t_r + $at*(t_c - t_r)))"
PDV_T = "u(t_r + $at*(t_c - t_r))"
PDV_I = "u(v + $ai*(t_c - t_r))"
CLOSE = {"atol": 1e-6}


def three(seed):
    return {"v": units(seed, 3), "t_r": units(seed + 1, 3), "t_c": units(seed + 2, 3)}


def weights_of(name, **numbers):
    """What a preset multiplies its vectors by, before the result is brought to length 1."""
    chosen = method(name, numbers)
    columns = {one: Column(rows) for one, rows in three(0).items()}
    outcome = evaluate(chosen.node, columns, chosen.params, 3)
    return {one: float(weight[0]) * float(outcome.norms[0]) for one, weight in outcome.weights.items()}


@given(seeds, strengths, strengths)
def test_1_pdv_f_at_its_ends(seed, ai, at):
    named = three(seed)
    np.testing.assert_allclose(found(PDV_F, **named, b=1, ai=ai, at=1), named["t_c"], **CLOSE)
    np.testing.assert_allclose(found(PDV_F, **named, b=1, ai=ai, at=0), named["t_r"], **CLOSE)
    np.testing.assert_allclose(found(PDV_F, **named, b=0, ai=0, at=at), named["v"], **CLOSE)
    np.testing.assert_allclose(
        found(PDV_F, **named, b=1, ai=ai, at=at), found(PDV_T, t_r=named["t_r"], t_c=named["t_c"], at=at),
        **CLOSE,
    )  # fmt: skip
    np.testing.assert_allclose(
        found(PDV_F, **named, b=0, ai=ai, at=at), found(PDV_I, **named, ai=ai), **CLOSE
    )


@pytest.mark.parametrize(
    ("b", "ai", "at", "v", "t_c", "t_r"),
    [
        (0.75, 1.4, 1.2, 0.25, 1.25, -0.50), (0.75, 1.4, 1.4, 0.25, 1.40, -0.65),
        (0.55, 1, 1.3, 0.45, 1.165, -0.615), (0.9, 1.4, 1.2, 0.10, 1.22, -0.32),
        (0.8, 1, 1, 0.20, 1.00, -0.20),
    ],
)  # fmt: skip
def test_1_the_weights_of_pdv_f(b, ai, at, v, t_c, t_r):
    weights = weights_of("pdv-f", b=b, ai=ai, at=at)
    assert weights == pytest.approx({"v": v, "t_c": t_c, "t_r": t_r}, abs=1e-9)
    assert sum(weights.values()) == pytest.approx(1)


@given(seeds, shares, strengths, strengths)
def test_2_without_an_edit_its_strength_does_not_matter(seed, b, ai, at):
    v, t = units(seed, 2), units(seed + 1, 2)
    expected = unit((1 - b) * v.astype(np.float64) + b * t)
    np.testing.assert_allclose(found(PDV_F, v=v, t_r=t, t_c=t, b=b, ai=ai, at=at), expected, **CLOSE)


@given(seeds, st.floats(-1, 2))
def test_3_seize_with_equal_factors_is_pdv_t(seed, m):
    named = {"t_r": units(seed, 2), "t_c": units(seed + 1, 2)}
    np.testing.assert_allclose(
        found("u(t_c + $m*(t_c - t_r))", **named, m=m), found(PDV_T, **named, at=1 + m), **CLOSE
    )


def slerp(x, y, a):
    return found("slerp(x, y, $a)", x=x, y=y, a=a)


def angle(x, y):
    x, y = unit(x), unit(y)
    return 2 * np.arctan2(np.linalg.norm(x - y, axis=1), np.linalg.norm(x + y, axis=1))


@given(seeds, shares)
def test_4_slerp_is_an_arc(seed, a):
    x, y = units(seed, 3), units(seed + 1, 3)
    point = slerp(x, y, a)
    np.testing.assert_allclose(np.linalg.norm(point, axis=1), 1, **CLOSE)
    np.testing.assert_allclose(slerp(x, y, 0.0), x, **CLOSE)
    np.testing.assert_allclose(slerp(x, y, 1.0), y, **CLOSE)
    np.testing.assert_allclose(slerp(y, x, 1 - a), point, **CLOSE)
    np.testing.assert_allclose(slerp(x, y, 0.5), found("x + y", x=x, y=y), **CLOSE)
    np.testing.assert_allclose(angle(x, point), a * angle(x, y), atol=2e-6)


@given(seeds, shares, shares)
def test_4_slerp_of_slerp(seed, a, b):
    x, y = units(seed, 3), units(seed + 1, 3)
    np.testing.assert_allclose(slerp(slerp(x, y, a), y, b), slerp(x, y, a + b - a * b), atol=2e-6)


@given(seeds, shares)
def test_4_slerp_is_a_weighted_sum(seed, a):
    x, y = units(seed, 1), units(seed + 1, 1)
    t = float(angle(x, y)[0])
    share = math.sin(a * t) / (math.sin(a * t) + math.sin((1 - a) * t))
    np.testing.assert_allclose(slerp(x, y, a), found("(1-$l)*x + $l*y", x=x, y=y, l=share), **CLOSE)


@pytest.mark.parametrize(("a", "share"), [(0.7, 0.674), (0.8, 0.769), (0.9, 0.876)])
def test_4_the_weights_at_cosine_one_quarter(a, share):
    x, y = np.float32([[1, 0]]), np.float32([[0.25, math.sqrt(1 - 0.0625)]])
    node = method("slerp", {"a": a})
    outcome = evaluate(node.node, {"v": Column(x), "t_m": Column(y)}, node.params, 1)
    v, t = (float(outcome.weights[name][0]) for name in ("v", "t_m"))
    assert t / (t + v) == pytest.approx(share, abs=5e-4)


@given(seeds, strengths, strengths, st.floats(0.01, 100))
def test_5_sums_of_scores_permutation_and_scale(seed, w1, w2, c):
    x, y, g = units(seed, 2), units(seed + 1, 2), units(seed + 2, 5)
    total = w1 * x.astype(np.float64) + w2 * y
    assume((np.linalg.norm(total, axis=1) > 1e-3).all())
    query = found("$w1*x + $w2*y", x=x, y=y, w1=w1, w2=w2)
    scores = w1 * (x.astype(np.float64) @ g.T) + w2 * (y.astype(np.float64) @ g.T)
    np.testing.assert_allclose(query @ g.T * np.linalg.norm(total, axis=1)[:, None], scores, atol=1e-5)
    np.testing.assert_allclose(found("$w2*y + $w1*x", x=x, y=y, w1=w1, w2=w2), query, **CLOSE)
    np.testing.assert_allclose(found("$c*($w1*x + $w2*y)", x=x, y=y, w1=w1, w2=w2, c=c), query, **CLOSE)


@given(seeds, shares, shares)
def test_6_weimocir_folds_into_the_gallery(seed, a, b):
    v, t, g = units(seed, 1), units(seed + 1, 1), units(seed + 2, 4)
    captions = units(seed + 3, 12).reshape(4, 3, -1).astype(np.float64)
    assume(np.linalg.norm((1 - a) * v.astype(np.float64) + a * t) > 1e-3)
    q = found("(1-$a)*v + $a*t_m", v=v, t_m=t, a=a)[0].astype(np.float64)
    paper = (1 - b) * (g @ q) + b * (captions @ q).mean(axis=1)
    assume(np.linalg.norm((1 - b) * g.astype(np.float64) + b * captions.mean(axis=1), axis=1).min() > 1e-3)
    rows = captions.reshape(12, -1)
    columns = {"v": Column(g), "c": Column(rows.astype(np.float32), np.full(4, 3))}
    node = expression("(1-$b)*v + $b*mean(c)", {"b": b})
    folded = evaluate(node.node, columns, node.params, 4, length=True).vectors @ q
    np.testing.assert_allclose(folded, paper, atol=1e-6)


@given(seeds)
def test_7_basic_projects_after_centring(seed):
    v, g = units(seed, 2), units(seed + 1, 6)
    mean = 0.3 * units(seed + 2, 1)
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((8, 3)))[0].T.astype(np.float32)
    query = found("proj(centre(v, mu), P)", queries=2, v=v, mu=mean, P=basis)
    projected = (v.astype(np.float64) - mean) @ basis.T.astype(np.float64) @ basis
    scores = projected @ (g.astype(np.float64) - mean).T
    lengths = np.linalg.norm(projected, axis=1, keepdims=True)
    shift = projected @ mean.T
    np.testing.assert_allclose(query @ g.T * lengths - shift, scores, atol=1e-5)


@given(seeds)
def test_8_means_of_units_and_of_raw_vectors(seed):
    x, y = units(seed, 1), units(seed + 1, 1)
    both = np.concatenate([x, y])
    np.testing.assert_allclose(found("mean(x, y)", x=x, y=y), unit(both.sum(axis=0, keepdims=True)), **CLOSE)
    np.testing.assert_allclose(found("mean(x, y)", x=x, y=x), x, **CLOSE)
    long = 3 * x
    np.testing.assert_allclose(found("x + y", x=long, y=y), found("x + y", x=x, y=y), **CLOSE)
    assert np.abs(found("x + y", raw=True, x=long, y=y) - found("x + y", x=x, y=y)).max() > 1e-4


@given(seeds)
def test_10_a_name_alone_is_itself_bit_for_bit(seed):
    v = units(seed, 5, 64)
    assert found("v", v=v).tobytes() == v.tobytes()
    assert found("u(u(v))", v=v).tobytes() == v.tobytes()
    once = found("0.3*v + t", v=v, t=units(seed + 1, 5, 64))
    assert found("u(q)", q=once).tobytes() == once.tobytes()


@settings(max_examples=30)
@given(seeds, st.sampled_from(["pdv-f", "pdv-i", "weighted", "slerp", "ldre"]), st.integers(1, 40))
def test_a_batch_gives_what_single_queries_give(seed, name, n):
    chosen = method(name)
    rows = {one: units(seed + place, n, 32) for place, one in enumerate(chosen.names)}
    counts = np.random.default_rng(seed).integers(1, 4, n)
    columns = {one: Column(values) for one, values in rows.items()}
    lists = {"t_c": Column(units(seed + 9, int(counts.sum()), 32), counts)} if "t_c" in columns else {}
    columns |= lists
    whole = evaluate(chosen.node, columns, chosen.params, n).vectors
    ends = np.cumsum(counts)
    for i in range(n):
        alone = {
            one: Column(column.rows[i : i + 1])
            if column.counts is None
            else Column(column.rows[ends[i] - counts[i] : ends[i]], counts[i : i + 1])
            for one, column in columns.items()
        }
        single = evaluate(chosen.node, alone, chosen.params, 1).vectors
        np.testing.assert_allclose(single[0], whole[i], atol=1e-6)
