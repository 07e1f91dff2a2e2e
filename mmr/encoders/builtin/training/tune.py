"""Stage `tune`: teach the drawing tower to put pictures where the text table puts their captions.

First the head alone learns on the published features, then the late blocks with it. Only 1x1
convolutions are tuned; the filters stay (their gradients are what costs time).
Loss: cross-entropy over captions, equal or near captions sharing the target (softmax of text
cosines), a wrong caption of the same picture never; plus 0.5 (1 - cosine); plus, of two pictures of
the same thing in two styles, the cross-entropy of finding one by the other among the pictures of
this batch and of the batches before it.
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
STYLES_WEIGHT = 0.6
REMEMBERED = 4096  # pictures of earlier batches that a picture's other style must beat
CHECKED = 2048  # samples of the first shard that are never trained on, and judge the run
CHECK_EVERY, PATIENCE = 200, 8  # steps; checks without a better loss before a run ends
SAVE_EVERY = 180.0  # seconds


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
        self.style_scale = nn.Parameter(torch.tensor(3.0))

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
    """The samples, mapped from their files, with the vectors of their captions.

    Row r is row r % 4096 of the file r // 4096 in the order in which the files were found.
    """

    def __init__(self, folder: Path, text: TextTower) -> None:
        self._folder, self._text = folder, text
        self._seen: set[int] = set()
        self._things: dict[str, int] = {"": -1}
        self.early: list[FloatArray] = []
        self.right = torch.empty(0, text.dim)
        self.wrong = torch.empty(0, text.dim)
        self.has_wrong = torch.empty(0, dtype=torch.bool)
        self.things = torch.empty(0, dtype=torch.long)
        self.refresh()

    def refresh(self) -> None:
        """Take in the shards that were made since the last time."""
        for path in sorted(self._folder.glob("*.json"), key=lambda path: int(path.stem)):
            if int(path.stem) in self._seen:
                continue
            self._seen.add(int(path.stem))
            self.early.append(np.load(path.with_suffix(".npy"), mmap_mode="r"))
            rows = [(*row, "")[:3] for row in json.loads(path.read_text("utf8"))]
            right, wrong, things = zip(*rows, strict=True)
            numbers = [self._things.setdefault(thing, len(self._things) - 1) for thing in things]
            listed = sorted({*right, *wrong})
            place, rows_of = {text: i for i, text in enumerate(listed)}, self._text.encode(listed)
            right_rows, wrong_rows = (
                torch.from_numpy(rows_of[[place[text] for text in part]]) for part in (right, wrong)
            )
            self.right = torch.cat([self.right, right_rows])
            self.wrong = torch.cat([self.wrong, wrong_rows])
            self.has_wrong = torch.cat([self.has_wrong, torch.tensor([bool(text) for text in wrong])])
            self.things = torch.cat([self.things, torch.tensor(numbers)])

    def __len__(self) -> int:
        return len(self.right)

    def order(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Shuffle all rows but the checked ones, two of a thing side by side."""
        pairs = rng.permutation(np.arange(CHECKED // 2, len(self) // 2))
        return (2 * pairs[:, None] + np.arange(2)).reshape(-1)

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


def style_loss(
    made: torch.Tensor, things: torch.Tensor,
    past: torch.Tensor, past_things: torch.Tensor, scale: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Find each picture's other style: rows 2i and 2i + 1 of (n, d), among them and (m, d) others.

    A picture that shows no named thing (-1) is sought by none; further pictures of the same thing
    do not count.
    """
    pool, everything = torch.cat([made, past]), torch.cat([things, past_things])
    own = torch.arange(len(made))
    other = own ^ 1
    hidden = things[:, None] == everything[None, :]
    hidden[own, other] = False
    hidden[own, own] = True
    asked = things >= 0
    scores = (made @ pool.T * scale.exp()).masked_fill(hidden, -1e4)
    return functional.cross_entropy(scores[asked], other[asked]) if asked.any() else made.sum() * 0


class Memory:
    """The vectors of the last pictures, and what they show."""

    def __init__(self, dim: int) -> None:
        self.rows, self.things = torch.empty(0, dim), torch.empty(0, dtype=torch.long)

    def add(self, rows: torch.Tensor, things: torch.Tensor) -> None:
        """Put a batch in front, and forget what is too old."""
        self.rows = torch.cat([rows.detach(), self.rows])[:REMEMBERED]
        self.things = torch.cat([things, self.things])[:REMEMBERED]


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
    scales = [tower.scale, tower.style_scale]
    head = [*tower.inner.parameters(), *tower.outer.parameters(), *scales]
    groups = [{"params": head, "peak": 1e-3 if head_only else 6e-4}]
    if not head_only:
        blocks = [parameter for parameter in tower.tensors if parameter.requires_grad]
        groups.append({"params": blocks, "peak": 4e-4})
    return torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.01)


def check(tower: DrawingTower, shards: Shards) -> float:
    """Give the loss on the samples that are never trained on."""
    tower.eval()
    lost: list[float] = []
    with torch.inference_mode():
        names = shards.right[CHECKED : CHECKED + NAMES]
        for start in range(0, CHECKED, BATCH):
            rows = np.arange(start, start + BATCH)
            made = tower.head(tower.features(shards.batch(rows)))
            captions = shards.right[rows], shards.wrong[rows], shards.has_wrong[rows]
            none = made[:0], shards.things[:0]
            styles = style_loss(made, shards.things[rows], *none, tower.style_scale)
            lost.append(float(loss(made, *captions, names, tower.scale) + STYLES_WEIGHT * styles))
    tower.train()
    return sum(lost) / len(lost)


def fit(
    tower: DrawingTower, shards: Shards, steps: int, head_only: bool, seed: int = 0,
    minutes: float = math.inf, kept: Path | None = None,
) -> None:  # fmt: skip
    """Run `steps` batches, or those that fit into `minutes`; less when the checked loss stops falling.

    The rate rises for 100 steps and falls along a half cosine of the steps or the time, whichever is
    further on. A run whose state is in the file `kept` goes on from there; shards that were made
    meanwhile join at each pass.
    """
    optimiser, average, memory = _optimiser(tower, head_only), Average(tower), Memory(shards.right.shape[1])
    first, earlier, best, worse = 0, 0.0, math.inf, 0
    if kept and kept.is_file():
        state = torch.load(kept, weights_only=True)
        tower.load_state_dict(state["tower"])
        optimiser.load_state_dict(state["optimiser"])
        average.values, average.count = state["average"], state["count"]
        first, earlier, best, worse = state["step"], state["spent"], state["best"], state["worse"]
    rng = np.random.default_rng([seed, first])
    order = shards.order(rng)
    tower.train()
    begun, shown, saved = time.monotonic(), np.zeros(2), time.monotonic()
    for step in range(first, steps):
        spent = earlier + time.monotonic() - begun
        share = max(step / steps, spent / (60 * minutes))
        if share >= 1 or worse >= PATIENCE:
            break
        rate = min((step + 1) / 100, 0.5 + 0.5 * math.cos(math.pi * share))
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * max(rate, 0.02)
        if len(order) < BATCH:
            shards.refresh()
            order = shards.order(rng)
        rows, order = order[:BATCH], order[BATCH:]
        names = shards.right[torch.from_numpy(rng.integers(CHECKED, len(shards), NAMES))]
        with torch.set_grad_enabled(not head_only):
            features = tower.features(shards.batch(rows))
        made = tower.head(features)
        lost = loss(made, shards.right[rows], shards.wrong[rows], shards.has_wrong[rows], names, tower.scale)
        things = shards.things[rows]
        styles = style_loss(made, things, memory.rows, memory.things, tower.style_scale)
        memory.add(made, things)
        optimiser.zero_grad(set_to_none=True)
        (lost + STYLES_WEIGHT * styles).backward()
        optimiser.step()
        if share > 0.5 and step % 5 == 0:
            average.add(tower)
        now = np.array([lost.item(), styles.item()])
        shown = now if step == first else 0.98 * shown + 0.02 * now
        if step % 50 == 0:
            print(
                f"tune: step {step} of {steps}, loss {shown[0]:.4f} + {STYLES_WEIGHT} x {shown[1]:.4f}, "
                f"{len(shards)} samples, {spent:.0f} s",
                flush=True,
            )
        if step % CHECK_EVERY == CHECK_EVERY - 1:
            checked = check(tower, shards)
            best, worse = min(best, checked), 0 if checked < best else worse + 1
            print(f"tune: step {step}, checked loss {checked:.4f}", flush=True)
        if kept and time.monotonic() - saved > SAVE_EVERY:
            saved = time.monotonic()
            state = {
                "tower": tower.state_dict(), "optimiser": optimiser.state_dict(), "average": average.values,
                "count": average.count, "step": step + 1, "spent": spent, "best": best, "worse": worse,
            }  # fmt: skip
            torch.save(state, kept.with_suffix(".part"))
            kept.with_suffix(".part").rename(kept)
    average.put(tower)
    tower.eval()


def run(work: Path, head_steps: int, steps: int, minutes: float) -> None:
    """Tune and write `work/draw.safetensors`.

    The first run begins at the published network, with the head alone; each further run goes on
    from the last one (`work/tuned.pt`), with the shards that there are by then. A run that was
    stopped goes on where it was (`work/tuning.pt`).
    """
    torch.manual_seed(0)
    text = TextTower(Weights(work / "text.safetensors"), (work / "vocabulary.txt").read_bytes())
    shards, tower = Shards(work / "shards", text), DrawingTower(text.dim)
    kept, stopped = work / "tuned.pt", work / "tuning.pt"
    if kept.is_file():
        tower.load_state_dict(torch.load(kept, weights_only=True), strict=False)
    elif not stopped.is_file():
        fit(tower, shards, head_steps, head_only=True)
    if steps:
        fit(tower, shards, steps, head_only=False, seed=len(shards), minutes=minutes, kept=stopped)
    torch.save(tower.state_dict(), kept)
    stopped.unlink(missing_ok=True)
    packing.write(tower.export(), {}, work / "draw.safetensors")
