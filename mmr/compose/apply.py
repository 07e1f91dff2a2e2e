"""Compose a stream: records with named vectors in, records with one `vector` out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.compose import expr
from mmr.compose.columns import Column
from mmr.compose.evaluate import Outcome, WrongShapeError, ZeroVectorError, evaluate
from mmr.compose.explain import explained
from mmr.compose.table import Row, checked, preset
from mmr.errors import BadDataError, BadItem, Reject, UsageError, shown
from mmr.stream.pipe import batches
from mmr.stream.records import Record, add_step

BATCH = 1024
NONE: Mapping[str, Column] = MappingProxyType({})
DEFAULT = "default"
FAR = -0.7  # vectors that are taken off by more bring hubs up
WAYS = (
    'give a vector in "bindings", by a field that is embedded (v: image, t_m: text, t_r: caption, '
    "t_c: edited, n: not), by an option (--image, --text, --caption, --edited, --not, --ref-id), "
    "or as --bind NAME=FILE.npy"
)
FALLBACK = "; --fallback PRESET composes what is there"


@dataclass(frozen=True)
class Method:
    """An expression with its numbers: what is computed of each query.

    called    as `via` names it: "pdv-f", or "expr 0.2*v + t_m"
    measured  numbers that nobody chose, and what they are for models with another default: spec -> numbers
    """

    called: str
    node: expr.Node
    params: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The named vectors that it needs."""
        return expr.names(self.node)

    def of_model(self, model: str | None) -> Method:
        """The same with the defaults that were measured for a model ("builtin#980b1471ce09")."""
        numbers = self.measured.get((model or "").partition("#")[0])
        return self if numbers is None else replace(self, params={**self.params, **numbers}, measured={})

    @property
    def step(self) -> str:
        """What `via` says: the method and its numbers."""
        return " ".join([self.called, *(f"{name}={value:g}" for name, value in self.params.items())])


def method(name: str | Row, given: Mapping[str, float] | None = None) -> Method:
    """A preset with its parameters. Raises `UsageError` for an unknown name or parameter."""
    row = preset(name) if isinstance(name, str) else name
    given = given or {}
    measured: dict[str, dict[str, float]] = {}
    for param in row.params:
        for spec, value in () if param.name in given else param.measured:
            measured.setdefault(spec, {})[param.name] = value
    return Method(row.name, expr.parse(row.expression), checked(row.name, row.params, given), measured)


def expression(text: str, given: Mapping[str, float] | None = None) -> Method:
    """An expression of the language with its numbers. Raises `UsageError` where one has no value."""
    node = expr.parse(text)
    needed, values = expr.params(node), dict(given or {})
    for name in needed:
        if name not in values:
            raise UsageError(f"${name} has no value", f"Give it one: --set {name}=0.8")
    spare = next((name for name in values if name not in needed), None)
    if spare is not None:
        has = ", ".join(needed) or "none"
        raise UsageError(f"the expression has no ${shown(spare)}", f"Its numbers: {has}.")
    return Method(f"expr {' '.join(text.split())}", node, {name: values[name] for name in needed})


def default(names: Iterable[str], lists: Iterable[str] = ()) -> str | None:
    """The preset for the vectors that a query has: the default composition; None where there are none.

    names  those that it has; `lists` those of them that are lists
    """
    have, several = set(names), set(lists)
    order = [
        ("pdv-f", {"v", "t_r", "t_c"} <= have), ("ldre", "t_c" in several), ("cirevl", "t_c" in have),
        ("weighted", {"v", "t_m"} <= have), ("image", "v" in have), ("text", "t_m" in have),
    ]  # fmt: skip
    return next((name for name, fits in order if fits), None)


def swept(base: Method, sweep: Mapping[str, Sequence[float]]) -> list[tuple[str, Method]]:
    """The method at every setting of a sweep, each with what an id gets: "@a=0.6"."""
    unknown = next((name for name in sweep if name not in base.params), None)
    if unknown is not None:
        has = ", ".join(base.params) or "none"
        raise UsageError(f"--sweep {shown(unknown)}: no such number", f"{base.called} has: {has}.")
    return [
        (suffix, Method(base.called, base.node, numbers)) for suffix, numbers in settings(base.params, sweep)
    ]


def settings(
    numbers: Mapping[str, float], sweep: Mapping[str, Sequence[float]]
) -> list[tuple[str, dict[str, float]]]:
    """The numbers at every setting of a sweep, each with what an id gets; ("", numbers) without one.

    >>> settings({"a": 0.8, "b": 1}, {"a": [0.6, 0.7]})
    [('@a=0.6', {'a': 0.6, 'b': 1}), ('@a=0.7', {'a': 0.7, 'b': 1})]
    """
    found = [dict(zip(sweep, values, strict=True)) for values in product(*sweep.values())]
    marks = [",".join(f"{name}={value:g}" for name, value in setting.items()) for setting in found]
    return [
        (f"@{mark}" if mark else "", {**numbers, **setting})
        for mark, setting in zip(marks, found, strict=True)
    ]


