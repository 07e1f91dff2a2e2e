"""Vectors in JSON: numbers or base64 in, float32 arrays out. Imported when the first one is met."""

from __future__ import annotations

from binascii import a2b_base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.stream.records import kind

Vectors = NDArray[np.float32]
all_of = np.logical_and.reduce  # what .all() calls, without its detour through Python


def vector(value: Any, name: str) -> Vectors:
    """Return one vector (d,) of finite float32, d at least 1, from a list of numbers or a base64 string.

    Raises `ValueError`, whose words name the field.
    """
    if type(value) is str:
        array = _from_base64(value, name)
    elif type(value) is list:
        array = _from_numbers(value, name)
    else:
        raise ValueError(f'"{name}" is {kind(value)}, not numbers or base64')
    if not all_of(np.isfinite(array)):
        raise ValueError(f'"{name}" holds a number that float32 cannot (infinite, or not a number)')
    return array


def rows(value: Any, name: str) -> Vectors:
    """Return several vectors (n, d), n at least 1, from a list of what `vector` takes."""
    if type(value) is not list or not value:
        raise ValueError(f'"{name}" is {kind(value)}, not a list of vectors')
    found = [vector(row, f"{name}[{i}]") for i, row in enumerate(value)]
    if len({len(row) for row in found}) > 1:
        raise ValueError(f'"{name}" mixes vectors of {len(found[0])} and other dimensions')
    return np.stack(found)


def one_or_rows(value: Any, name: str) -> Vectors:
    """Return (d,) or (k, d), as the value is one vector or a list of them."""
    several = type(value) is list and bool(value) and isinstance(value[0], list | str)
    return rows(value, name) if several else vector(value, name)


def _from_base64(value: str, name: str) -> Vectors:
    try:
        data = a2b_base64(value, strict_mode=True)
    except ValueError:
        raise ValueError(f'"{name}" is a string, but not base64') from None
    if not data or len(data) % 4:
        raise ValueError(f'"{name}" is base64 of {len(data)} bytes, not of whole float32 numbers')
    return np.frombuffer(data, "<f4")


def _from_numbers(value: list[Any], name: str) -> Vectors:
    if not value:
        raise ValueError(f'"{name}" is empty')
    try:
        array = np.array(value)
    except ValueError:
        raise ValueError(f'"{name}" is not a flat list of numbers') from None
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise ValueError(f'"{name}" is not a flat list of numbers')
    with np.errstate(over="ignore"):
        return array.astype(np.float32)
