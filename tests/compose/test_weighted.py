"""The default composition against the formula of the reference, written naively."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmr.compose.apply import Composer, method
from mmr.compose.weighted import weighted
from mmr.errors import raise_item
from mmr.stream.records import Place, Record


def unit(rng, n, d):
    x = rng.standard_normal((n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("model", "weight"), [(None, 0.8), ("open_clip:ViT-B-32/x#1", 0.8), ("builtin", 0.6), ("builtin#2", 0.6)]
)
def test_is_the_normalised_weighted_sum(model, weight):
    rng = np.random.default_rng(0)
    images, texts = unit(rng, 5, 9), unit(rng, 5, 9)
    for v, t, got in zip(images, texts, weighted(images, texts, model), strict=True):
        mixed = [(1 - weight) * float(a) + weight * float(b) for a, b in zip(v, t, strict=True)]
        length = sum(x * x for x in mixed) ** 0.5
        np.testing.assert_allclose(got, [x / length for x in mixed], atol=1e-7)


def test_opposites_vanish_without_a_warning(monkeypatch):
    half = replace(method("weighted"), params={"a": 0.5})
    monkeypatch.setattr("mmr.compose.weighted.method", lambda name: half)
    assert weighted(np.float32([[1, 0]]), np.float32([[-1, 0]])).tolist() == [[0, 0]]


def composed(name, given, model):
    record = Record({"id": "q", "model": model, "bindings": {"v": V, "t_m": T}}, Place("test", 1))
    return next(iter(Composer([("", method(name, given))]).of([record], raise_item)))


V, T = np.float32([1, 0]), np.float32([0, 1])


@pytest.mark.parametrize(
    ("model", "a"), [("builtin#980b", 0.6), ("open_clip:ViT-B-32/x#1", 0.8), (None, 0.8)]
)
def test_a_weight_that_nobody_chose_is_the_models(model, a):
    found = composed("weighted", {}, model)
    assert f"weighted a={a:g} " in found["via"][-1]
    np.testing.assert_allclose(found["vector"], np.array([1 - a, a]) / np.hypot(1 - a, a), atol=1e-6)
    assert f"slerp a={a:g} " in composed("slerp", {}, model)["via"][-1]


@pytest.mark.parametrize("a", [0.8, 0.5])
def test_a_weight_that_was_chosen_stays(a):
    assert f"weighted a={a:g} " in composed("weighted", {"a": a}, "builtin#980b")["via"][-1]
