"""The methods of `normalize` and `fit`, one row each. Nothing heavy is imported here."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr import plugins
from mmr.errors import UnavailableError, UsageError, shown

if TYPE_CHECKING:
    from mmr.arrays.scales import Scale
    from mmr.normalize.method import Method


GROUP = "mmr.normalize"
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


class Choice(NamedTuple):
    """One parameter that is a word."""

    name: str
    default: str
    note: str
    values: tuple[str, ...]

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return f"--{self.name}"


class VectorRow(NamedTuple):
    """One change of vectors: `fit` learns it, `normalize apply` changes streams of vectors with it.

    needs   what it learns from: "set" (vectors of any kind), "banks" (of queries and of items), "pairs" (the
            same things in two models' vectors) or "words" (a list of words, and a set)
    sides   it changes items and leaves queries as they are, so that `apply` must be told which they are
    """

    name: str
    summary: str
    loads: str
    params: tuple[Param | Choice, ...]
    safe: str
    source: str
    needs: str = "set"
    sides: bool = False


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
    Row("dbsn", "sinkhorn over the gallery and a bank of items together", f"{HERE}.sinkhorn:Dbsn",
        (Param("tau", 0.01, "Temperature on cosines: a hundredth of the one for logits of CLIP", 1e-4, 100),
         Param("iterations", 10, "How often both sides are balanced", 1, 1000, whole=True)),
        "As sinkhorn; for galleries that are small or one-sided",
        "Pan et al. 2024, Dual Bank Sinkhorn Normalization", banks=2),
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


class TogetherRow(NamedTuple):
    """One method that corrects the scores of a batch of queries by each other: no fit, and no bank.

    loads  where the function of the scores (q, n) is
    """

    name: str
    summary: str
    loads: str
    params: tuple[Param, ...]
    source: str


TOGETHER: tuple[TogetherRow, ...] = (
    TogetherRow("dual-softmax", "scores times their softmax over the queries of the batch",
                f"{HERE}.together:dual_softmax", (BETA._replace(default=100),),
                "Cheng et al. 2021, CAMoE"),
    TogetherRow("batch-sinkhorn", "every item gets the same share of the batch",
                f"{HERE}.together:batch_sinkhorn",
                (Param("tau", 0.01, "Temperature on cosines: a hundredth of the one for logits of CLIP", 1e-4,
                       100),
                 Param("iterations", 10, "How often both sides are balanced", 1, 1000, whole=True)),
                "Pan et al. 2024, with the batch for a bank"),
)  # fmt: skip

MEAN = Choice("mean", "modality", "Take off a mean of each modality, one for all, or none",
              ("modality", "overall", "none"))  # fmt: skip
RATES = (Param("rate", 1, "How much of what items have in common is taken off", 0, 100),
         Param("query_rate", 1, "The same for what queries have in common", 0, 100))  # fmt: skip

VECTORS: tuple[VectorRow, ...] = (
    VectorRow("centre", "the mean is taken off", f"{HERE}.spaces:Centre",
              (MEAN._replace(note="Take off a mean of each modality, or one for all",
                             values=("modality", "overall")),),
              "A mean a modality, from the same domain; one mean for both lost 5 to 27 points of R@1",
              "standard"),
    VectorRow("abtt", "the mean and the few directions of most variance are taken off",
              f"{HERE}.spaces:Abtt",
              (Param("directions", 1, "How many directions", 0, 4096, whole=True), MEAN),
              "Between words and pictures 0 or 1 direction, or leave it", "Mu and Viswanath 2018"),
    VectorRow("pca", "fewer dimensions: the directions of most variance", f"{HERE}.spaces:Pca",
              (Param("dims", 128, "How many dimensions", 1, 65_536, whole=True),
               MEAN._replace(default="none"),
               Choice("length", "unit", "Bring what is left to length 1, or keep its length",
                      ("unit", "keep"))),
              "Smaller and faster at a moderate loss; without a mean inner products are kept best",
              "Eckart and Young 1936"),
    VectorRow("whiten", "the variance is made alike in all directions", f"{HERE}.spaces:Whiten",
              (Param("shrink", 0.5, "How far the variances are drawn to their mean first", 0, 1),
               Choice("form", "zca", "Keep the axes of the space, or turn to those of the variance",
                      ("zca", "pca")), MEAN),
              "Lost recall on every set that was measured; it flattens hubs", "Kessy et al. 2018"),
    VectorRow("invgc", "items lose what they have in common with both banks", f"{HERE}.graphs:InvGc", RATES,
              "Rates of 1 to 2; queries stay as they are, so that only items are written anew",
              "Jian and Wang 2023", needs="banks", sides=True),
    VectorRow("localadj", "invgc over the nearest of each bank alone", f"{HERE}.graphs:LocalAdj",
              (*(param._replace(default=0.5) for param in RATES),
               Param("pool", 0.01, "Share of a bank that counts as near, one vector at least", 1e-6, 1)),
              "Banks of thousands", "Jian and Wang 2023", needs="banks", sides=True),
    VectorRow("map", "the vectors of one model become those of another", f"{HERE}.maps:Map",
              (Choice("form", "orthogonal", "Turn the space, or the best linear map, of any rank or of a low "
                      "one", ("orthogonal", "ridge", "low-rank")),
               Param("ridge", 0.3, "Weight that holds a linear map small", 0, 1e6),
               Param("rank", 128, "Of a low-rank map", 1, 65_536, whole=True)),
              "A new model's queries before an old index; pairs of words alone will do where words ask",
              "Schönemann 1966; Izenman 1975; Jang and Lim 2024, XBT", needs="pairs"),
    VectorRow("lexicon", "a vector becomes a bag of the words that are in it", f"{HERE}.lexicon:Lexicon",
              (Param("top", 128, "How many words of a bag stay, the heaviest", 1, MANY, whole=True),
               Param("shrink", 0.2, "How much of what words have in common is left in them, 1 for all", 0, 1),
               MEAN._replace(note="Take off a mean of each modality, or none", values=("modality", "none"))),
              "For a search that can be read: it finds less than the vectors. Short and unlike words do best",
              "As LexLIP and VDR, but without training; words decorrelated as in Kessy et al. 2018",
              needs="words"),
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


def vector_row(name: str) -> VectorRow:
    """Return the row of a change of vectors. Raises `UsageError` for a name that the table lacks."""
    row = next((row for row in VECTORS if row.name == name), None)
    if row is None:
        known = ", ".join(row.name for row in VECTORS)
        raise UsageError(f"no change of vectors is called {shown(name)!r}", f"There are: {known}.")
    return row


def calibration_row(name: str) -> CalibrationRow:
    """Return the row of a calibration. Raises `UsageError` for a name that the table lacks."""
    row = next((row for row in CALIBRATIONS if row.name == name), None)
    if row is None:
        known = ", ".join(row.name for row in CALIBRATIONS)
        raise UsageError(f"no calibration is called {shown(name)!r}", f"There are: {known}.")
    return row


def method(name: str) -> tuple[Row, Method]:
    """Return a method's row and the method, of the table or of a plug-in.

    Raises `UsageError` for a name that there is not, `UnavailableError` for one that cannot be loaded.
    """
    row = find(name)
    if row is None:
        known = ", ".join(row.name for row in METHODS)
        raise UsageError(f"no fitted method is called {shown(name)!r}", f"There are: {known}.")
    try:
        return row, loaded(row.loads)()
    except (ImportError, AttributeError) as error:
        what = f"the method {row.name} cannot be loaded: {shown(str(error))}"
        raise UnavailableError(what, "Install its package again, or use another method.") from error


@cache
def plugged() -> tuple[tuple[Row | str, str], ...]:
    """What entry points add: (row, "") or (name, why it cannot be used)."""
    known = {"calibrate", *(row.name for row in METHODS), *(row.name for row in VECTORS)}
    return plugins.plugged(GROUP, Row, lambda row: row.name, known.__contains__)


def plug_ins() -> Iterator[tuple[str, str]]:
    """Yield every method that a plug-in adds: its name, and "" or why it cannot be used."""
    for row, problem in plugged():
        yield (row.name if isinstance(row, Row) else row, problem)


def find(name: str) -> Row | None:
    """The row of that name, of the table or of a plug-in."""
    row = next((row for row in METHODS if row.name == name), None)
    return row or next((row for row, _ in plugged() if isinstance(row, Row) and row.name == name), None)


def scale(row: ScaleRow) -> Scale:
    """Import the function of a scale."""
    found: Scale = loaded(row.loads)
    return found


def loaded(dotted: str) -> Any:
    """Import what a dotted name, "module:attribute", stands for."""
    module, _, attribute = dotted.partition(":")
    return getattr(importlib.import_module(module), attribute)


def checked(row: Row | TogetherRow, values: dict[str, float]) -> dict[str, float]:
    """Return all parameters of a method, defaults filled in.

    Raises `UsageError` for one that it does not have, and for a value out of its range.
    """
    known = {param.name: param for param in row.params}
    for name, value in values.items():
        _known(name, known, row.name)
        _in_range(known[name], value)
    return {name: values.get(name, param.default) for name, param in known.items()}


def checked_values(row: VectorRow, values: dict[str, Any]) -> dict[str, float | str]:
    """The same of a change of vectors, whose parameters may be words."""
    known = {param.name: param for param in row.params}
    for name, value in values.items():
        _known(name, known, row.name)
        param = known[name]
        if isinstance(param, Param):
            _in_range(param, float(value))
        elif value not in param.values:
            raise UsageError(f"{param.option} {shown(str(value))}: it must be {', '.join(param.values)}.")
    return {name: values.get(name, param.default) for name, param in known.items()}


def _known(name: str, known: Mapping[str, Any], method: str) -> None:
    if name not in known:
        has = ", ".join(known) or "no parameters"
        raise UsageError(f"{shown(name)} is no parameter of {method}", f"It has: {has}.")


def _in_range(param: Param, value: float) -> None:
    if not param.low <= value <= param.high or (param.whole and value != int(value)):
        kind = "a whole number" if param.whole else "a number"
        raise UsageError(f"{param.option} {value:g}: it must be {kind}, {param.span}.")
