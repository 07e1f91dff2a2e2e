"""Tables of mmr-results(7) about composed queries, from what tests/benchmarks wrote."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def stress() -> str:
    """What tests/benchmarks/test_stress.py wrote into stress.jsonl."""
    out = ["    query              reference kept   left out        it comes first\n"]
    for row in _rows("stress.jsonl"):
        pairs = [f"{row[name]:.1f} ({row[name + '_before']:.1f})" for name in ("kept", "removed")]
        first = f"{row['first']:.2f} ({row['first_before']:.2f})"
        out.append(f"    {row['query']:<19}{pairs[0]:<17}{pairs[1]:<16}{first}\n")
    return "".join(out)


def edits() -> str:
    """What tests/benchmarks/test_edits.py wrote into edits.jsonl: a set's compositions, then its kinds."""
    out = []
    for name, group in groupby(_rows("edits.jsonl"), lambda row: row["set"]):
        rows = list(group)
        out.append(f"{name[0].upper()}{name[1:]}:\n\n")
        for way, whole in groupby([row for row in rows if "kind" not in row], lambda row: row["way"]):
            out.append(f"    {way:<36}R@1                  R@5   R@10  R@1, mean of kinds\n")
            for row in whole:
                out.append(f"      {row['composition']:<34}{_figures(row)}{row['kinds@1']:.1f}\n")
        kinds = [row for row in rows if "kind" in row]
        for (way, composition), parts in groupby(kinds, lambda row: (row["way"], row["composition"])):
            out.append(f"    {composition}, {way.partition(',')[2].strip() or way}, by kind:\n")
            for row in parts:
                title = f"{row['kind']}, {row['queries']:,} queries"
                out.append(f"      {title:<34}{_figures(row)}".rstrip() + "\n")
        out.append("\n")
    return "".join(out)


def _figures(row: dict[str, Any]) -> str:
    span = f"{row['hit@1']:.1f} ({row['low']:.1f} to {row['high']:.1f})"
    return f"{span:<21}{row['hit@5']:<6.1f}{row['hit@10']:<6.1f}"


def _rows(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / file).read_text(encoding="utf-8").splitlines()]
