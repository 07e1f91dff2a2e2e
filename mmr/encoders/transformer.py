"""CLIP's transformer in NumPy: the blocks that its text towers and plain ViT image towers share.

Pre-norm residual blocks as in Radford et al., 2021, with the tensors' names and layout of open_clip. Arrays
are float32. Weights are used as they are mapped; an int8 matrix has a scale a row and is cast when used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
BLOCK = 32_768  # numbers that GELU works on at a time: they stay in the cache
ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
ERF_P = 0.3275911


class Matrix(NamedTuple):
    """The weight of a linear layer: values (out, in) float32, or int8 with scale (out,) float32."""

    values: npt.NDArray[np.float32] | npt.NDArray[np.int8]
    scale: Floats | None = None

    def applied(self, x: Floats, bias: Floats | None) -> Floats:
        """Return x @ values.T + bias: (..., in) → (..., out)."""
        flat = x.reshape(-1, x.shape[-1])
        product: Floats = flat @ self.values.astype(np.float32, copy=False).T
        if self.scale is not None:
            product *= self.scale
        if bias is not None:
            product += bias
        shaped: Floats = product.reshape(*x.shape[:-1], product.shape[-1])
        return shaped

    def part(self, first: int, last: int) -> Matrix:
        """The rows from `first` up to `last`: the layer that gives these outputs alone."""
        scale = None if self.scale is None else self.scale[first:last]
        return Matrix(self.values[first:last], scale)


class Norm(NamedTuple):
    """A layer norm: weight (w,), bias (w,), and what is added to the variance."""

    weight: Floats
    bias: Floats
    epsilon: float

    def applied(self, x: Floats) -> Floats:
        """Return x with mean 0 and variance 1 along its last axis, then scaled and moved."""
        centred: Floats = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        centred /= np.sqrt(variance + np.float32(self.epsilon))
        centred *= self.weight
        centred += self.bias
        return centred


class Block(NamedTuple):
    """One residual block: attention over w channels, then a perceptron of one hidden layer."""

    norm_1: Norm
    into: Matrix
    into_bias: Floats
    out: Matrix
    out_bias: Floats
    norm_2: Norm
    up: Matrix
    up_bias: Floats
    down: Matrix
    down_bias: Floats


def gelu(x: Floats) -> None:
    """Replace x by x·Φ(x), in place; Φ by formula 7.1.26 of Abramowitz and Stegun, error at most 3.3e-7.

    With z = |x|/√2, t = 1/(1 + p·z) and h = (a1·t + ... + a5·t⁵)·exp(-z²)/2, it is max(x, 0) - |x|·h.
    """
    flat = x.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        part = flat[start : start + BLOCK]
        size = np.abs(part)
        z = size * np.float32(0.5**0.5)
        t = 1 / (1 + np.float32(ERF_P) * z)
        h = np.full_like(t, ERF[-1])
        for factor in reversed(ERF[:-1]):
            h *= t
            h += np.float32(factor)
        h *= t
        h *= np.exp(-z * z)
        h *= np.float32(0.5)
        h *= size
        np.maximum(part, 0, out=part)
        part -= h


def gelu_tanh(x: Floats) -> None:
    """Replace x by the tanh form of GELU (Hendrycks and Gimpel, 2016), in place."""
    flat = x.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        part = flat[start : start + BLOCK]
        inner = part + np.float32(0.044715) * (part * part * part)
        inner *= np.float32((2 / np.pi) ** 0.5)
        np.tanh(inner, out=inner)
        inner += 1
        inner *= np.float32(0.5)
        part *= inner


def quick_gelu(x: Floats) -> None:
    """Replace x by x / (1 + exp(-1.702 x)), in place: the form of OpenAI's weights."""
    flat = x.reshape(-1)
    with np.errstate(over="ignore"):
        for start in range(0, flat.size, BLOCK):
            part = flat[start : start + BLOCK]
            part /= 1 + np.exp(np.float32(-1.702) * part)


ACTIVATIONS: dict[str, Callable[[Floats], None]] = {
    "gelu": gelu, "gelu_tanh": gelu_tanh, "quick_gelu": quick_gelu,
}  # fmt: skip


def attended(q: Floats, k: Floats, v: Floats, heads: int, causal: bool) -> Floats:
    """Return softmax(q·kᵀ/√d)·v for each head: q (n, a, w), k and v (n, b, w) → (n, a, w).

    causal  position i sees positions 0 to i; needs a = b
    """
    n, count, width = q.shape
    deep = width // heads
    deep_q, deep_k, deep_v = (each.reshape(n, -1, heads, deep).transpose(0, 2, 1, 3) for each in (q, k, v))
    deep_q = deep_q * np.float32(deep**-0.5)
    scores: Floats = deep_q @ deep_k.transpose(0, 1, 3, 2)
    if causal:
        scores += np.triu(np.full(scores.shape[2:], -np.inf, np.float32), 1)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    found: Floats = (scores @ deep_v).transpose(0, 2, 1, 3).reshape(n, count, width)
    return found


def perceptron(x: Floats, block: Block, bend: Callable[[Floats], None]) -> Floats:
    """Return x with the block's second half added to it; x (..., w) is changed."""
    hidden = block.up.applied(block.norm_2.applied(x), block.up_bias)
    bend(hidden)
    x += block.down.applied(hidden, block.down_bias)
    return x


def whole_block(x: Floats, block: Block, heads: int, causal: bool, bend: Callable[[Floats], None]) -> Floats:
    """Run a block at every position: x (n, l, w), which is changed, → (n, l, w)."""
    width = x.shape[-1]
    qkv = block.into.applied(block.norm_1.applied(x), block.into_bias)
    q, k, v = (qkv[..., start : start + width] for start in (0, width, 2 * width))
    x += block.out.applied(attended(q, k, v, heads, causal), block.out_bias)
    return perceptron(x, block, bend)


def block_at(
    x: Floats, rows: Rows, block: Block, heads: int, causal: bool, bend: Callable[[Floats], None]
) -> Floats:
    """Run a block and return one position of each item: x (n, l, w), rows (n,) → (n, w).

    The other positions give keys and values alone, which is a third of the work.
    """
    n, width = x.shape[0], x.shape[-1]
    ready = block.norm_1.applied(x)
    kv = block.into.part(width, 3 * width).applied(ready, block.into_bias[width:])
    at = np.arange(n)
    q = block.into.part(0, width).applied(ready[at, rows][:, None], block.into_bias[:width])
    found: Floats = np.empty((n, width), np.float32)
    for one in range(n):
        seen = int(rows[one]) + 1 if causal else x.shape[1]
        k, v = kv[one : one + 1, :seen, :width], kv[one : one + 1, :seen, width:]
        found[one] = attended(q[one : one + 1], k, v, heads, False)[0, 0]
    picked: Floats = x[at, rows] + block.out.applied(found, block.out_bias)
    return perceptron(picked, block, bend)


def run(
    x: Floats, blocks: list[Block], heads: int, causal: bool, bend: Callable[[Floats], None],
    rows: Rows | None,
) -> Floats:  # fmt: skip
    """Run all blocks over x (n, l, w), which is changed.

    rows     (n,): return (n, w), the last block's output at one position of each item; None: (n, l, w)
    returns  before any final norm
    """
    for block in blocks[: len(blocks) if rows is None else -1]:
        x = whole_block(x, block, heads, causal, bend)
    return x if rows is None else block_at(x, rows, blocks[-1], heads, causal, bend)
