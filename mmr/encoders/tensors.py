"""Read a safetensors file without the library: mapped, so that only the pages that are used are read.

Layout (https://github.com/huggingface/safetensors): 8 bytes of little-endian length, a JSON header, then
the tensors. Mapping costs 1 ms; importing the library 50.
"""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmr.errors import BadDataError, shown

if TYPE_CHECKING:
    import numpy as np

DTYPES = {"F32": "<f4", "F16": "<f2", "I8": "i1", "U8": "u1"}
LARGEST_HEADER = 100_000_000  # the format's own bound


class Tensors:
    """A mapped file of tensors. Raises `BadDataError` for one that is cut off or no safetensors file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise self._damaged("it is empty") from error
        length = int.from_bytes(self._map[:8], "little")
        self.start = 8 + length
        if len(self._map) < 8 or length > min(LARGEST_HEADER, len(self._map) - 8):
            raise self._damaged("its header is cut off")
        try:
            self._places: dict[str, Any] = json.loads(self._map[8 : self.start])
            self.metadata: dict[str, str] = self._places.pop("__metadata__", {})
            ends = [place["data_offsets"][1] for place in self._places.values()]
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise self._damaged("its header cannot be read") from error
        if self.start + max(ends, default=0) != len(self._map):
            raise self._damaged("it has not the length that its header says")

    def _damaged(self, why: str) -> BadDataError:
        return BadDataError(f"{shown(str(self.path))} holds no weights: {why}")

    def names(self) -> list[str]:
        """The tensors' names, sorted."""
        return sorted(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of one tensor; raises `BadDataError` where it is not there."""
        return tuple(self._place(name)["shape"])

    def data(self) -> memoryview:
        """All bytes after the header."""
        return memoryview(self._map)[self.start :]

    def get(self, name: str) -> np.ndarray:
        """Map one tensor, read-only, as it is stored; raises `BadDataError` where it is not there."""
        import numpy as np

        place = self._place(name)
        try:
            dtype = np.dtype(DTYPES[place["dtype"]])
            begin, end = place["data_offsets"]
            count = (end - begin) // dtype.itemsize
            flat = np.frombuffer(self._map, dtype, count, self.start + begin)
            return flat.reshape(place["shape"])
        except (KeyError, ValueError, TypeError) as error:
            raise self._damaged(f"the tensor {shown(name)} is of a form that is not read") from error

    def _place(self, name: str) -> dict[str, Any]:
        try:
            return dict(self._places[name])
        except KeyError:
            raise self._damaged(f"it lacks the tensor {shown(name)}") from None
