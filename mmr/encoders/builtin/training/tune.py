"""Stage `tune`: teach the drawing tower to put pictures where the text table puts their captions.

First the head alone learns on the published features, then the late blocks with it. Only 1x1
convolutions are tuned; the filters stay (their gradients are what costs time).
Loss: cross-entropy over captions, equal or near captions sharing the target (softmax of text
cosines), a wrong caption of the same picture never; plus 0.5 (1 - cosine).
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from mmr.encoders.builtin.architecture import FEATURES, SHARED_BLOCKS
from mmr.encoders.builtin.text import TextTower
from mmr.encoders.builtin.weights import FloatArray, Weights

from . import network, packing

HIDDEN = 1024
BATCH = 256
NAMES = 2048  # captions of other pictures that stand in each batch
TARGET_TEMPERATURE = 0.04


class DrawingTower(nn.Module):  # type: ignore[misc]
    """Late blocks and head as in `..pictures`: (n, 80, 8, 8) → (n, dim) unit rows."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        start = network.as_torch(packing.rounded(network.folded()))
        late = {name: value for name, value in start.items() if _is_late(name)}
        self.names = list(late)
        self.tensors = nn.ParameterList(
            nn.Parameter(value, requires_grad="filter.weight" not in name) for name, value in late.items()
        )
        self.inner = nn.Linear(FEATURES, HIDDEN)
        self.outer = nn.Linear(HIDDEN, dim)
        self.scale = nn.Parameter(torch.tensor(3.0))

    def features(self, early: torch.Tensor) -> torch.Tensor:
        """Run the late blocks in bfloat16, 64 pictures at a time to stay in the cache: → (n, 1280)."""
        rounded = {name: value.bfloat16() for name, value in zip(self.names, self.tensors, strict=True)}
        return torch.cat([network.late(rounded, part).float() for part in early.split(64)])

    def export(self) -> dict[str, FloatArray]:
        """Give the tower's tensors under the names of the weights file, without `draw.`."""
        tensors = network.as_numpy(dict(zip(self.names, self.tensors, strict=True)))
        for name, layer in (("inner", self.inner), ("outer", self.outer)):
            tensors[f"{name}.weight"] = layer.weight.detach().numpy().T.copy()
            tensors[f"{name}.bias"] = layer.bias.detach().numpy().copy()
        return tensors

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Run the head: (n, 1280) → unit rows."""
        kept = functional.dropout(features, 0.15, self.training)
        inner = functional.gelu(self.inner(kept), approximate="tanh")
        return functional.normalize(self.outer(functional.dropout(inner, 0.15, self.training)).float())


def _is_late(name: str) -> bool:
    front = name.split(".")[0]
    return front == "head" or (front.isdigit() and int(front) >= SHARED_BLOCKS)


class Shards:
    """The samples in memory, with the vectors of their captions."""

    def __init__(self, folder: Path, text: TextTower) -> None:
        numbers = sorted(int(path.stem) for path in folder.glob("*.json"))
        self.early = [np.load(folder / f"{number}.npy") for number in numbers]
        pairs = [
            pair for number in numbers for pair in json.loads((folder / f"{number}.json").read_text("utf8"))
        ]
        self.right = torch.from_numpy(text.encode([right for right, _ in pairs]))
        self.wrong = torch.from_numpy(text.encode([wrong for _, wrong in pairs]))
        self.has_wrong = torch.tensor([bool(wrong) for _, wrong in pairs])
        self.names = torch.from_numpy(text.encode(sorted({right for right, _ in pairs})))

    def __len__(self) -> int:
        return len(self.right)

    def batch(self, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        """Gather early features: rows (n,) → (n, 80, 8, 8) bfloat16, channels last."""
        size = len(self.early[0])
        picked = np.stack([self.early[row // size][row % size] for row in rows])
        return torch.from_numpy(picked).permute(0, 3, 1, 2).bfloat16()


def loss(
    made: torch.Tensor, right: torch.Tensor, wrong: torch.Tensor, has_wrong: torch.Tensor,
    names: torch.Tensor, scale: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Compare pictures (n, d) with captions (n, d), wrong captions (n, d) and other names (m, d)."""
    pool = torch.cat([right, wrong, names])
    likeness = right @ pool.T
    count = len(made)
    hidden = torch.zeros_like(likeness, dtype=torch.bool)
    hidden[:, count : 2 * count] = ~has_wrong[None, :]
    own = torch.arange(count)
    wanted = (likeness / TARGET_TEMPERATURE).masked_fill(hidden, -1e4)
    wanted[own, own + count] = -1e4
    target = wanted.softmax(1)
    scores = (made @ pool.T * scale.exp()).masked_fill(hidden, -1e4)
    crossed = -(target * scores.log_softmax(1)).sum(1).mean()
    back = (made @ right.T * scale.exp()).T.log_softmax(1)
    backward = -((right @ right.T / TARGET_TEMPERATURE).softmax(1) * back).sum(1).mean()
    return crossed + backward + 0.5 * (1 - (made * right).sum(1).mean())


