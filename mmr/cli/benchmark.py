"""`mmr eval --protocol`: a benchmark's queries, figures and submission."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import scoring
from mmr.cli.report import Report
from mmr.errors import UsageError

if TYPE_CHECKING:
    from mmr.cli.eval import Asked
    from mmr.evaluate.figures import Figure
    from mmr.evaluate.grammar import Measure
    from mmr.evaluate.protocols.task import Task
    from mmr.evaluate.score import Conventions
    from mmr.evaluate.scored import Scored


def protocol(asked: Asked, report: Report) -> int:
    """Measure runs as a benchmark does; write its queries, or a submission."""
    from mmr.evaluate.assertion import read as read_assertion
    from mmr.evaluate.protocols.run import asked as queries_of
    from mmr.evaluate.protocols.run import is_ranking
    from mmr.evaluate.protocols.table import read
    from mmr.evaluate.protocols.task import Options

    _check(asked)
    assertions = [read_assertion(text) for text in asked.asserted]
    runs = [path for path in asked.files if is_ranking(path)]
    annotations = [path for path in asked.files if path not in runs]
    task = read(asked.protocol or "", annotations,
                Options(asked.images, asked.exclude_reference, asked.split))  # fmt: skip
    if asked.write_queries is not None:
        report.summary(queries=_write_records(task.queries(), asked.write_queries))
    if asked.write_gallery is not None:
        if task.items is None:
            raise UsageError(
                f"{asked.protocol} has a gallery of pictures alone", "`mmr embed FOLDER` embeds them."
            )
        report.summary(items=_write_records(task.items(), asked.write_gallery))
    if not runs and asked.write_queries is None and asked.write_gallery is None:
        raise click.UsageError("name the benchmark's files, then a run; or --write-queries FILE.")
    scored: list[Scored] = []
    figures: list[Figure] = []
    measures: list[Measure] = []
    with ExitStack() as stack:
        for run in runs:
            path = stack.enter_context(_file(run))
            if asked.write_submission is not None:
                _write_submission(task, path, asked.write_submission, report)
            if not task.hidden:
                fitted = task.fitted(queries_of(path))
                found, published = _published(fitted, path, run, asked, report)
                measures = [one for one in _measures(fitted) if not scored or one in measures]
                scored.append(found)
                figures += published
    if scored:
        scoring.keep_manifest(annotations, runs, scored, _conventions(task), asked, report)
        scoring.finish(scoring.details(scored, measures, asked, report) or figures, scored, measures, asked)
    elif runs and asked.write_submission is None:
        raise UsageError("the targets of these files are not public", "Use --write-submission FILE.")
    whole = [(one["run"], one["measure"], one["value"]) for one in figures if one["group"] in ("all", "mean")]
    return scoring.verdict(whole, assertions, report)


SET_BY_THE_PROTOCOL = {
    "measures": "-m", "ties": "--ties", "over": "--over", "judged_only": "--judged-only",
    "gallery_size": "--gallery-size", "index": "--index",
}  # fmt: skip


def _check(asked: Asked) -> None:
    """Refuse options that the protocol decides, and files that would be read twice."""
    for name, option in SET_BY_THE_PROTOCOL.items():
        if getattr(asked, name):
            raise click.UsageError(f"--protocol {asked.protocol} sets {option} itself. Leave it out.")
    if asked.files.count("-") > 1:
        raise click.UsageError("standard input can be read once: name the others as files.")


@contextmanager
def _file(run: str) -> Iterator[str]:
    """A run that can be read twice: standard input is kept in a temporary file."""
    if run != "-":
        yield run
        return
    with tempfile.NamedTemporaryFile(prefix="mmr-eval-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield file.name


def _published(
    fitted: Task, path: str, run: str, asked: Asked, report: Report
) -> tuple[Scored, list[Figure]]:
    """Score a run by the protocol: the values of its queries, and the figures that papers print.

    fitted  the task without the parts that the run leaves out
    """
    from mmr.evaluate.figures import published
    from mmr.evaluate.qrels import Qrels
    from mmr.evaluate.score import score

    report.note(f"{asked.protocol}: {fitted.said}.")
    qrels, name = Qrels.of(fitted.qrels), "stdin" if run == "-" else run
    fields = ["model", *([asked.group_by] if asked.group_by else [])]
    with report.progress("queries", len(qrels)) as advance:
        measures = scoring.drawn(_measures(fitted), asked)
        found = score(path, qrels, measures, _conventions(fitted), fields, advance, name)
    labels = {name: [values.get(query) for query in found.queries] for name, values in fitted.fields.items()}
    scored = replace(found, fields={**found.fields, **labels})
    scoring.say_what_it_rests_on(scored, _measures(fitted), _conventions(fitted), report)
    if said := fitted.shortfall(scored):
        report.note(f"{said}.")
    seed = asked.seed if asked.ci else None
    return scored, list(published(asked.protocol or "", fitted.figures(scored), scored, seed))


def _measures(task: Task) -> tuple[Measure, ...]:
    from mmr.evaluate.grammar import parse

    return parse(",".join(task.measures))


def _conventions(task: Task) -> Conventions:
    from mmr.evaluate.score import Conventions

    return Conventions(ties=task.ties, over=task.over, removed=task.removed, among=task.among, only=task.only,
                       renamed=task.renamed)  # fmt: skip


def _write_records(records: Iterable[Mapping[str, Any]], output: str) -> int:
    """Write the benchmark's queries or items; return how many."""
    from mmr.stream.write import open_writer

    written = 0
    with open_writer(output, "jsonl") as writer:
        for record in records:
            writer.write(record)
            written += 1
    return written


def _write_submission(task: Task, path: str, output: str, report: Report) -> None:
    """Write the files that the benchmark's server takes."""
    from mmr.evaluate.protocols.run import rankings
    from mmr.stream.files import whole_file

    if task.submission is None:
        raise UsageError("this benchmark has no server to submit to", "Leave --write-submission out.")
    for name, content in task.submission(output, rankings(path)).items():
        with whole_file(name) as file:
            file.write(content)
        report.note(f"{name}: {len(content):,} bytes, for the benchmark's server.")
