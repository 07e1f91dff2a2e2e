"""Tables of mmr-results(7) that the benchmarks of the kinds write: beside FAISS, of millions, codes."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SLOWEST = 1.25


def kinds() -> str:
    """What tests/benchmarks/test_kinds.py and test_large.py wrote into kinds.jsonl, a table a set."""
    out = []
    rows = sorted(_rows("kinds.jsonl"), key=lambda row: ("gib" in row, len(row["set"]), row["set"]))
    for name, group in groupby(rows, lambda row: row["set"]):
        mine = list(group)
        out.append(
            f"{name} ({mine[0]['machine']}):\n\n" + (_beside(mine) if "string" in mine[0] else _alone(mine))
        )
    return "\n".join(out)


def _beside(rows: list[dict[str, Any]]) -> str:
    width = max(len(row["kind"]) for row in rows) + 2
    head = f"    {'kind':<{width}}recall       bytes        build, s       queries/s        ratio\n"
    out = [head]
    for row in rows:
        ratio = row["peer_queries"] / row["queries"]
        recall, size = _pair(row, "recall", ".3f"), _pair(row, "bytes", "d")
        built, asked = _pair(row, "built", ".1f"), _pair(row, "queries", ",d")
        missed = "" if ratio <= SLOWEST else " missed"
        out.append(
            f"    {row['kind']:<{width}}{recall:<13}{size:<13}{built:<15}{asked:<17}{ratio:.2f}{missed}\n"
        )
    return "".join(out)


def _alone(rows: list[dict[str, Any]]) -> str:
    width = max(len(row["kind"]) for row in rows) + 2
    out = [f"    {'kind':<{width}}recall  bytes  build, s  queries/s  most memory resident\n"]
    for row in rows:
        out.append(
            f"    {row['kind']:<{width}}{row['recall']:<8.3f}{row['bytes']:<7}{row['built']:<10.0f}"
            f"{row['queries']:<11,}{row['gib']:.2f} GiB\n"
        )
    return "".join(out)


def encodings() -> str:
    """What tests/benchmarks/test_muvera.py wrote into encodings.jsonl."""
    out = []
    for name, group in groupby(_rows("encodings.jsonl"), lambda row: row["set"]):
        out.append(f"{name}:\n\n    {'':<36}numbers  10     50     100\n")
        for row in sorted(group, key=lambda row: (row["setting"][0] == "r", row["numbers"], row["setting"])):
            first = "".join(f"{row[f'first_{count}']:<7.1f}" for count in (10, 50))
            span = f"{row['first_100']:.1f} ({row['low']:.1f} to {row['high']:.1f})"
            out.append(f"    {row['setting']:<36}{row['numbers']:<9}{first}{span}\n")
        out.append("\n")
    return "".join(out)


def codes() -> str:
    """What tests/benchmarks/test_codes.py wrote into codes.jsonl."""
    out = []
    for name, group in groupby(_rows("codes.jsonl"), lambda row: row["set"]):
        out.append(f"{name}:\n\n    bits  first  signs  bebr   gain\n")
        for row in group:
            span = f"{row['low']:+.3f} to {row['high']:+.3f}"
            out.append(
                f"    {row['bits']:<6}{row['depth']:<7}{row['signs']:<7.3f}{row['bebr']:<7.3f}{span}\n"
            )
        out.append("\n")
    return "".join(out)


def cuts() -> str:
    """What tests/benchmarks/test_rerank_scores.py wrote into cuts.jsonl."""
    out = []
    for name, group in groupby(_rows("cuts.jsonl"), lambda row: row["set"]):
        out.append(f"{name}:\n\n    {'mmr rerank cut --max 20':<34}kept   right  cut to as many  not cut\n")
        for row in group:
            out.append(
                f"    {row['line']:<34}{row['mean']:<7.1f}{row['right']:<7.1f}{row['fixed']:<16.1f}"
                f"{row['all']:.1f}\n"
            )
        out.append("\n")
    return "".join(out)


def regions() -> str:
    """What tests/benchmarks/test_regions.py wrote into regions.jsonl."""
    out = []
    for name, group in groupby(_rows("regions.jsonl"), lambda row: row["set"]):
        rows = list(group)
        head = f"{'change of MAP':<23}where" if "where" in rows[0] else "change of MAP"
        out.append(
            f"{name}; with one vector a picture the mean average precision is {rows[0]['map']:.1f} %, "
            f"and the first hit is right in {rows[0]['first']:.1f} %:\n\n"
            f"    {'vectors':<45}rows   MAP   first  {head}\n"
        )
        for row in rows[1:]:
            span = f"{row['gain']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}]"
            where = f"{row['where']:.1f}" if "where" in row else ""
            figures = f"{row['rows']:<7.0f}{row['map']:<6.1f}{row['first']:<7.1f}{span:<23}{where}"
            out.append(f"    {row['way']:<45}{figures}".rstrip() + "\n")
        out.append("\n")
    return "".join(out)


def hybrid() -> str:
    """What tests/benchmarks/test_hybrid.py wrote into hybrid.jsonl."""
    out = []
    for name, group in groupby(_rows("hybrid.jsonl"), lambda row: row["set"]):
        out.append(f"{name}:\n\n    {'ranking':<42}R@1                  R@10\n")
        for row in group:
            first, ten = (f"{row[of]:.1f} [{row[f'{of}_low']:.1f}, {row[f'{of}_high']:.1f}]"
                          for of in ("first", "ten"))  # fmt: skip
            out.append(f"    {row['way']:<42}{first:<21}{ten}\n")
        out.append("\n")
    return "".join(out)


def _pair(row: dict[str, Any], name: str, form: str) -> str:
    """A figure of ours and FAISS's."""
    return f"{row[name]:{form}} {row[f'peer_{name}']:{form}}"


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]
