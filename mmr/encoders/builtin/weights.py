"""Read the packed weights: one safetensors file, memory-mapped, tensors made when asked for.

Layout (https://github.com/huggingface/safetensors): 8 bytes little-endian length, a JSON header,
then the tensors. The library itself is not used: mapping takes less time than importing it.
"""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .architecture import PREPROCESSING

FloatArray = npt.NDArray[np.floating[Any]]
DTYPES = {"I8": np.int8, "U8": np.uint8, "F16": np.float16, "F32": np.float32}


def shipped(name: str) -> Path:
    """Give the path of a file that ships beside this module."""
    return Path(__file__).with_name(name)


class Weights:
    """A mapped weights file. `tensor` gives a read-only view as stored, `matrix` float32 values."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        length = int.from_bytes(self._map[:8], "little")
        header: dict[str, Any] = json.loads(self._map[8 : 8 + length])
        self.metadata: dict[str, str] = header.pop("__metadata__", {})
        self._places = header
        self._start = 8 + length

    def names(self) -> list[str]:
        """List the tensors' names, sorted."""
        return sorted(self._places)

    def tensor(self, name: str) -> npt.NDArray[Any]:
        """Map one tensor, without reading it."""
        place = self._places[name]
        begin, end = place["data_offsets"]
        dtype = np.dtype(DTYPES[place["dtype"]])
        flat = np.frombuffer(self._map, dtype, (end - begin) // dtype.itemsize, self._start + begin)
        return flat.reshape(place["shape"])

    def matrix(self, name: str) -> npt.NDArray[np.float32]:
        """Read one tensor as float32; an int8 matrix (in, out) is scaled by `NAME.scale` (out,)."""
        stored = self.tensor(name)
        if stored.dtype == np.int8:
            scaled: npt.NDArray[np.float32] = stored * self.tensor(f"{name}.scale").astype(np.float32)
            return scaled
        return stored.astype(np.float32)


def fingerprint(weights: Weights, vocabulary: bytes) -> str:
    """Hash weights, tokenizer and preprocessing: 12 hex digits.

    The export stores it in the file's metadata, so that loading need not read 16 MB.
    """
    import hashlib  # not needed to encode

    digest = hashlib.sha256(f"{PREPROCESSING}\n{weights.metadata.get('rules', '')}\n".encode())
    digest.update(vocabulary)
    for name in weights.names():
        tensor = weights.tensor(name)
        digest.update(f"{name} {tensor.dtype.str} {tensor.shape}\n".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()[:12]
