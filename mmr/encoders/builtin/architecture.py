"""EfficientNet-Lite0, batch norm folded: the shapes that inference and training share.

Source: Tan and Le, EfficientNet, 2019; the "lite" variant drops squeeze-and-excite and uses ReLU6.
"""

from __future__ import annotations

from typing import NamedTuple

SIDE = 128  # pixels; pictures are squeezed to a square of this side
PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0  # the network's own preprocessing: (pixel - 127) / 128
FEATURES = 1280
SHARED_BLOCKS = 8  # the stem and these first blocks serve drawings and photographs alike
PREPROCESSING = "rgb on white, bicubic to 128x128 and larger for photographs, (pixel - 127) / 128"

STAGES = (  # kernel, stride of the first block, widening, output channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class Block(NamedTuple):
    """One inverted bottleneck: widen, filter each channel with a kernel x kernel window, narrow."""

    kernel: int
    stride: int
    widen: int
    inputs: int
    outputs: int

    @property
    def inner(self) -> int:
        """Channels of the filter step."""
        return self.inputs * self.widen

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros before and after each side; uneven where the stride is 2, as in the trained network."""
        total = self.kernel - self.stride
        return total // 2, total - total // 2


def _blocks() -> tuple[Block, ...]:
    made: list[Block] = []
    inputs = 32
    for kernel, stride, widen, outputs, repeats in STAGES:
        for repeat in range(repeats):
            made.append(Block(kernel, 1 if repeat else stride, widen, inputs, outputs))
            inputs = outputs
    return tuple(made)


BLOCKS = _blocks()
