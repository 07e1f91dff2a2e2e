"""EfficientNet-Lite0 in NumPy: 1x1 convolutions are matrix products, filters are shifted sums."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .architecture import BLOCKS, SHARED_BLOCKS, Block
from .weights import Weights

FloatArray = npt.NDArray[np.float32]


def relu6(x: FloatArray) -> FloatArray:
    """Clip to 0..6, in place."""
    return np.clip(x, np.float32(0), np.float32(6), out=x)


def pointwise(x: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    """1x1 convolution: (n, h, w, in), (in, out), (out,) → (n, h, w, out)."""
    flat = x.reshape(-1, x.shape[-1]) @ weight
    flat += bias
    return flat.reshape(*x.shape[:-1], weight.shape[1])


def padded(x: FloatArray, before: int, after: int) -> FloatArray:
    """Put zeros around height and width: (n, h, w, c) → (n, h + before + after, ...)."""
    n, height, width, channels = x.shape
    wide = np.zeros((n, height + before + after, width + before + after, channels), np.float32)
    wide[:, before : before + height, before : before + width] = x
    return wide


def filtered(x: FloatArray, block: Block, weight: FloatArray, bias: FloatArray) -> FloatArray:
    """Depthwise convolution: (n, h, w, c), (k*k, c), (c,) → (n, h/stride, w/stride, c)."""
    kernel, stride = block.kernel, block.stride
    height, width = x.shape[1] // stride, x.shape[2] // stride
    wide = padded(x, *block.padding)
    out = np.empty((x.shape[0], height, width, x.shape[3]), np.float32)
    out[:] = bias
    product = np.empty_like(out)
    for tap in range(kernel * kernel):
        y, x_start = divmod(tap, kernel)
        part = wide[:, y : y + stride * height : stride, x_start : x_start + stride * width : stride]
        np.multiply(part, weight[tap], out=product)
        out += product
    return out


def stem(pictures: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    """First convolution, 3x3 with stride 2: (n, 128, 128, 3), (27, 32) → (n, 64, 64, 32)."""
    n, height, width = pictures.shape[0], pictures.shape[1] // 2, pictures.shape[2] // 2
    wide = padded(pictures, 0, 1)
    taps = np.empty((n, height, width, 27), np.float32)
    for tap in range(9):
        y, x = divmod(tap, 3)
        taps[..., 3 * tap : 3 * tap + 3] = wide[:, y : y + 2 * height : 2, x : x + 2 * width : 2]
    return pointwise(taps, weight, bias)


class Network:
    """The blocks of one tower, `first` up to `last`; tensors are read when it is made."""

    def __init__(self, weights: Weights, tower: str, first: int, last: int) -> None:
        self._range = range(first, last)
        mine = [name for name in weights.names() if name.startswith(tower + ".")]
        self._tensors = {
            name.removeprefix(tower + "."): weights.matrix(name)
            for name in mine
            if not name.endswith(".scale")
        }

    def layer(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Give a layer's weight and bias."""
        return self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]

    def blocks(self, x: FloatArray) -> FloatArray:
        """Run the inverted bottlenecks."""
        for number in self._range:
            block = BLOCKS[number]
            inner = x
            if block.widen > 1:
                inner = relu6(pointwise(x, *self.layer(f"{number}.widen")))
            inner = relu6(filtered(inner, block, *self.layer(f"{number}.filter")))
            inner = pointwise(inner, *self.layer(f"{number}.narrow"))
            if block.stride == 1 and block.inputs == block.outputs:
                inner += x
            x = inner
        return x

    def early(self, pictures: FloatArray) -> FloatArray:
        """Run the stem and the blocks, picture by picture: (n, 128, 128, 3) → (n, 8, 8, 80).

        Other even sides do too: 224 gives (n, 14, 14, 80).
        """
        weight, bias = self.layer("stem")
        rows = [self.blocks(relu6(stem(picture[None], weight, bias))) for picture in pictures]
        return np.concatenate(rows)

    def last(self, x: FloatArray) -> FloatArray:
        """Run the blocks and the head convolution: (n, 8, 8, 80) → features of patches (n, 4, 4, 1280)."""
        return relu6(pointwise(self.blocks(x), *self.layer("head")))

    def late(self, x: FloatArray) -> FloatArray:
        """Run the blocks and the head convolution: (n, 8, 8, 80) → pooled features (n, 1280)."""
        pooled: FloatArray = self.last(x).mean((1, 2))
        return pooled


def shared_network(weights: Weights) -> Network:
    """Make the part that drawings and photographs share."""
    return Network(weights, "shared", 0, SHARED_BLOCKS)


def late_network(weights: Weights, tower: str) -> Network:
    """Make the part of one tower: `draw` (tuned on drawings) or `photo` (as published)."""
    return Network(weights, tower, SHARED_BLOCKS, len(BLOCKS))
