"""Stage `samples`, second half: the samples' early features, in numbered shards.

The stem and the first blocks stay as published, so their output is computed once and kept:
`N.npy` is (4096, 8, 8, 80) float16, `N.json` the captions, the wrong captions and the things.
Rows 2i and 2i + 1 show the same thing, where it has a name.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import torch

from mmr.encoders.builtin.architecture import PIXEL_MEAN, PIXEL_SCALE

from . import network, packing
from .pixels import Pixels
from .samples import Studio

SHARD = 4096
BATCH = 16


class Early:
    """The shared part of the network with the rounded weights that ship.

    In float32, as inference has it: bfloat16 would be 7 % off, and a tower tuned on that loses a point
    of R@10 when it meets the real thing.
    """

    def __init__(self) -> None:
        self._tensors = network.as_torch(packing.rounded(network.folded()))

    def __call__(self, pictures: Pixels) -> torch.Tensor:
        """Compute (n, 128, 128, 3) uint8 → (n, 80, 8, 8) float32."""
        x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
        x = ((x - PIXEL_MEAN) / PIXEL_SCALE).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return network.early(self._tensors, x)


def make(work: Path, photographs: Path | None, count: int) -> None:
    """Make shards 0 to `count` - 1; those that exist stay. Shard N is the same whenever it is made."""
    folder = work / "shards"
    folder.mkdir(exist_ok=True)
    studio, early = Studio(work, photographs), Early()
    for number in range(count):
        if (folder / f"{number}.json").is_file():
            continue
        rng = random.Random(1000 + number)
        features = np.empty((SHARD, 8, 8, 80), np.float16)
        captions: list[tuple[str, str, str]] = []
        for start in range(0, SHARD, BATCH):
            samples = [sample for _ in range(BATCH // 2) for sample in studio.pair(rng)]
            captions += [(sample.caption, sample.wrong, sample.thing) for sample in samples]
            made = early(np.stack([sample.picture for sample in samples]))
            features[start : start + BATCH] = made.permute(0, 2, 3, 1).numpy()
        np.save(folder / f"{number}.npy", features)
        (folder / f"{number}.json").write_text(json.dumps(captions), encoding="utf8")
        print(f"samples: shard {number + 1} of {count}", flush=True)
