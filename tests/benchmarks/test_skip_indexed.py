"""Recognising 100,000 unchanged files beside walking and stat-ing them in plain Python."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mmr.index import upsert
from tests.benchmarks.measure import interleaved, report

pytestmark = pytest.mark.bench
MMR = str(Path(sys.executable).parent / "mmr")
FILES, FOLDERS = 100_000, 100
WALK = """import os
for folder, _, names in os.walk("photos"):
    for name in sorted(names):
        os.stat(os.path.join(folder, name))
"""


def test_unchanged_files(tmp_path, monkeypatch):
    from mmr.encoders import load, model_name

    encoder = load("builtin")
    vector = np.eye(1, encoder.dim, dtype=np.float32)[0]
    records = []
    for folder in range(FOLDERS):
        place = tmp_path / "photos" / f"{folder:03}"
        place.mkdir(parents=True)
        for number in range(FILES // FOLDERS):
            file = place / f"{number:04}.jpg"
            file.write_bytes(b"x")
            state = file.stat()
            path = str(file.relative_to(tmp_path))
            records.append({"id": path, "image": path, "base": str(tmp_path), "size": state.st_size,
                            "mtime": state.st_mtime, "digest": "00", "vector": vector})  # fmt: skip
    upsert(tmp_path / "p.mmr", records, reject=pytest.fail, model=model_name(encoder))
    monkeypatch.chdir(tmp_path)
    embed = f"{MMR} embed photos --skip-indexed p.mmr -q -o out.jsonl"
    ours, peer = interleaved(3, embed, [sys.executable, "-c", WALK])
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert len(lines) == FILES + 1 and all(b'"keep":true' in line for line in lines[:-1])
    name = f"{FILES:,} unchanged files, CPU, against walking and stat-ing them"
    assert report(name, ours.cpu, peer.cpu, 3) <= 3