class Average:
    """The running mean of the parameters over the last half of a run."""

    def __init__(self, tower: DrawingTower) -> None:
        self.values = [parameter.detach().clone() for parameter in tower.parameters()]
        self.count = 0

    def add(self, tower: DrawingTower) -> None:
        """Take the present parameters into the mean."""
        self.count += 1
        for mean, parameter in zip(self.values, tower.parameters(), strict=True):
            mean += (parameter.detach() - mean) / self.count

    def put(self, tower: DrawingTower) -> None:
        """Overwrite the parameters by the mean, if there is one."""
        if self.count:
            with torch.no_grad():
                for mean, parameter in zip(self.values, tower.parameters(), strict=True):
                    parameter.copy_(mean)


def _optimiser(tower: DrawingTower, head_only: bool) -> torch.optim.AdamW:
    head = [*tower.inner.parameters(), *tower.outer.parameters(), tower.scale]
    groups = [{"params": head, "peak": 1e-3 if head_only else 6e-4}]
    if not head_only:
        blocks = [parameter for parameter in tower.tensors if parameter.requires_grad]
        groups.append({"params": blocks, "peak": 4e-4})
    return torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.01)


def fit(
    tower: DrawingTower, shards: Shards, steps: int, head_only: bool, seed: int = 0, minutes: float = math.inf
) -> None:
    """Run `steps` batches, or those that fit into `minutes`.

    The rate rises for 100 steps and falls along a half cosine of the steps or the time, whichever is
    further on.
    """
    optimiser, average = _optimiser(tower, head_only), Average(tower)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(shards))
    tower.train()
    begun, shown = time.monotonic(), 0.0
    for step in range(steps):
        spent = time.monotonic() - begun
        share = max(step / steps, spent / (60 * minutes))
        if share >= 1:
            break
        rate = min((step + 1) / 100, 0.5 + 0.5 * math.cos(math.pi * share))
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * max(rate, 0.02)
        if len(order) < BATCH:
            order = rng.permutation(len(shards))
        rows, order = order[:BATCH], order[BATCH:]
        names = shards.names[torch.from_numpy(rng.integers(0, len(shards.names), NAMES))]
        with torch.set_grad_enabled(not head_only):
            features = tower.features(shards.batch(rows))
        made = tower.head(features)
        lost = loss(made, shards.right[rows], shards.wrong[rows], shards.has_wrong[rows], names, tower.scale)
        optimiser.zero_grad(set_to_none=True)
        lost.backward()
        optimiser.step()
        if share > 0.5 and step % 5 == 0:
            average.add(tower)
        shown = lost.item() if step == 0 else 0.98 * shown + 0.02 * lost.item()
        if step % 50 == 0:
            print(f"tune: step {step} of {steps}, loss {shown:.4f}, {spent:.0f} s", flush=True)
    average.put(tower)
    tower.eval()


def run(work: Path, head_steps: int, steps: int, minutes: float) -> None:
    """Tune and write `work/draw.safetensors`.

    The first run begins at the published network, with the head alone; each further run goes on
    from the last one (`work/tuned.pt`), with the shards that there are by then.
    """
    torch.manual_seed(0)
    text = TextTower(Weights(work / "text.safetensors"), (work / "vocabulary.txt").read_bytes())
    shards, tower, kept = Shards(work / "shards", text), DrawingTower(text.dim), work / "tuned.pt"
    if kept.is_file():
        tower.load_state_dict(torch.load(kept, weights_only=True))
    else:
        fit(tower, shards, head_steps, head_only=True)
    if steps:
        fit(tower, shards, steps, head_only=False, seed=len(shards), minutes=minutes)
    torch.save(tower.state_dict(), kept)
    packing.write(tower.export(), {}, work / "draw.safetensors")
