"""The methods of `normalize` and `fit`, one row each. Nothing heavy is imported here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    from mmr.arrays.scales import Scale
    from mmr.normalize.method import Method


MANY = 10**9  # a whole number that has no upper bound


class Param(NamedTuple):
    """One parameter: a number from `low` to `high`, whole or not.

    knob  it may still be turned when the fitted file is applied
    """

    name: str
    default: float
    note: str
    low: float
    high: float
    whole: bool = False
    knob: bool = False

    @property
    def option(self) -> str:
        """Its name on the command line: "--gallery-beta"."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def span(self) -> str:
        """The range in words: "1 to 4,096"."""
        return f"{self.low:,g} to {self.high:,g}" if self.high < MANY else f"{self.low:,g} and more"


class Row(NamedTuple):
    """One method that is fitted: `fit` learns it, `normalize apply` applies it to hits.

    loads    where its class is
    banks    how many banks it takes: 1 of queries, 2 of queries and of items
    affine   it is scale * score + shift for every item, so that it can be folded into vectors or an index
    query    it needs the query's vector beside its hits
    safe     where it helps, and where it does not, as measured
    """

    name: str
    summary: str
    loads: str
    params: tuple[Param, ...]
    safe: str
    source: str
    banks: int = 1
    affine: bool = True
    query: bool = False


class ScaleRow(NamedTuple):
    """One scale of scores, which needs no fit.

    stream  its figures (least, most, mean) may be taken over all hits of the stream instead of a query's
    """

    name: str
    summary: str
    loads: str
    note: str
    stream: bool = False


class CalibrationRow(NamedTuple):
    """One map from scores to chances of relevance, which `fit calibrate` learns from judged hits.

    fits, loads  where the function that learns it is, and the one that applies it
    query        it looks at the query's vector
    """

    name: str
    summary: str
    fits: str
    loads: str
    note: str
    source: str
    query: bool = False


ALPHA = Param("alpha", 0.5, "How much of the mean is taken off", 0, 4, knob=True)
NEIGHBOURS = Param(
    "neighbours", 10, "Nearest bank queries of an item that are looked at", 1, MANY, whole=True
)
BETA = Param("beta", 20, "Inverse temperature on cosines: 100 times the one for logits of CLIP", 0.01, 10_000)
GALLERY_BETA = Param("gallery_beta", 1, "The same for the bank of items", 0.01, 10_000)
HUBS = Param("hubs", 1, "How many first items of each bank query count as hubs", 1, MANY, whole=True)

HERE = "mmr.normalize"
SCALES_AT = "mmr.arrays.scales"

METHODS: tuple[Row, ...] = (
    Row("nnn", "the mean of an item's nearest bank queries is taken off", f"{HERE}.nnn:Nnn",
        (NEIGHBOURS._replace(default=16), ALPHA),
        "The default choice. Small banks do; alpha .25 with 8 neighbours where the bank is of another domain",
        "Chowdhury et al. 2024, Nearest Neighbor Normalization"),
    Row("csls", "twice the score less the neighbourhoods of query and item", f"{HERE}.csls:Csls",
        (NEIGHBOURS,), "Ranks like nnn with alpha .5 and as many neighbours", "Conneau et al. 2018"),
    Row("gc", "the mean of the whole bank is taken off", f"{HERE}.gc:Gc", (ALPHA._replace(default=0.25),),
        "Where the index must not change: it can move the query instead. alpha 1 loses recall",
        "Bogolin et al. 2022; Zhou et al. 2023, Distribution Normalization"),
    Row("is", "inverted softmax over the bank", f"{HERE}.softmax:Is", (BETA,),
        "beta 20. From 50 on it fits itself to a bank of hundreds", "Smith et al. 2017; Bogolin et al. 2022"),
    Row("dis", "inverted softmax where the best hit is a hub of the bank", f"{HERE}.softmax:Dis",
        (BETA, HUBS), "As is; never far from the raw order when the bank is of another domain",
        "Bogolin et al. 2022, Querybank Normalisation", affine=False),
    Row("dualis", "inverted softmax over a bank of queries and a bank of items", f"{HERE}.softmax:DualIs",
        (BETA, GALLERY_BETA), "Keep gallery_beta small: 20 lost 24 points of R@1 with a bank of distractors",
        "Wang et al. 2023, Balance Act", banks=2),
    Row("dualdis", "dualis, each factor where the best hit is a hub of its bank", f"{HERE}.softmax:DualDis",
        (BETA, GALLERY_BETA, HUBS), "As dualis", "Wang et al. 2023, Balance Act", banks=2, affine=False),
    Row("nicdm", "distances in units of an item's own neighbourhood", f"{HERE}.nicdm:Nicdm",
        (NEIGHBOURS,), "About as good as csls. Its scores are no cosines", "Schnitzer et al. 2012"),
    Row("zscore", "an item's scores against their mean and spread over the bank", f"{HERE}.moments:ZScore",
        (), "Flattens hubs best and loses recall on text to picture", "standard score"),
    Row("mp", "mutual proximity: the chance that both sides' other scores are lower",
        f"{HERE}.moments:MutualProximity", (), "With a bank of the same domain", "Schnitzer et al. 2012",
        affine=False, query=True),
    Row("sinkhorn", "every item gets the same share of the bank", f"{HERE}.sinkhorn:Sinkhorn",
        (Param("tau", 0.01, "Temperature on cosines: a hundredth of the one for logits of CLIP", 1e-4, 100),
         Param("iterations", 10, "How often both sides are balanced", 1, 1000, whole=True)),
        "Banks of thousands; one of hundreds is fitted too closely",
        "Pan et al. 2024, Dual Bank Sinkhorn Normalization, its one-bank form"),
)  # fmt: skip

