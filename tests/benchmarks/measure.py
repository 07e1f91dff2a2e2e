"""How figures are taken here: whole processes in turn, CPU and wall seconds, the minimum of several."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.conftest import program_environment


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


def report(name: str, ours: float, peer: float, limit: float, unit: str = "s") -> float:
    """Print a figure beside its peer and return the ratio ours / peer."""
    ratio = ours / peer
    verdict = "holds" if ratio <= limit else "MISSED"
    print(
        f"\n{name}: {ours:.3f} {unit} against {peer:.3f} {unit}, ratio {ratio:.3f} "
        f"(at most {limit:g}: {verdict})"
    )
    return ratio
