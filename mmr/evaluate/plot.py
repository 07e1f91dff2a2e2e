"""Draw what was measured: curves over k, ROC, reliability, bars per measure or group."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmr.errors import UnavailableError, UsageError, shown
from mmr.evaluate.doubt import STATISTICS, interval
from mmr.evaluate.grammar import Measure
from mmr.evaluate.measures.calibration import reliability
from mmr.evaluate.measures.roc import curve
from mmr.evaluate.points import points
from mmr.evaluate.scored import Scored
from mmr.stream.files import whole_file
from mmr.stream.records import dump

FORMATS = ("png", "svg", "pdf", "jsonl")
CURVED = ("R", "hit")
CUTOFFS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)
VERIFICATION = ("AUC", "EER", "TAR")
# Okabe and Ito 2008, told apart with any kind of colour vision; yellow is too light for lines
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
DASHES = ("-", "--", ":")
WIDTH, HEIGHT, BAR = 5.2, 3.9, 0.24  # inches: a panel, and a bar with its space
LONGEST = 36
ROC_POINTS = 2001
STYLE = {
    "font.size": 10, "axes.titlesize": 11, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#e4e4e4", "legend.frameon": False,
    "text.parse_math": False, "svg.hashsalt": "mmr", "svg.fonttype": "none",
    "figure.constrained_layout.w_pad": 0.12, "figure.constrained_layout.h_pad": 0.1,
}  # fmt: skip

GUIDE: dict[str, Any] = {"color": "#888888", "lw": 0.9, "ls": ":", "zorder": 1}

Record = Mapping[str, Any]


class Panel(NamedTuple):
    """One pair of axes: its height in inches, and what draws it."""

    height: float
    draw: Callable[[Any], None]


class Bar(NamedTuple):
    """A value and its interval (NaN without one)."""

    value: float
    low: float = math.nan
    high: float = math.nan


def needed(measures: Sequence[Measure]) -> list[Measure]:
    """The cut-offs below those that were asked for that curves of R and hit are drawn through."""
    found = {
        str(lower): lower
        for measure in measures
        if measure.row.name in CURVED and measure.cutoff is not None
        for k in CUTOFFS
        if k < measure.cutoff
        for lower in (replace(measure, cutoff=k),)
    }
    return list(found.values())


def draw(
    path: str,
    runs: Sequence[Scored],
    measures: Sequence[Measure],
    groups: Sequence[Record] = (),
    seed: int = 0,
) -> None:
    """Draw the measures of some runs into a PNG, SVG or PDF file, or write the points as JSONL.

    runs    scored by `measures`, and by `needed(measures)` for whole curves
    groups  records {"run", "group", "measure", "value"} and maybe "low", "high": bars per group are then all
            that is drawn

    Measures that differ in the cut-off alone become a curve, AUC, EER and TAR a ROC, ECE a reliability
    diagram, all others bars with 95 % intervals. The same figures give the same bytes. Raises `UsageError`
    for another kind of file, `UnavailableError` without matplotlib.
    """
    kind = kind_of(path)
    if kind == "jsonl":
        found = groups or points(runs, _families(measures, runs), measures)
        content = b"".join(dump(record) for record in found)
    else:
        names = short_names([run.name for run in runs])
        panels = list(
            _group_panels(groups, dict(zip([run.name for run in runs], names, strict=True)))
            if groups
            else _panels(runs, names, measures, seed)
        )
        content = _rendered(panels, names, kind)
    with whole_file(path) as file:
        file.write(content)


def kind_of(path: str) -> str:
    """The kind of file that a name asks for, one of FORMATS. Raises `UsageError` for any other."""
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UsageError(
            f"--plot {shown(path)} names no picture", "End the name in .png, .svg, .pdf or .jsonl."
        )
    return kind


def short_names(names: Sequence[str]) -> list[str]:
    """Names for a legend: without the folders where that keeps them apart, the middle of long ones cut out.

    >>> short_names(["runs/a.trec", "runs/b.trec"])
    ['a.trec', 'b.trec']
    """
    bare = [Path(name).name or name for name in names]
    chosen = bare if len(set(bare)) == len(bare) else list(names)
    return [_short(shown(name)) for name in chosen]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2 - 1]}…{text[-LONGEST // 2 :]}"


def _panels(
    runs: Sequence[Scored], names: Sequence[str], measures: Sequence[Measure], seed: int
) -> Iterator[Panel]:
    """Curves, then ROC and reliability, then bars of what is left."""
    families = _families(measures, runs)
    for title, family in families.items():
        yield Panel(HEIGHT, partial(_curves, title=title, family=family, runs=runs, names=names))
    scores = [measure for measure in measures if measure.row.name in VERIFICATION]
    for rel in dict.fromkeys(dict(measure.params)["rel"] for measure in scores):
        yield Panel(HEIGHT, partial(_roc, rel=int(rel), runs=runs, names=names))
    for measure in measures:
        if measure.row.name == "ECE":
            yield Panel(HEIGHT, partial(_reliability, measure=measure, runs=runs, names=names))
    curved = {str(measure) for family in families.values() for measure in family}
    rest = [m for m in measures if str(m) not in curved and m.row.name not in ("AUC", "ECE")]
    bars = {str(measure): [_bar(run, measure, seed) for run in runs] for measure in rest}
    small = {text: row for text, row in bars.items() if all(not bar.value > 1 for bar in row)}
    if small:
        yield _bar_panel("", list(small), list(small.values()), len(runs))
    for text, row in bars.items():
        if text not in small:
            yield _bar_panel(text, [""], [row], len(runs))


def _families(measures: Sequence[Measure], runs: Sequence[Scored]) -> dict[str, list[Measure]]:
    """Measures that differ in the cut-off alone, two or more that every run has, by what they share."""
    families: dict[str, dict[int, Measure]] = {}
    for measure in (*measures, *needed(measures)):
        if measure.cutoff is not None and all(str(measure) in run.values for run in runs):
            families.setdefault(f"{replace(measure, cutoff=None)}@k", {})[measure.cutoff] = measure
    return {
        title: [family[k] for k in sorted(family)] for title, family in families.items() if len(family) > 1
    }


def _bar(run: Scored, measure: Measure, seed: int) -> Bar:
    """A run's total, with its interval where it has one."""
    text, how = str(measure), measure.row.total
    value = run.totals[text]
    if how not in STATISTICS:
        return Bar(value)
    values = run.values[text]
    return Bar(value, *interval(values[~np.isnan(values)], seed=seed, statistic=how))


