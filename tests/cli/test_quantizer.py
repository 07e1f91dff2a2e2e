"""`mmr fit quantizer`: what is said of a gain, and no file where there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmr.cli.main import run
from mmr.index import quantizer_fit
from mmr.index.quantizer_fit import Gain


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with queries and an index, where fits gain what a test says."""
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(1).standard_normal((700, 8)).tolist()
    lines = [json.dumps({"id": f"i{i}", "vector": row}) for i, row in enumerate(rows)]
    (tmp_path / "v.jsonl").write_text("\n".join(lines))
    (tmp_path / "q.jsonl").write_text("\n".join(lines[:150]))
    assert run(["index", "x.mmr", "v.jsonl", "-q"]) == 0

    def gains(gain):
        monkeypatch.setattr(quantizer_fit, "measured", lambda *_: gain)

    return tmp_path, gains


def fit(*more):
    words = ["fit", "quantizer", "--index", "x.mmr", "--from", "q.jsonl", "--kind", "pq:m=4", "--rounds", "0"]
    return run([*words, "-o", "pq.npz", *more])


def test_nothing_gained_is_refused_and_can_be_forced(folder, capsys):
    path, gains = folder
    gains(Gain(0.5, 0.5, -0.1, 0.1, (0.9, 0.9), 30, 700))
    assert fit() == 65 and "gain nothing" in capsys.readouterr().err and not (path / "pq.npz").exists()
    assert fit("--force") == 0 and (path / "pq.npz").exists()


def test_what_may_be_chance_is_said(folder, capsys):
    path, gains = folder
    gains(Gain(0.5, 0.52, -0.01, 0.05, (0.9, 0.88), 30, 700))
    assert fit() == 0 and (path / "pq.npz").exists()
    said = capsys.readouterr().err
    assert "50.0%" in said and "52.0% by these: +2.0 points (95 %: -1.0 to +5.0)" in said
    assert "interval holds nothing gained" in said and "plain codes find more" in said


def test_a_sure_gain_is_said_without_a_warning(folder, capsys):
    _, gains = folder
    gains(Gain(0.5, 0.6, 0.05, 0.15, (0.9, 0.95), 30, 700))
    assert fit() == 0
    said = capsys.readouterr().err
    assert "interval" not in said and "find more" not in said
    assert fit("-q") == 0 and capsys.readouterr().err == ""
