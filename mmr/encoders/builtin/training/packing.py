"""Round tensors as the weights file stores them, and write that file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmr.encoders.builtin.weights import FloatArray

Stored = npt.NDArray[Any]


def stored(name: str, array: FloatArray) -> dict[str, Stored]:
    """Pick the stored form: matrices int8 with a scale a column, filters float16, the rest float32."""
    if name.endswith("filter.weight") or name.startswith("gate.") or array.ndim == 1:
        return {name: array.astype(np.float16 if array.ndim == 2 else np.float32)}
    scale = np.maximum(np.abs(array).max(0) / 127, 1e-12).astype(np.float32)
    return {name: np.clip(np.rint(array / scale), -127, 127).astype(np.int8), f"{name}.scale": scale}


def rounded(tensors: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Give float32 tensors the values that they will have once stored and read again."""
    out: dict[str, FloatArray] = {}
    for name, array in tensors.items():
        form = stored(name, array)
        value = form[name].astype(np.float32)
        out[name] = value * form[f"{name}.scale"] if f"{name}.scale" in form else value
    return out


def write(tensors: Mapping[str, Stored], metadata: dict[str, str], path: Path) -> None:
    """Write one safetensors file."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path, metadata)
