"""Linear compositions from ready arrays beside the bare NumPy expression, NPY to NPY, whole processes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.measure import interleaved, report

ROWS, DIM = 100_000, 512
EXPRESSIONS = {
    "weighted": ("v t_m", "np.float32(.2) * v + np.float32(.8) * t_m"),
    "pdv-f": ("v t_r t_c", "np.float32(.25) * v + np.float32(1.25) * t_c - np.float32(.5) * t_r"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("arrays")
    generator = np.random.default_rng(0)
    for name in ("v", "t_m", "t_r", "t_c"):
        rows = generator.standard_normal((ROWS, DIM), dtype=np.float32)
        np.save(where / f"{name}.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return where


@pytest.mark.bench
@pytest.mark.parametrize("preset", EXPRESSIONS)
def test_npy_to_npy_beside_numpy(folder, preset):
    names, expression = EXPRESSIONS[preset]
    load = "; ".join(f"{name} = np.load({str(folder / name)!r} + '.npy')" for name in names.split())
    script = folder / "bare.py"
    script.write_text(
        f"import numpy as np\n{load}\nq = {expression}\n"
        f"q /= np.linalg.norm(q, axis=1, keepdims=True)\nnp.save({str(folder / 'bare')!r}, q)\n"
    )
    binds = [word for name in names.split() for word in ("--bind", f"{name}={folder / name}.npy")]
    ours = ["mmr", "compose", preset, *binds, "-q"]
    blocks = [*ours, "--format", "npy", "-o", str(folder / "blocks")]
    pair = [*ours, "-o", str(folder / f"{preset}.npy")]
    bare, alone, both = interleaved(5, [sys.executable, str(script)], blocks, pair)
    found, expected = np.load(folder / f"{preset}.npy"), np.load(folder / "bare.npy")
    assert np.abs(found - expected).max() < 1e-6
    title = f"compose {preset}, {ROWS:,} x {DIM}, NPY to NPY, beside NumPy"
    report(f"{title}, with records and their SHA-256, CPU", both.cpu, bare.cpu, 2.0)
    report(f"{title}, wall", alone.wall, bare.wall, 2.0)
    assert report(f"{title}, CPU", alone.cpu, bare.cpu, 2.0) <= 2.0
