"""What `mmr eval` does with judgements and runs: score, compare, break down, assert."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from mmr.cli import status
from mmr.cli.eval import MEASURES, gallery_size, write
from mmr.cli.report import Report
from mmr.errors import BadDataError, UsageError, shown

if TYPE_CHECKING:
    from mmr.cli.eval import Asked
    from mmr.evaluate.assertion import Assertion
    from mmr.evaluate.figures import Figure
    from mmr.evaluate.grammar import Measure
    from mmr.evaluate.qrels import Qrels
    from mmr.evaluate.score import Conventions
    from mmr.evaluate.scored import Scored


def measure(asked: Asked, report: Report) -> int:
    """Score every run against one file of judgements and write what was asked for."""
    from mmr.evaluate.assertion import read
    from mmr.evaluate.figures import overall
    from mmr.evaluate.grammar import parse

    if asked.compare and _manifests(asked, report):
        return status.DONE
    if len(asked.files) < 2:
        raise click.UsageError("name the judgements, then at least one run (`-` is standard input).")
    if asked.files.count("-") > 1:
        raise click.UsageError("standard input can be read once: name the others as files.")
    assertions = [read(text) for text in asked.asserted]
    assertions = [one._replace(name=str(one.measure)) for one in assertions]
    measures = _together(
        parse(MEASURES if asked.measures is None else asked.measures), [one.measure for one in assertions]
    )
    qrels = _judgements(asked.files[0])
    conventions = _conventions(asked)
    scored = [_scored(run, qrels, measures, conventions, asked, report) for run in asked.files[1:]]
    seed = asked.seed if asked.ci else None
    if asked.ci and any(one.row.total == "pooled" for one in measures):
        report.note("one figure over all queries (AUC, ECE, ...) has no interval over queries.")
    plain = (one for run in scored for one in overall(run, measures, conventions, seed))
    finish(details(scored, measures, asked, report) or plain, scored, measures, asked)
    keep_manifest(asked.files[:1], asked.files[1:], scored, conventions, asked, report)
    totals = ((run.name, measure, value) for run in scored for measure, value in run.totals.items())
    return verdict(totals, assertions, report)


def _judgements(path: str) -> Qrels:
    """Read the judgements. Raises `UsageError` when a run stands in their place."""
    from mmr.evaluate.qrels import read_qrels

    try:
        return read_qrels(path)
    except BadDataError:
        from mmr.evaluate.protocols.run import is_ranking

        if path != "-" and is_ranking(path):
            what = f"{shown(path)} is a run, and the judgements come first"
            raise UsageError(what, "Swap the two files.") from None
        raise


def drawn(measures: Sequence[Measure], asked: Asked) -> Sequence[Measure]:
    """The measures, and those that a plot of them needs. Raises `UsageError` for no kind of picture."""
    if asked.plot is None:
        return measures
    from mmr.evaluate.plot import kind_of, needed

    kind_of(asked.plot)
    return _together(measures, needed(measures))


def finish(
    figures: Iterable[Figure], scored: Sequence[Scored], measures: Sequence[Measure], asked: Asked
) -> None:
    """Write the figures, and draw them where that was asked for."""
    if asked.plot is None:
        write(figures, asked)
        return
    from mmr.evaluate.plot import draw

    held = list(figures)
    write(held, asked)
    grouped = asked.group_by or asked.groups or asked.train_queries
    draw(asked.plot, scored, measures, held if grouped else (), asked.seed)


def _together(measures: Sequence[Measure], others: Sequence[Measure]) -> list[Measure]:
    """Each measure once, in the order in which they were named."""
    return list({str(measure): measure for measure in (*measures, *others)}.values())


def _conventions(asked: Asked) -> Conventions:
    from mmr.evaluate.score import Conventions

    return Conventions(ties=asked.ties, precision=asked.score_precision, over=asked.over or "qrels",
                       judged_only=asked.judged_only, gallery=gallery_size(asked))  # fmt: skip


def _scored(
    run: str,
    qrels: Qrels,
    measures: Sequence[Measure],
    conventions: Conventions,
    asked: Asked,
    report: Report,
) -> Scored:
    """Score one run, and say what it rests on."""
    from mmr.evaluate.score import score

    fields = [asked.group_by] if asked.group_by else []
    with report.progress("queries", len(qrels)) as advance:
        scored = score(run, qrels, drawn(measures, asked), conventions, ["model", *fields], advance)
    say_what_it_rests_on(scored, measures, conventions, report)
    return scored


def say_what_it_rests_on(
    scored: Scored, measures: Sequence[Measure], conventions: Conventions, report: Report
) -> None:
    """Say how many queries were scored, how far equal scores could move a figure, and what looks wrong."""
    from mmr.evaluate.figures import counts_line, ties_lines

    for line in (counts_line(scored, conventions.over), *ties_lines(scored, measures), *scored.warnings):
        report.note(line)


def details(
    scored: Sequence[Scored], measures: Sequence[Measure], asked: Asked, report: Report
) -> Iterable[Figure] | None:
    """Records of queries, comparisons or groups, where they were asked for; else None."""
    from mmr.evaluate import figures

    seed = asked.seed if asked.ci else None
    if asked.per_query:
        return (one for run in scored for one in figures.per_query(run, named=len(scored) > 1))
    if asked.compare:
        return _compared(scored, measures, asked, report)
    if asked.group_by or asked.groups:
        return _grouped(scored, measures, asked, seed)
    if asked.train_queries:
        return _split(scored, measures, asked, report)
    return None


def _grouped(
    scored: Sequence[Scored], measures: Sequence[Measure], asked: Asked, seed: int | None
) -> Iterable[Figure]:
    from mmr.evaluate.figures import by_group
    from mmr.evaluate.groups import groups, read_groups

    named = read_groups(asked.groups) if asked.groups else None
    field = asked.group_by or "group"
    for run in scored:
        labels = dict(zip(run.queries, run.fields[field], strict=True)) if named is None else named
        yield from by_group(run, measures, field, groups(run, labels, field), seed)


def _split(
    scored: Sequence[Scored], measures: Sequence[Measure], asked: Asked, report: Report
) -> Iterable[Figure]:
    """Figures near the training queries and far from them."""
    from mmr.evaluate.figures import sides
    from mmr.evaluate.split import similarities, split
    from mmr.evaluate.vectors import read_vectors, same_space

    assert asked.train_queries is not None
    training = read_vectors(asked.train_queries)
    for run, path in zip(scored, asked.files[-len(scored) :], strict=True):
        source = asked.test_queries or path
        if source == "-":
            raise UsageError(
                "standard input cannot be read twice", "Name the vectors with --test-queries FILE."
            )
        test = read_vectors(source)
        same_space(training, test, (asked.train_queries, source))
        near = dict(zip(test.ids, similarities(test.rows, training.rows).tolist(), strict=True))
        found = split(run, measures, near, asked.similarity, asked.seed)
        lost = f"; {found.left_out:,} have no vector and are left out" if found.left_out else ""
        report.note(f"{shown(run.name)}: near is a cosine of {found.threshold:.4f} or more{lost}.")
        yield from sides(run, found)


def _compared(
    scored: Sequence[Scored], measures: Sequence[Measure], asked: Asked, report: Report
) -> Iterable[Figure]:
    """Test the later runs against the first; say in words what each difference means."""
    from mmr.evaluate.compare import compare
    from mmr.evaluate.figures import compared, comparison_lines

    found = compare(scored, [str(measure) for measure in measures], test=asked.test, seed=asked.seed)
    for line in comparison_lines(found):
        report.note(line)
    named = {run.name: ", ".join(sorted(_models(run))) for run in scored if _models(run)}
    if len(set(named.values())) > 1:
        models = "; ".join(f"{name}: {model}" for name, model in named.items())
        report.note(f"the runs are of different models: {models}.")
    return compared(found)


def _models(run: Scored) -> set[str]:
    """The models that the run's queries name."""
    return {str(model) for model in run.fields["model"] if model is not None}