SCALES: tuple[ScaleRow, ...] = (
    ScaleRow("minmax", "scores from 0, the lowest, to 1, the highest", f"{SCALES_AT}:minmax",
             "All equal: 1. It depends on where the list is cut", True),
    ScaleRow("max", "scores as shares of the highest", f"{SCALES_AT}:of_most",
             "Needs a highest score above 0", True),
    ScaleRow("sum", "scores above the lowest, as shares of their sum", f"{SCALES_AT}:of_sum",
             "All equal: equal shares. It depends on where the list is cut", True),
    ScaleRow("z", "scores less their mean, in standard deviations", f"{SCALES_AT}:z",
             "All equal: 0. It depends on where the list is cut", True),
    ScaleRow("cosine", "cosines from 0 to 1: (score + 1) / 2", f"{SCALES_AT}:cosine",
             "The same wherever the list is cut"),
    ScaleRow("rank", "1 - (place - 1) / hits", f"{SCALES_AT}:rank", "It depends on where the list is cut"),
    ScaleRow("isr", "1 / place²", f"{SCALES_AT}:isr", "Inverse square rank; the same wherever it is cut"),
    ScaleRow("borda", "hits - place + 1", f"{SCALES_AT}:borda", "It depends on where the list is cut"),
)  # fmt: skip


CHANCES = f"{HERE}.chances"

CALIBRATIONS: tuple[CalibrationRow, ...] = (
    CalibrationRow("platt", "one sigmoid of the score", f"{CHANCES}:fit_platt", f"{CHANCES}:platt",
                   "The default: a few dozen relevant hits do", "Platt 1999; Lin, Lin and Weng 2007"),
    CalibrationRow("isotonic", "the rising line that fits best", f"{CHANCES}:fit_isotonic",
                   f"{CHANCES}:isotonic", "Any shape, for which it wants hundreds of relevant hits; "
                   "hits that it cannot tell apart keep the order that they had",
                   "Zadrozny and Elkan 2002"),
    CalibrationRow("query", "a map a query, predicted from the query's vector", f"{CHANCES}:fit_query",
                   f"{CHANCES}:query_map", "For one bound over queries of many kinds; wants hundreds of "
                   "judged queries. Scores must be cosines",
                   "Rossi et al. 2024, Relevance Filtering for Embedding-based Retrieval", query=True),
)  # fmt: skip


def calibration_row(name: str) -> CalibrationRow:
    """Return the row of a calibration. Raises `UsageError` for a name that the table lacks."""
    row = next((row for row in CALIBRATIONS if row.name == name), None)
    if row is None:
        known = ", ".join(row.name for row in CALIBRATIONS)
        raise UsageError(f"no calibration is called {shown(name)!r}", f"There are: {known}.")
    return row


def method(name: str) -> tuple[Row, Method]:
    """Return a method's row and the method. Raises `UsageError` for a name that the table lacks."""
    row = next((row for row in METHODS if row.name == name), None)
    if row is None:
        known = ", ".join(row.name for row in METHODS)
        raise UsageError(f"no fitted method is called {shown(name)!r}", f"There are: {known}.")
    return row, loaded(row.loads)()


def scale(row: ScaleRow) -> Scale:
    """Import the function of a scale."""
    found: Scale = loaded(row.loads)
    return found


def loaded(dotted: str) -> Any:
    """Import what a dotted name, "module:attribute", stands for."""
    module, _, attribute = dotted.partition(":")
    return getattr(importlib.import_module(module), attribute)


def checked(row: Row, values: dict[str, float]) -> dict[str, float]:
    """Return all parameters of a method, defaults filled in.

    Raises `UsageError` for one that it does not have, and for a value out of its range.
    """
    known = {param.name: param for param in row.params}
    for name, value in values.items():
        if name not in known:
            has = ", ".join(known) or "no parameters"
            raise UsageError(f"{shown(name)} is no parameter of {row.name}", f"It has: {has}.")
        param = known[name]
        if not param.low <= value <= param.high or (param.whole and value != int(value)):
            kind = "a whole number" if param.whole else "a number"
            raise UsageError(f"{param.option} {value:g}: it must be {kind}, {param.span}.")
    return {name: values.get(name, param.default) for name, param in known.items()}
