"""Composing streams: which method a query gets, what it lacks, sweeps, what is written into the record."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.compose.apply import Composer, default, expression, method, settings, swept
from mmr.errors import UsageError, raise_item
from mmr.stream.records import Record
from tests.compose.made import found, unit, units


def query(name="q1", **bindings):
    return Record(
        {"id": name, "text": "at night", "bindings": {k: np.float32(v) for k, v in bindings.items()}}
    )


def three(seed=0):
    return dict(zip(("v", "t_r", "t_c"), units(seed, 3), strict=True))


@pytest.mark.parametrize(
    ("names", "lists", "chosen"),
    [
        ("v t_r t_c t_m", "", "pdv-f"), ("v t_r t_c", "t_c", "pdv-f"), ("v t_c t_m", "t_c", "ldre"),
        ("t_c", "", "cirevl"), ("v t_m", "", "weighted"), ("v", "", "image"), ("t_m n", "", "text"),
        ("t_r", "", None), ("", "", None),
    ],
)  # fmt: skip
def test_the_default_goes_by_what_is_there(names, lists, chosen):
    assert default(names.split(), lists.split()) == chosen


def test_each_query_gets_its_own_default_in_the_order_of_the_stream():
    queries = [query("a", v=[1, 0], t_m=[0, 1]), query("b", **three()), query("c", t_c=units(1, 3))]
    made = list(Composer([("", None)]).of(queries, raise_item))
    assert [one["id"] for one in made] == ["a", "b", "c"]
    assert [one["via"][-1].split()[1] for one in made] == ["weighted", "pdv-f", "ldre"]
    np.testing.assert_allclose(made[0]["vector"], unit(np.array([0.2, 0.8])), atol=1e-7)


def test_the_record_keeps_its_fields_and_says_what_was_done():
    one = Record(
        {**query(v=[1, 0], t_m=[0, 1]), "target": "x", "exclude": ["r"], "via": ["embed m"], "unit": False}
    )
    (made,) = Composer([("", method("weighted", {"a": 0.5}))]).of([one], raise_item)
    assert made["via"] == ["embed m", "compose weighted a=0.5 norm=0.7071"]
    assert (made["target"], made["exclude"], made["text"]) == ("x", ["r"], "at night")
    assert "bindings" not in made
    assert "unit" not in made
    (kept,) = Composer([("", method("image"))], keep=True).of([one], raise_item)
    assert set(kept["bindings"]) == {"v", "t_m"}


def test_a_result_can_be_a_named_vector_of_the_next():
    first = Composer([("", expression("v + t"))], into="q")
    (made,) = first.of([query(v=[1, 0], t=[0, 1])], raise_item)
    assert "vector" not in made
    assert made["via"] == ["compose expr v + t norm=1.4142 into q"]
    (last,) = Composer([("", expression("q - v"))]).of([made], raise_item)
    np.testing.assert_allclose(last["vector"], unit(np.array([0.5**0.5 - 1, 0.5**0.5])), atol=1e-6)


def test_a_query_that_lacks_a_vector_is_reported_with_the_ways_to_give_it():
    rejected = []
    queries = [query("a", v=[1, 0]), query("b", **three()), query("c", v=[1, 0])]
    made = list(Composer([("", method("pdv-f"))]).of(queries, rejected.append))
    assert [one["id"] for one in made] == ["b"]
    assert str(rejected[1]) == "c: pdv-f needs t_c and t_r, which c has not"
    assert rejected[0].what == "pdv-f needs t_c and t_r, which a has not"
    for way in ("bindings", "--caption", "--edited", "--bind", "--fallback", "caption"):
        assert way in rejected[0].fix


def test_a_fallback_composes_what_is_there_and_is_counted():
    composer = Composer([("", method("pdv-f"))], fallback=method("image"), explain=True)
    made = list(composer.of([query("a", v=[3, 0]), query("b", **three())], raise_item))
    assert made[0]["vector"].tolist() == [1, 0]
    assert made[0]["explain"]["composition"] == "image (fallback)"
    assert (composer.composed, composer.fell_back) == (2, 1)
    rejected = []
    list(
        Composer([("", method("pdv-f"))], fallback=method("text")).of([query("a", v=[3, 0])], rejected.append)
    )
    assert "text needs t_m" in rejected[0].what


def test_a_sweep_writes_one_record_a_setting_query_by_query():
    sweep = {"a": [0.6, 0.8]}
    queries = [query("x", v=[1, 0], t_m=[0, 1]), query("y", v=[0, 1], t_m=[1, 0])]
    made = list(Composer(swept(method("weighted"), sweep)).of(queries, raise_item))
    assert [one["id"] for one in made] == ["x@a=0.6", "x@a=0.8", "y@a=0.6", "y@a=0.8"]
    assert [one["of"] for one in made] == ["x", "x", "y", "y"]
    np.testing.assert_allclose(made[0]["vector"], unit(np.array([0.4, 0.6])), atol=1e-7)
    assert [mark for mark, _ in settings({"b": 1}, {"b": [0, 1], "at": [1.2]})] == [
        "@b=0,at=1.2",
        "@b=1,at=1.2",
    ]
    with pytest.raises(UsageError, match="no such number"):
        swept(method("weighted"), {"b": [1]})


def test_a_query_that_fails_at_one_setting_is_reported_once():
    rejected = []
    composer = Composer(swept(expression("v + $a*t", {"a": 0}), {"a": [1, 2, 1]}), on_zero="skip")
    made = list(composer.of([query("x", v=[1, 0], t=[-1, 0])], rejected.append))
    assert [one["id"] for one in made] == ["x@a=2"]
    assert len(rejected) == 1


def test_explain_is_right_and_readable():
    v, t = unit(np.array([1.0, 2, 2])), unit(np.array([2.0, 1, -2]))
    one = query(v=3 * v, t_m=t)
    (made,) = Composer([("", method("weighted"))], explain=True).of([one], raise_item)
    mixed = 0.2 * v + 0.8 * t
    length = np.linalg.norm(mixed)
    q = mixed / length
    told = made["explain"]
    assert told["composition"] == "weighted a=0.8"
    assert told["norms"] == {"v": 3, "t_m": 1, "result": pytest.approx(length, abs=1e-4)}
    assert told["cosines"] == pytest.approx(
        {"v t_m": v @ t, "v result": v @ q, "t_m result": t @ q}, abs=1e-4
    )
    assert told["weights"] == pytest.approx({"v": 0.2 / length, "t_m": 0.8 / length}, abs=1e-4)
    total = sum(weight * vector for weight, vector in zip(told["weights"].values(), (v, t), strict=True))
    np.testing.assert_allclose(total, made["vector"], atol=2e-4)


def test_explain_of_a_list_gives_each_length_and_the_mean():
    rows = np.float32([[2, 0], [0, 1]])
    (made,) = Composer([("", method("ldre"))], explain=True).of([query(t_c=rows)], raise_item)
    assert made["explain"]["norms"] == {"t_c": [2, 1], "result": 0.7071}
    assert made["explain"]["weights"] == {"mean(t_c)": 1.4142}


def test_vectors_that_are_taken_off_far_are_counted():
    composer = Composer([("", method("pdv-f", {"at": 1.4, "b": 1}))])
    list(composer.of([query(**three())], raise_item))
    assert composer.far == 0
    composer = Composer([("", method("pdv-t", {"at": 1.8}))])
    list(composer.of([query(**three())], raise_item))
    assert composer.far == 1


def test_weights_of_a_list():
    rows, weights = units(0, 3), np.float32([0.5, 0.25, -1])
    (made,) = Composer([("", expression("wmean(t_c, w)"))]).of([query(t_c=rows, w=weights)], raise_item)
    np.testing.assert_allclose(made["vector"], unit(weights.astype(np.float64) @ rows), atol=1e-6)
    rejected = []
    list(Composer([("", expression("wmean(t_c, w)"))]).of([query(t_c=rows, w=weights[:2])], rejected.append))
    assert "3 vectors, and its weights are 2 numbers" in rejected[0].what


def test_numbers_of_expressions_and_presets_are_checked():
    with pytest.raises(UsageError, match=r"\$a has no value"):
        expression("v + $a*t")
    with pytest.raises(UsageError, match=r"no \$b"):
        expression("v + $a*t", {"a": 1, "b": 2})
    with pytest.raises(UsageError, match="from 0 to 1"):
        method("weighted", {"a": 1.5})
    with pytest.raises(UsageError, match="c is no parameter of weighted"):
        method("weighted", {"c": 1})
    with pytest.raises(UsageError, match="Did you mean 'weighted'"):
        method("weigted")


def test_batches_of_all_kinds_of_queries_keep_their_order():
    generator = np.random.default_rng(0)
    queries = []
    for i in range(3000):
        bindings = {"v": generator.standard_normal(4), "t_m": generator.standard_normal(4)}
        if i % 3 == 1:
            bindings["t_m"] = generator.standard_normal((1 + i % 4, 4))
        if i % 7 == 0:
            del bindings["v"]
        queries.append(query(f"q{i}", **bindings))
    made = list(Composer([("", method("weighted"))], fallback=method("text")).of(queries, raise_item))
    assert [one["id"] for one in made] == [one["id"] for one in queries]
    for one, got in zip(queries[:50], made, strict=False):
        t = unit(np.atleast_2d(one["bindings"]["t_m"]).astype(np.float64)).mean(axis=0, keepdims=True)
        expected = unit(t) if "v" not in one["bindings"] else unit(0.2 * unit(one["bindings"]["v"]) + 0.8 * t)
        np.testing.assert_allclose(got["vector"], expected[0], atol=1e-6)


def test_found_is_what_a_composer_gives():
    named = three()
    (made,) = Composer([("", method("pdv-i"))]).of([query(**named)], raise_item)
    rows = {name: vector[None] for name, vector in named.items()}
    np.testing.assert_array_equal(made["vector"], found("u(v + 1.4*(t_c - t_r))", **rows)[0])
