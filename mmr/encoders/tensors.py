"""Read and write safetensors files without the library: mapped, so that only used pages are read.

Layout (https://github.com/huggingface/safetensors): 8 bytes of little-endian length, a JSON header, then
the tensors. Mapping costs 1 ms; importing the library 50.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmr.errors import BadDataError, shown
from mmr.stream.files import whole_file

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
            ends = [checked(place) for place in self._places.values()]
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


def checked(place: Any) -> int:
    """Where the data of one tensor of a header end; raises `ValueError` for an entry of another form."""
    begin, end = place["data_offsets"]
    numbers = [begin, end, *place["shape"]]
    if len(place) != 3 or not all(type(number) is int and number >= 0 for number in numbers) or begin > end:
        raise ValueError("an entry is of another form")
    if not isinstance(place["dtype"], str):
        raise TypeError("a type is no word")
    return int(end)


class Arrays:
    """Tensors in memory, read like those of a file."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = arrays

    def names(self) -> list[str]:
        """The tensors' names, sorted."""
        return sorted(self._arrays)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of one tensor; raises `BadDataError` where it is not there."""
        return self.get(name).shape

    def get(self, name: str) -> np.ndarray:
        """One tensor; raises `BadDataError` where it is not there."""
        try:
            return self._arrays[name]
        except KeyError:
            raise BadDataError(f"there is no tensor {shown(name)}") from None


def ordered(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays as they follow one another in a file: wide types first, so that each lies aligned."""
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    return {name: arrays[name] for name in names}


def data_of(arrays: Mapping[str, np.ndarray]) -> Iterator[memoryview]:
    """The data that a file of these arrays has after its header, in pieces."""
    for array in ordered(arrays).values():
        if array.size:
            yield array.data.cast("B")


def write(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write C-contiguous arrays of float32, float16, int8 or uint8; `path` is seen whole or not at all."""
    kinds = {np_name: name for name, np_name in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, array in ordered(arrays).items():
        kind = kinds[array.dtype.str.replace("|", "")]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    words = json.dumps(header).encode()
    words += b" " * (-len(words) % 8)
    with whole_file(path) as file:
        file.write(len(words).to_bytes(8, "little") + words)
        for piece in data_of(arrays):
            file.write(piece)