def _manifests(asked: Asked, report: Report) -> bool:
    """Where both files are manifests, say in what they differ and return True."""
    from mmr.evaluate.manifest import differences, read_manifest

    if len(asked.files) != 2 or "-" in asked.files:
        return False
    before, after = (read_manifest(path) for path in asked.files)
    if before is None or after is None:
        return False
    write([{"difference": line} for line in differences(before, after)], asked)
    return True


def keep_manifest(
    judgements: Sequence[str], runs: Sequence[str], scored: Sequence[Scored], conventions: Conventions,
    asked: Asked, report: Report,
) -> None:  # fmt: skip
    """Write the manifest; say what changed since the one that is there."""
    if asked.manifest is None:
        return
    from mmr.evaluate.manifest import differences, manifest, read_manifest, written
    from mmr.stream.files import whole_file

    new = manifest(judgements, scored, runs, conventions, asked.protocol,
                   {run.name: sorted(_models(run)) for run in scored})  # fmt: skip
    old = read_manifest(asked.manifest)
    for line in differences(old, new) if old else ():
        report.note(f"{shown(asked.manifest)}: {line}")
    with whole_file(asked.manifest) as file:
        file.write(written(new))


def verdict(
    figures: Iterable[tuple[str, str, float | None]], assertions: Sequence[Assertion], report: Report
) -> int:
    """1 when an assertion does not hold for a run, else 0. Figures are runs, names and values."""
    failed, seen = 0, set()
    for run, name, value in figures:
        for one in assertions:
            if one.name == name:
                seen.add(name)
                if not one.holds(value):
                    failed += 1
                    found = "not defined" if value is None else f"{value:.6g}"
                    report.say(f"{shown(run)}: {name} is {found}, and {one} does not hold.")
    lacking = [one.name for one in assertions if one.name not in seen]
    if lacking:
        raise UsageError(
            f"--assert names {shown(lacking[0])}, which was not measured", "See the figures' names."
        )
    return status.NO if failed else status.DONE
