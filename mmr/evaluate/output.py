"""Figures on their way out: a table for people; JSONL, TSV, Markdown and LaTeX for everything else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Figure = Mapping[str, Any]
FORMATS = ("table", "jsonl", "tsv", "markdown", "latex")


def lines(figures: Iterable[Figure], format_: str) -> Iterator[str]:
    """Yield records of figures as text in one of FORMATS; JSONL record by record, the others at once.

    JSONL and TSV keep every field and every digit. The others are for reading: a row a run and group, a
    column a measure (one run: a row a measure), four decimals, intervals in brackets. Comparisons and values
    of queries are a row each, with a column a field.
    """
    if format_ == "jsonl":
        yield from map(_json, figures)
        return
    held = list(figures)
    if format_ == "tsv":
        yield _tsv(held)
        return
    plain = all("value" in figure and not {"query", "p"} & figure.keys() for figure in held)
    yield {"table": _table, "markdown": _markdown, "latex": _latex}[format_](
        *(_pivoted if plain else _flat)(held)
    )


def _json(figure: Figure) -> str:
    import orjson

    return orjson.dumps(dict(figure)).decode() + "\n"


def _tsv(figures: Sequence[Figure]) -> str:
    names = list(dict.fromkeys(name for figure in figures for name in figure))
    lines = ["\t".join(names)]
    for figure in figures:
        lines.append("\t".join(_plain(figure.get(name)) for name in names))
    return "".join(line + "\n" for line in lines)


def _plain(value: Any) -> str:
    """A value in full, safe for one column."""
    if value is None:
        return ""
    text = repr(value) if isinstance(value, float) else str(value)
    return text.replace("\t", " ").replace("\n", " ")


def short(value: Any) -> str:
    """A value for people: four decimals where it is small, fewer where it is large.

    >>> short(0.41239), short(123.456), short(7), short(None)
    ('0.4124', '123.46', '7', '')
    """
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "-"
    if value and abs(value) < 0.0001:
        return f"{value:.1e}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def _cell(figure: Figure) -> str:
    value = figure["value"]
    text = "-" if value is None else short(value)
    if figure.get("low") is not None:
        text += f" [{short(figure['low'])}, {short(figure['high'])}]"
    return text


def _pivoted(figures: Sequence[Figure]) -> tuple[list[str], list[list[str]]]:
    """Rows of runs and groups, columns of measures; turned round where there is one row alone."""
    keys = [name for name in ("run", "group") if len({figure.get(name) for figure in figures}) > 1]
    measures = list(dict.fromkeys(figure["measure"] for figure in figures))
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for figure in figures:
        label = tuple(_plain(figure.get(key)) or "all" for key in keys)
        cells.setdefault(label, {})[figure["measure"]] = _cell(figure)
    if not keys:
        return ["measure", "value"], [[name, cells[()][name]] for name in measures]
    rows = [[*label, *(row.get(name, "") for name in measures)] for label, row in cells.items()]
    return [*keys, *measures], rows


FOR_MACHINES = {"how", "missing", "baseline_missing", "ties", "precision", "over"}


def _flat(figures: Sequence[Figure]) -> tuple[list[str], list[list[str]]]:
    """A row a record, a column a field that any of them has."""
    seen = dict.fromkeys(name for figure in figures for name, value in figure.items() if value is not None)
    names = [name for name in seen if name not in FOR_MACHINES]
    return names, [[short(figure.get(name)) for name in names] for figure in figures]


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in [head, *rows]
    )


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    return line(head) + "|" + "---|" * len(head) + "\n" + "".join(line(row) for row in rows)


LATEX_SIGNS = {sign: "\\" + sign for sign in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\~{}",
    "^": r"\^{}",
}


def _latex(head: list[str], rows: list[list[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return " & ".join("".join(LATEX_SIGNS.get(c, c) for c in cell) for cell in cells) + r" \\" + "\n"

    columns = "l" + "r" * (len(head) - 1)
    body = "".join(line(row) for row in rows)
    return (
        rf"\begin{{tabular}}{{{columns}}}" + "\n\\toprule\n" + line(head) + "\\midrule\n" + body
        + "\\bottomrule\n\\end{tabular}\n"
    )  # fmt: skip
