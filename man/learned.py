"""Prose and tables of what `mmr fit` learns beside corrections: changes of vectors, calibrations."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
Sentence = Callable[[str], str]


def values(sentence: Sentence) -> dict[str, str]:
    """The texts that stand in the places of the tables and figures of this file."""
    return {"{changes}": changes(sentence), "{calibrations}": calibrations(sentence),
            "{together}": together(sentence), "{changed}": changed(sentence),
            "{calibrated}": calibrated(sentence), "{mapped}": mapped(sentence),
            "{upgraded}": upgraded(sentence), "{lexicons}": lexicons(sentence),
            "{quantizers}": quantizers(sentence)}  # fmt: skip


def changes(sentence: Sentence) -> str:
    """The changes of vectors as prose, from their table."""
    from mmr.normalize.table import VECTORS

    out = []
    for row in VECTORS:
        params = "".join(f" `{p.option}`: {p.note} ({_default(p.default)})." for p in row.params)
        sides = " Queries are only named anew." if row.sides else ""
        out.append(f"`{row.name}`\n: {sentence(row.summary)}{params}{sides} {row.safe}. ({row.source})\n")
    return "\n".join(out)


def calibrations(sentence: Sentence) -> str:
    """The calibrations as prose, from their table."""
    from mmr.normalize.table import CALIBRATIONS

    return "\n".join(
        f"`{row.name}`\n: {sentence(row.summary)} {row.note}. ({row.source})\n" for row in CALIBRATIONS
    )


def together(sentence: Sentence) -> str:
    """The transductive methods as prose, from their table."""
    from mmr.normalize.table import TOGETHER

    out = []
    for row in TOGETHER:
        params = "".join(f" `{p.option}`: {p.note} ({_default(p.default)})." for p in row.params)
        out.append(f"`{row.name}`\n: {sentence(row.summary)}{params} ({row.source})\n")
    return "\n".join(out)


def _default(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def changed(sentence: Sentence) -> str:
    """What changes of vectors did to real ones, as written by tests/benchmarks/test_changes.py."""
    out: list[str] = []
    for name, group in groupby(_rows("changes.jsonl"), lambda row: row["set"]):
        rows = list(group)
        first = rows[0]
        out.append(
            f"{sentence(name)} Before: R@1 {first['before']:.1f} %, skewness {first['skew_before']:.2f}, "
            f"{first['antihubs_before']:.1%} of the items in no list of ten.\n\n"
            f"    {'method':<29} R@1    change          skewness  in no list\n"
        )
        for row in rows:
            span = f"{row['low']:+.1f} to {row['high']:+.1f}"
            out.append(
                f"    {row['method']:<29} {row['after']:.1f}   {span:<15} {row['skew_after']:<9.2f} "
                f"{row['antihubs_after']:.1%}\n"
            )
        out.append("\n")
    return "".join(out)


def mapped(sentence: Sentence) -> str:
    """How a new model's queries do before an old index, as written by tests/benchmarks/test_changes.py."""
    return _mapped(sentence, "maps.jsonl")


def upgraded(sentence: Sentence) -> str:
    """The same of models that are published, as written by tests/benchmarks/test_maps.py."""
    return _mapped(sentence, "upgrades.jsonl")


def _mapped(sentence: Sentence, file: str) -> str:
    out: list[str] = []
    for name, group in groupby(_rows(file), lambda row: row["set"]):
        rows = list(group)
        cosine = "  cosine" if any("cosine" in row for row in rows) else ""
        out.append(f"{sentence(name)}\n\n    {'queries':<38} R@1    against the old model's{cosine}\n")
        for row in rows:
            span = f"{row['low']:+.1f} to {row['high']:+.1f}" if row["way"] != "old model" else ""
            found = f"{row['cosine']:.2f}" if "cosine" in row else ""
            out.append(f"    {row['way']:<38} {row['after']:<5.1f}  {span:<24} {found}".rstrip() + "\n")
        out.append("\n")
    return "".join(out)


def lexicons(sentence: Sentence) -> str:
    """What bags of words lose beside vectors, as written by tests/benchmarks/test_lexicon.py."""
    out: list[str] = []
    for (name, words), group in groupby(_rows("lexicons.jsonl"), lambda row: (row["set"], row["words"])):
        rows = list(group)
        out.append(
            f"{sentence(name)} The list: {words}. R@1 of the vectors: {rows[0]['before']:.1f}.\n\n"
            f"    {'setting':<24}terms  near                R@1   change\n"
        )
        for row in rows:
            near = f"{row['near']:.1f} ({row['near_low']:.1f} to {row['near_high']:.1f})"
            span = f"{row['low']:+.1f} to {row['high']:+.1f}"
            out.append(f"    {row['setting']:<24}{row['terms']:<7.0f}{near:<20}{row['after']:<6.1f}{span}\n")
        out.append("\n")
    return "".join(out)


def quantizers(sentence: Sentence) -> str:
    """What fitted codes find beside plain ones, as written by tests/benchmarks/test_quantizer.py."""
    out: list[str] = []
    for name, group in groupby(_rows("quantizers.jsonl"), lambda row: row["set"]):
        rows = sorted(group, key=lambda row: (row["kind"] != "pq", row["bytes"]))
        first = rows[0]
        out.append(
            f"{sentence(name)} {first['queries']:,} queries fitted, {first['test']:,} ask, {first['rows']:,} "
            "items.\n\n"
            f"    {'kind':<7}bytes  pq    opq   fitted  gain                      with 10 candidates a hit\n"
        )
        for row in rows:
            span = f"{row['low']:+.3f} to {row['high']:+.3f}" + ("" if row["low"] > 0 else " missed")
            refined = ", ".join(f"{one:.3f}" for one in row["refined"])
            out.append(f"    {row['kind']:<7}{row['bytes']:<7}{row['plain']:<6.3f}{row['opq']:<6.3f}"
                       f"{row['fitted']:<8.3f}{span:<26}{refined}\n")  # fmt: skip
        out.append("\n")
    return "".join(out)


def calibrated(sentence: Sentence) -> str:
    """How far calibrated chances are off, as written by tests/benchmarks/test_calibration.py."""
    out: list[str] = []
    for name, group in groupby(_rows("calibrations.jsonl"), lambda row: row["set"]):
        out.append(f"{sentence(name)}\n\n    method      error             of first hits     precision\n")
        for row in group:
            error, first, precision = (_span(row[key]) for key in ("ece", "first", "precision"))
            out.append(f"    {row['method']:<11} {error:<17} {first:<17} {precision}\n")
        out.append("\n")
    return "".join(out)


def _span(of: dict[str, float]) -> str:
    return f"{of['low']:.2f} to {of['high']:.2f}"


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]
