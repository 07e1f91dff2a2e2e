"""torch made ready: the operators that torchvision lacks, and threads."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from mmr.encoders import torch_setup

ROOT = Path(__file__).resolve().parents[2]
CURE = """
import glob, os, sys, importlib.util
import torch
folder = os.path.dirname(importlib.util.find_spec("torchvision").origin)
try:
    torch.ops.load_library(glob.glob(folder + "/_C*.so")[0])
    loads = True
except (OSError, IndexError):
    loads = False
from mmr.encoders import torch_setup
open_clip = torch_setup.import_open_clip()
assert torch_setup.import_open_clip() is open_clip
import torchvision
assert torchvision.transforms.Resize(4)
assert torch.ops.torchvision.nms
print(loads, len(torch_setup._kept_alive))
"""


def test_operators_are_declared_only_where_the_compiled_part_cannot_load(open_clip):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CURE], env=env, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() in {"True 0", "False 1"}, done.stderr


def test_a_torchvision_that_loads_is_left_alone(open_clip, monkeypatch):
    fine = types.ModuleType("torchvision")
    monkeypatch.setitem(sys.modules, "torchvision", fine)
    before = len(torch_setup._kept_alive)
    torch_setup.import_torchvision()
    assert sys.modules["torchvision"] is fine
    assert len(torch_setup._kept_alive) == before


def test_another_error_of_torchvision_is_not_hidden(open_clip, monkeypatch):
    def fails(name):
        raise RuntimeError("something else")

    monkeypatch.setattr("importlib.import_module", fails)
    with pytest.raises(RuntimeError, match="something else"):
        torch_setup.import_torchvision()


def test_threads(open_clip):
    import torch

    before = torch.get_num_threads()
    try:
        assert torch_setup.set_threads(1) == 1
        assert torch_setup.set_threads(None) == len(os.sched_getaffinity(0))
    finally:
        torch.set_num_threads(before)


def test_initial_values_are_left_out_and_drawn_again_afterwards(open_clip):
    import torch

    with torch_setup.initial_values_left_out():
        layer = torch.nn.Linear(3, 3)
        layer.weight.data.fill_(7)
        torch.nn.init.normal_(layer.weight)
    assert bool((layer.weight == 7).all())
    torch.nn.init.normal_(layer.weight)
    assert not bool((layer.weight == 7).any())
