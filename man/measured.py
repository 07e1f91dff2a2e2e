"""Tables of mmr-results(7) and mmr-builtin(7): what benchmarks wrote, one file of JSON lines a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
Row = dict[str, Any]


def results() -> str:
    """What the benchmarks wrote into results.jsonl, as prose."""
    rows = [json.loads(line) for line in (HERE / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    out = []
    for row in rows:
        held = "holds" if row["ratio"] <= row["limit"] else "missed"
        out.append(
            f"{row['name']}\n: {row['ours']:.4g} {row['unit']} against {row['peer']:.4g} {row['unit']}: "
            f"ratio {row['ratio']:.3f}, at most {row['limit']:g}: {held}. {row['machine']}.\n"
        )
    return "\n".join(out)


def chosen_from() -> str:
    """What kinds take at a recall of .99, as written by tests/benchmarks/test_plan.py."""
    out: list[str] = []
    for name, _, rows in by_set("plans.jsonl"):
        held = sorted(rows, key=lambda row: (row["recall"] < 0.99, row["ms"]))
        exact = min(row["exact_ms"] for row in held)
        out.append(
            f"{name}; the exact search takes {exact:.3g} ms a query:\n\n"
            f"    {'kind':<18}{'setting':<20}recall  ms a query  bytes  built in\n"
        )
        for row in held:
            out.append(f"    {row['kind']:<18}{row['setting']:<20}{row['recall']:.4f}  {row['ms']:<10.3f}  "
                       f"{row['bytes']:<5.0f}  {row['built']:.1f} s\n")  # fmt: skip
        out.append("\n")
    return "".join(out)


def by_set(file: str) -> Iterator[tuple[str, Row, list[Row]]]:
    """Of each set of vectors: its name, its first row and all its rows."""
    lines = (HERE / file).read_text(encoding="utf-8").splitlines()
    for name, rows in groupby(map(json.loads, lines), lambda row: row["set"]):
        held = list(rows)
        yield name, held[0], held


def before(name: str, first: Row) -> str:
    """What a set's queries find before anything is corrected."""
    return (
        f"{sentence(name)} Before: R@1 {first['before']:.1f} %, skewness {first['skew_before']:.2f}, "
        f"{first['antihubs_before']:.1%} of the items in no list of ten.\n\n"
    )


def corrected() -> str:
    """What the corrections did to real vectors, as written by tests/benchmarks/test_corrections.py."""
    out: list[str] = []
    for name, first, held in by_set("corrections.jsonl"):
        out.append(f"{before(name, first)}    method    R@1    change          skewness  in no list\n")
        for row in held:
            span = f"{row['low']:+.1f} to {row['high']:+.1f}"
            out.append(f"    {row['method']:<9} {row['after']:.1f}   {span:<15} {row['skew_after']:.2f}      "
                       f"{row['antihubs_after']:.1%}\n")  # fmt: skip
        out.append("\n")
    return "".join(out)


def reranked(file: str = "rerank.jsonl") -> str:
    """What the methods of mmr-rerank(1) did, as written by tests/benchmarks/test_rerank_*.py."""
    out: list[str] = []
    for name, first, held in by_set(file):
        width = max(22, *(len(row["method"]) for row in held))
        out.append(
            f"{sentence(name)} {first['queries']:,} queries. "
            f"Before: {first['measure']} {first['before']:.1f}.\n\n"
            f"    {'method':<{width}}  {first['measure']:<6}  change\n"
        )
        for row in held:
            sign = "" if row["low"] <= 0 <= row["high"] else "  better" if row["low"] > 0 else "  worse"
            span = f"{row['low']:+.1f} to {row['high']:+.1f}"
            out.append(f"    {row['method']:<{width}}  {row['after']:<6.1f}  {span}{sign}\n")
        out.append("\n")
    return "".join(out)


def words() -> str:
    """What the bank of words that ships did, as written by tests/benchmarks/test_words.py."""
    out: list[str] = []
    for name, first, held in by_set("words.jsonl"):
        out.append(
            f"{before(name, first)}"
            "    method                      bank      R@1    change        skewness  in no list\n"
        )
        for row in held:
            span = f"{row['low']:+.1f} to {row['high']:+.1f}"
            out.append(f"    {row['method']:<27} {row['bank']:<9} {row['after']:<6.1f} {span:<13} "
                       f"{row['skew_after']:<9.2f} {row['antihubs_after']:.1%}\n")  # fmt: skip
        out.append("\n")
    return "".join(out)


def builtin() -> str:
    """What `make builtin-eval` measured of the built-in encoder, as prose."""
    if not (HERE / "builtin.jsonl").is_file():
        return "Not measured yet."
    rows = [json.loads(line) for line in (HERE / "builtin.jsonl").read_text(encoding="utf-8").splitlines()]
    out = []
    for row in rows:
        least = row.get("unit") not in {"MB", "ms"}
        number = f"{row['value']:.3g} {row['unit']}" if "unit" in row else f"{row['value']:.3f}"
        span = f" ({row['low']:.3f} to {row['high']:.3f})" if "low" in row else ""
        wanted = ""
        if "wanted" in row:
            met = row["value"] >= row["wanted"] if least else row["value"] <= row["wanted"]
            asked = f"{'at least' if least else 'at most'} {row['wanted']:g} asked for"
            wanted = f"; {asked}: {'reached' if met else 'missed'}"
        size = f" {row['size']}." if "size" in row else ""
        measure = f", {row['measure']}" if "measure" in row else ""
        out.append(f"{row['name']}{measure}\n: {number}{span}{wanted}.{size}\n")
    return "\n".join(out)


def sentence(words: str) -> str:
    """Words with a capital and a full stop."""
    return f"{words[0].upper()}{words[1:].rstrip('.')}."
