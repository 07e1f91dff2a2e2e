"""How figures are taken here: whole processes in turn, CPU and wall seconds, the minimum of several."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import ROOT, program_environment

RESULTS = ROOT / "man" / "results.jsonl"
KINDS = ROOT / "man" / "kinds.jsonl"


class Cost(NamedTuple):
    """Seconds of one run: `wall`, and `cpu` of the process and its children."""

    wall: float
    cpu: float


def run(command: Sequence[str] | str, **extra: str) -> Cost:
    """Run one command (a string goes to bash) and account for it; a status other than 0 is an error."""
    line = ["bash", "-o", "pipefail", "-c", command] if isinstance(command, str) else list(command)
    before = os.times()
    start = time.perf_counter()
    done = subprocess.run(line, env=program_environment(extra), stdout=subprocess.DEVNULL, check=False)
    wall = time.perf_counter() - start
    after = os.times()
    assert done.returncode == 0, f"{command} ended with {done.returncode}"
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall, cpu)


def interleaved(times: int, *commands: Sequence[str] | str) -> list[Cost]:
    """Run the commands in turn, `times` rounds after one warm-up; return each one's minima."""
    rounds = [[run(command) for command in commands] for _ in range(times + 1)][1:]
    return [
        Cost(min(c.wall for c in column), min(c.cpu for c in column)) for column in zip(*rounds, strict=True)
    ]


def cpu(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one call in this process, the kernel's included, and what it returned."""
    start = time.process_time()
    answer = function()
    return time.process_time() - start, answer


def report(name: str, ours: float, peer: float, limit: float, unit: str = "s") -> float:
    """Print a figure beside its peer, keep it for mmr-results(7), and return the ratio ours / peer."""
    ratio = ours / peer
    verdict = "holds" if ratio <= limit else "MISSED"
    print(
        f"\n{name}: {ours:.3f} {unit} against {peer:.3f} {unit}, ratio {ratio:.3f} "
        f"(at most {limit:g}: {verdict})"
    )
    keep({"name": name, "ours": round(ours, 4), "peer": round(peer, 4), "ratio": round(ratio, 4),
          "limit": limit, "unit": unit, "machine": machine()})  # fmt: skip
    return ratio


def keep(row: dict[str, object], file: Path = RESULTS, names: Sequence[str] = ("name",)) -> None:
    """Put a row into the results, in the place of an earlier one of the same `names`."""

    def key(one: dict[str, object]) -> list[object]:
        return [one[name] for name in names]

    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    rows = sorted([old for old in rows if key(old) != key(row)] + [row], key=key)
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))


def machine() -> str:
    """The machine in a few words: processor, cores, Python."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")
    return f"{model.strip()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
