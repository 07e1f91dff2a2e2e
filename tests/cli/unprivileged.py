"""Run a line as somebody for whom permissions hold, also where the tests run as root."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Result, program_environment

PR_CAPBSET_DROP = 24
OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what lets root read and write everything


def drop_overrides() -> None:
    """Take root's exemption from permissions away from whatever is executed next; others have none."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in OVERRIDES:
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def unprivileged(line: str, folder: Path) -> Result:
    """Run a line of bash under the permissions of the files; skips where they cannot be brought to hold."""
    probe = folder / "probe"
    probe.touch(mode=0)
    try:
        run = ["bash", "-c", f"! cat {probe} 2> {os.devnull} || exit 99; {line}"]
        done = subprocess.run(
            run, cwd=folder, env=program_environment(), capture_output=True, preexec_fn=drop_overrides,
            timeout=120,
        )  # fmt: skip
    except subprocess.SubprocessError:
        pytest.skip("permissions cannot be brought to hold here")
    finally:
        probe.unlink()
    if done.returncode == 99:
        pytest.skip("permissions do not hold here")
    return Result(done.stdout, done.stderr.decode(), done.returncode)
