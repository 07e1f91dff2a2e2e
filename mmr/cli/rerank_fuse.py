"""`mmr rerank fuse`: several runs in, one out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import options
from mmr.cli.hits import on_terminal, write_hits
from mmr.cli.report import Report
from mmr.cli.rerank import explain, format_, keep, option
from mmr.rerank.table import find

if TYPE_CHECKING:
    from mmr.rerank.fuse import Fused
    from mmr.rerank.runs import Run

UNEVEN = 2  # how many times as deep one run may be as another before it is said


def _with_params(function: Any) -> Any:
    """Add the options of the row."""
    row = find("fuse")
    for param in reversed(row.params if row else ()):
        function = option(param)(function)
    return function


@click.command("fuse", short_help="One ranking out of several.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@_with_params
@keep
@explain
@format_
@options.output
@options.reports("rerank", items=False)
def command(
    report: Report, files: tuple[str, ...], method: str, norm: str | None, missing: str, constant: float,
    phi: float, weights: str | None, depth: int | None, top: int | None, explain: bool, format_: str | None,
    output: str,
) -> None:  # fmt: skip
    """Fuse runs of the same queries: JSONL of `mmr query` or TREC, mixed as they come.

    The order of the files does not matter. Queries are written in their own order where all files have the
    same one, else by id. All runs are held in memory; it says how much. A bad line ends it with status 65.

    \b
    Examples:
      mmr rerank fuse dense.jsonl lexical.trec --method rrf
      mmr rerank fuse dense.jsonl lexical.trec --method convex --weights .7,.3
    """
    from mmr.rerank.fuse import fuse
    from mmr.rerank.fuse_write import records, run_lines
    from mmr.rerank.fusion import WAYS
    from mmr.rerank.runs import read_run

    if files.count("-") > 1:
        raise click.UsageError("standard input can be read once; name the other runs as files.")
    params = {"k": constant, "phi": phi, "weights": _weights(method, weights, len(files))}
    scale = _scale(method, norm, missing)
    with report.progress("runs", len(files)) as advance:
        runs = []
        for name in files:
            runs.append(read_run(name))
            advance()
    found = fuse(runs, method, scale=scale, missing=missing, depth=depth, **params)
    if WAYS[method].scores and depth is None:
        _say_uneven(runs, report)
    if format_ == "trec" and not explain:
        from mmr.stream.write import opened

        with opened(output) as file:
            for lines in run_lines(found, top):
                file.write(lines)
    else:
        step = _step(method, scale, missing, params, depth, [run.source for run in runs])
        write_hits(records(runs, found, step, top, explain), format_, output, "list")
    if not on_terminal(output):
        _say_held(runs, found, report)


def _weights(method: str, text: str | None, runs: int) -> Any:
    """The weights of `convex`, one a run."""
    import numpy as np

    if (method == "convex") != (text is not None):
        raise click.UsageError("--method convex needs --weights, one a file." if text is None
                               else f"--weights is for --method convex, not {method}.")  # fmt: skip
    if text is None:
        return None
    try:
        found = np.array([float(word) for word in text.split(",")])
    except ValueError:
        raise click.UsageError(f"--weights {text}: write numbers with commas, .7,.3.") from None
    if len(found) != runs or not (found >= 0).all() or abs(found.sum() - 1) > 1e-6:
        raise click.UsageError(f"--weights {text}: give {runs}, one a run, none below 0, that add up to 1.")
    return found


def _scale(method: str, norm: str | None, missing: str) -> str | None:
    """The scale that scores are put on; minmax unless told."""
    from mmr.rerank.fusion import WAYS

    if WAYS[method].scores:
        return None if norm == "none" else norm or "minmax"
    if norm is not None or missing != "zero":
        named = "--norm" if norm is not None else "--missing"
        raise click.UsageError(f"{method} looks at places and at no scores, so {named} does nothing.")
    return None


def _step(
    method: str,
    scale: str | None,
    missing: str,
    params: dict[str, Any],
    depth: int | None,
    names: Sequence[str],
) -> str:
    """The line of `via`, the same whatever the order of the files."""
    from mmr.rerank.fusion import WAYS

    way = WAYS[method]
    words = [f"depth={depth}"] if depth else []
    words += [f"norm={scale or 'none'}", f"missing={missing}"] if way.scores else []
    if "k" in way.params:
        words.append(f"constant={params['k']:g}")
    if "phi" in way.params:
        words.append(f"phi={params['phi']:g}")
    if "weights" in way.params:
        pairs = sorted(zip(names, params["weights"].tolist(), strict=True))
        words.append("weights=" + ",".join(f"{name}:{weight:g}" for name, weight in pairs))
    return " ".join(["rerank fuse", method, *words, f"of {len(names)} run{'s' * (len(names) > 1)}"])


def _say_uneven(runs: Sequence[Run], report: Report) -> None:
    """Say where one run is much deeper than another: sums favour what a deep run has."""
    deep = {run.source: len(run) / max(1, len(run.queries)) for run in runs if len(run)}
    if deep and max(deep.values()) > UNEVEN * min(deep.values()):
        most, least = max(deep, key=deep.__getitem__), min(deep, key=deep.__getitem__)
        report.note(
            f"{most} has {deep[most]:,.0f} hits a query and {least} {deep[least]:,.0f}: scores on a scale of "
            f"each list favour the deeper. --depth {deep[least]:.0f} cuts both."
        )


def _say_held(runs: Sequence[Run], found: Fused, report: Report) -> None:
    """Say what was fused, and what it took to hold it."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    held = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    alone = len(found.queries) - len(set.intersection(*(set(run.queries) for run in runs)))
    missing = f"; {alone:,} of them not in every run" if alone else ""
    what = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    report.note(f"{what}, {len(found.queries):,} queries{missing}, {sum(map(len, runs)):,} hits; "
                f"{held / 1e6:,.0f} MB of memory at most.")  # fmt: skip