class Lacks(BadItem):
    """A query without a vector that its composition needs."""


def lacks(called: str, missing: Sequence[str], record: Record, ways: str) -> Lacks:
    """The error of a query without a vector that it needs; `ways` to give it stand at the first of a run."""
    what = f"{called} needs {' and '.join(missing)}, which {shown(record['id'])} has not"
    return Lacks(_where(record), what, ways, stage="compose", record=record)


class Composer:
    """Turns the `bindings` of records into their `vector`.

    settings  (what is added to the id, method), one record each; the method None is the default composition
    fallback  a method for queries that lack a vector of the first
    raw       take named vectors as they are, not at unit length
    on_zero   of a sum that cancels out: "fail" ends the run, "skip" leaves the query out, "text" takes t_m
    explain   add the field `explain`
    keep      keep `bindings` in the record
    length    keep the length that the expression gives; the record then says `"unit": false`
    into      the name that the result gets in `bindings`, which stay; "" for `vector`
    constants  named vectors that all queries share

    composed, lacking, fell_back, far  how many went through, how many lacked a vector, how many took the
        fallback, and how many have a vector taken off more than 0.7 times, which brings hubs up
    """

    def __init__(
        self, settings: Sequence[tuple[str, Method | None]], *, fallback: Method | None = None,
        raw: bool = False, on_zero: str = "fail", explain: bool = False, keep: bool = False,
        length: bool = False, into: str = "", constants: Mapping[str, Column] = NONE,
    ) -> None:  # fmt: skip
        self.settings, self.fallback = list(settings), fallback
        self.raw, self.on_zero, self.explain, self.keep = raw, on_zero, explain, keep
        self.constants, self.length, self.into = constants, length, into
        self.composed = self.fell_back = self.far = self.lacking = 0

    def needs(self, have: Iterable[str], lists: Iterable[str] = ()) -> tuple[str, ...]:
        """Which named vectors a query shall have, of those it can have; what it lacks is reported later."""
        have = set(have)
        wanted: dict[str, None] = {}
        for _, method_ in self.settings:
            chosen = self._chosen(method_, have, set(lists))
            wanted.update(dict.fromkeys(chosen.names if chosen is not None else ()))
        if self.on_zero == "text":
            wanted["t_m"] = None
        return tuple(name for name in wanted if name in have)

    def of(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield the composed queries in order, those of a sweep one after the other.

        A query that lacks a vector goes to `reject`. Raises `BadDataError` for a sum that cancels out,
        unless `on_zero` says otherwise.
        """
        for chunk in batches(records, BATCH):
            yield from self._batch(chunk, reject)

    def _batch(self, chunk: list[Record], reject: Reject) -> Iterator[Record]:
        found: list[dict[int, Record]] = [{} for _ in chunk]
        refused: dict[int, BadItem] = {}
        for place, (suffix, base) in enumerate(self.settings):
            groups: dict[tuple[int, str], tuple[Method, list[int]]] = {}
            for i, record in enumerate(chunk):
                try:
                    chosen = self._method(base, record)
                except BadItem as item:
                    refused.setdefault(i, item)
                    continue
                model = record.get("model") or ""
                groups.setdefault((id(chosen), model), (chosen, []))[1].append(i)
            for chosen, members in groups.values():
                done = self._composed(chosen, [chunk[i] for i in members], suffix)
                for i, one in zip(members, done, strict=True):
                    if isinstance(one, BadItem):
                        refused.setdefault(i, one)
                    else:
                        found[i][place] = one
        for i, made in enumerate(found):
            if i in refused:
                reject(refused[i])
            yield from made.values()

    def _method(self, base: Method | None, record: Record) -> Method:
        """What is computed of a record: the method, or the fallback where it lacks a vector."""
        bindings = {**self.constants, **record.get("bindings", {})}
        chosen = self._chosen(base, bindings, [
            name for name, value in bindings.items() if isinstance(value, np.ndarray) and value.ndim == 2
        ])  # fmt: skip
        if chosen is None:
            missing, called = ["v, t_m or t_c"], DEFAULT
        else:
            missing, called = [name for name in chosen.names if name not in bindings], chosen.called
        if not missing:
            self.fell_back += chosen is self.fallback
            assert chosen is not None
            return chosen
        self.lacking += 1
        raise lacks(called, missing, record, WAYS + FALLBACK if self.lacking == 1 else "")

    def _chosen(self, base: Method | None, have: Iterable[str], lists: Iterable[str]) -> Method | None:
        have = set(have)
        if base is None:
            name = default(have, lists)
            base = None if name is None else _preset(name)
        if (base is None or not have.issuperset(base.names)) and self.fallback is not None:
            return self.fallback
        return base

    def _composed(self, chosen: Method, records: list[Record], suffix: str) -> list[Record | BadItem]:
        """The queries of one method and model; those whose vectors do not fit each other apart."""
        used = chosen.of_model(records[0].get("model"))
        try:
            columns = columns_of(records, used.names, self.constants)
            outcome = evaluate(used.node, columns, used.params, len(records), raw=self.raw,
                               length=self.length)  # fmt: skip
        except (WrongShapeError, ZeroVectorError) as error:
            if len(records) == 1:
                fix = "embed all vectors of a query with one model"
                return [BadItem(_where(records[0]), str(error), fix, stage="compose", record=records[0])]
            return [one for record in records for one in self._composed(chosen, [record], suffix)]
        least = np.zeros(len(records))
        for weight in outcome.weights.values():
            np.minimum(least, weight, out=least)
        self.far += int((least * outcome.norms < FAR).sum())
        done: list[Record | BadItem] = []
        for i, record in enumerate(records):
            if outcome.zero[i]:
                done.append(self._zero(used, record, suffix))
            else:
                instead = chosen is self.fallback
                done.append(self._record(used, record, columns, outcome, i, suffix, instead))
        return done

    def _zero(self, chosen: Method, record: Record, suffix: str) -> Record | BadItem:
        what = f"{chosen.step}: the vectors of {shown(record['id'])} cancel out; nothing is left to ask with"
        if self.on_zero == "text" and chosen.names != ("t_m",) and "t_m" in record.get("bindings", {}):
            return self._composed(_preset("text"), [record], suffix)[0]
        fix = "Other weights help; --on-zero skip leaves the query out, --on-zero text asks with its words."
        if self.on_zero == "fail":
            raise BadDataError(f"{_where(record)}: {what}", fix)
        return BadItem(_where(record), what, "give it other weights", stage="compose", record=record)

    def _record(
        self, chosen: Method, record: Record, columns: Mapping[str, Column], outcome: Outcome, i: int,
        suffix: str, instead: bool,
    ) -> Record:  # fmt: skip
        made = Record(record, record.place)
        if not (self.keep or self.into):
            made.pop("bindings", None)
        made.pop("unit", None)
        if self.length and not self.into:
            made["unit"] = False
        made["id"] = f"{record['id']}{suffix}"
        if suffix:
            made["of"] = record["id"]
        if self.into:
            made["bindings"] = {**record.get("bindings", {}), self.into: outcome.vectors[i]}
        else:
            made["vector"] = outcome.vectors[i]
        if self.explain:
            made["explain"] = explained(chosen.step, columns, outcome, i, fallback=instead)
        named = f" into {self.into}" if self.into else ""
        add_step(made, f"compose {chosen.step} norm={outcome.norms[i]:.4f}{named}")
        self.composed += 1
        return made


_PRESETS: dict[str, Method] = {}


def _preset(name: str) -> Method:
    """A preset with its defaults, the same object each time."""
    if name not in _PRESETS:
        _PRESETS[name] = method(name)
    return _PRESETS[name]


def _where(record: Record) -> str:
    return str(record.place or shown(record["id"]))


def columns_of(
    records: Sequence[Mapping[str, Any]], names: Iterable[str], constants: Mapping[str, Column] = NONE
) -> dict[str, Column]:
    """The named vectors of records as columns; a name that none of them has is one of `constants`.

    Raises `WrongShapeError` where a name has vectors of several d.
    """
    columns = {}
    for name in names:
        own = [name in record.get("bindings", {}) for record in records]
        if not any(own):
            columns[name] = constants[name]
            continue
        values: list[NDArray[Any]] = [
            np.asarray(record["bindings"][name] if mine else constants[name].rows)
            for record, mine in zip(records, own, strict=True)
        ]
        dims = {value.shape[-1] for value in values}
        if len(dims) > 1:
            raise WrongShapeError(f"{name} has vectors of {' and '.join(map(str, sorted(dims)))} numbers")
        if all(value.ndim == 1 for value in values):
            columns[name] = Column(np.stack(values))
        else:
            rows = [np.atleast_2d(value) for value in values]
            columns[name] = Column(np.concatenate(rows), np.array([len(one) for one in rows]))
    return columns