def _group_panels(records: Sequence[Record], names: Mapping[str, str]) -> Iterator[Panel]:
    """A panel a measure: a row a group, a bar a run."""
    runs = list(dict.fromkeys(record["run"] for record in records))
    cells: dict[str, dict[str, dict[str, Bar]]] = {}
    for record in records:
        ends = (record.get(name) for name in ("value", "low", "high"))
        bar = Bar(*(math.nan if end is None else end for end in ends))
        cells.setdefault(record["measure"], {}).setdefault(record["group"], {})[record["run"]] = bar
    for measure, groups in cells.items():
        rows = [[row.get(run, Bar(math.nan)) for run in runs] for row in groups.values()]
        yield _bar_panel(measure, [_short(shown(group)) for group in groups], rows, len(names))


def _bar_panel(title: str, labels: Sequence[str], rows: Sequence[Sequence[Bar]], runs: int) -> Panel:
    """Bars from left to right, a row a label, the first on top."""
    height = max(1.7, 0.9 + len(rows) * (runs + 0.6) * BAR)
    return Panel(height, partial(_bars, title=title, labels=labels, rows=rows))


def _bars(axes: Any, title: str, labels: Sequence[str], rows: Sequence[Sequence[Bar]]) -> None:
    runs = len(rows[0])
    thick = 0.8 / runs
    for number in range(runs):
        bars = [row[number] for row in rows]
        places = np.arange(len(rows)) + (number - (runs - 1) / 2) * thick
        values = [bar.value for bar in bars]
        spread = np.array([[bar.value - bar.low for bar in bars], [bar.high - bar.value for bar in bars]])
        axes.barh(places, values, thick * 0.92, color=_look(number)["color"], zorder=2)
        axes.errorbar(
            values, places, xerr=np.clip(spread, 0, None), fmt="none", ecolor="#333333", elinewidth=1,
            capsize=2, zorder=3,
        )  # fmt: skip
    everything = [bar for row in rows for bar in row]
    if all(0 <= bar.value <= 1 for bar in everything if not math.isnan(bar.value)):
        axes.set_xlim(0, 1)
    axes.set_yticks(np.arange(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(title or "value")


def _curves(
    axes: Any, title: str, family: Sequence[Measure], runs: Sequence[Scored], names: Sequence[str]
) -> None:
    """A measure over its cut-offs, k on a log scale where it spans more than a decade."""
    cutoffs = [measure.cutoff or 0 for measure in family]
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        values = [run.totals[str(measure)] for measure in family]
        axes.plot(cutoffs, values, label=name, **_look(number), marker=MARKERS[number % len(MARKERS)], ms=5)
    if cutoffs[-1] > 10 * cutoffs[0]:
        axes.set_xscale("log")
    shown_cutoffs = cutoffs if len(cutoffs) <= 8 else [k for k in cutoffs if str(k)[0] in "15"]
    axes.set_xticks(shown_cutoffs, [f"{k}" for k in shown_cutoffs])
    axes.set_xticks([], minor=True)
    axes.set_ylim(0, 1 if all(run.totals[str(m)] <= 1 for run in runs for m in family) else None)
    axes.set_xlabel("k")
    axes.set_ylabel(title)


def _roc(axes: Any, rel: int, runs: Sequence[Scored], names: Sequence[str]) -> None:
    """TAR over FAR of all hits of each run, and where the error rates are equal."""
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        if run.pooled is not None:
            points = curve(run.pooled, rel=rel)
            area = float(((points.tar[1:] + points.tar[:-1]) / 2 * np.diff(points.far)).sum())
            along = points.far + points.tar
            drawn = np.unique(np.searchsorted(along, np.linspace(0, along[-1], ROC_POINTS)))
            axes.plot(points.far[drawn], points.tar[drawn], label=f"{name}: AUC {area:.3f}", **_look(number))
    axes.plot([0, 1], [1, 0], label="FAR = FRR", **GUIDE)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.005)
    axes.set_xlabel("false accepts (FAR)" + (f", relevant from {rel}" if rel > 1 else ""))
    axes.set_ylabel("true accepts (TAR)")
    axes.legend(loc="lower right", fontsize=8)


def _reliability(axes: Any, measure: Measure, runs: Sequence[Scored], names: Sequence[str]) -> None:
    """The share that is relevant over the mean score of each bin; larger dots hold more hits."""
    params: dict[str, Any] = dict(measure.params)
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        if run.pooled is not None:
            bins = reliability(run.pooled, measure.cutoff, **params)
            used = bins.hits > 0
            look = _look(number)
            label = f"{name}: {measure} {run.totals[str(measure)]:.3f}"
            axes.plot(bins.confidence[used], bins.accuracy[used], label=label, **look)
            size = 12 + 150 * bins.hits[used] / bins.hits.sum()
            axes.scatter(bins.confidence[used], bins.accuracy[used], size, color=look["color"], zorder=3)
    axes.plot([0, 1], [0, 1], label="calibrated", **GUIDE)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("score")
    axes.set_ylabel("share that is relevant")
    axes.legend(loc="best", fontsize=8)


def _look(number: int) -> dict[str, Any]:
    """Colour and dashes of a run; no two of the first 21 are alike."""
    dashes = DASHES[number // len(COLOURS) % len(DASHES)]
    return {"color": COLOURS[number % len(COLOURS)], "ls": dashes, "lw": 1.6}


def _rendered(panels: Sequence[Panel], names: Sequence[str], kind: str) -> bytes:
    """Lay the panels out, two in a row, with one legend of the runs below; without pyplot and its state."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D
    except ImportError:
        raise UnavailableError("--plot needs matplotlib", "Install it: pip install 'mmr[plot]'") from None
    columns = min(2, len(panels))
    heights = [
        max(panel.height for panel in panels[at : at + columns]) for at in range(0, len(panels), columns)
    ]
    legend = 0.3 * math.ceil(len(names) / columns) if len(names) > 1 else 0.0
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        warnings.simplefilter("ignore", UserWarning)  # a letter that the font lacks is drawn as a box
        figure = Figure((WIDTH * columns, sum(heights) + legend), dpi=150, layout="constrained")
        grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
        for number, panel in enumerate(panels):
            row, column = divmod(number, columns)
            rest = max(heights[row] - panel.height, 1e-6)
            cell = grid[row, column].subgridspec(2, 1, height_ratios=[panel.height, rest])
            panel.draw(figure.add_subplot(cell[0]))
        if len(names) > 1:
            swatches = [Line2D([], [], **_look(number) | {"lw": 4}) for number in range(len(names))]
            figure.legend(swatches, names, loc="outside lower center", ncols=columns)
        buffer = io.BytesIO()
        dates = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
        figure.savefig(buffer, format=kind, metadata=dates[kind])
    return _clips_numbered(buffer.getvalue()) if kind == "svg" else buffer.getvalue()


def _clips_numbered(picture: bytes) -> bytes:
    """Name an SVG's clip paths by their order: matplotlib's names depend on where objects lie in memory."""
    names = dict.fromkeys(re.findall(rb"url\(#(p[0-9a-f]{10})\)", picture))
    for number, name in enumerate(names):
        picture = picture.replace(b"#" + name, b"#clip%d" % number)
        picture = picture.replace(b'id="' + name, b'id="clip%d' % number)
    return picture
