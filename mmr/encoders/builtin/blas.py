"""Keeps NumPy's OpenBLAS to one thread while threads of our own work.

Small matrix products on several BLAS threads wait for each other: on two busy processors a
picture took 60 ms instead of 9.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

NAMES = (("scipy_openblas", "64_"), ("scipy_openblas", ""), ("openblas", "64_"), ("openblas", ""))


@cache
def _thread_functions() -> tuple[Any, Any] | None:
    """Find the functions that get and set the number, in the library that NumPy's wheel carries."""
    for path in sorted(Path(np.__file__).parent.with_name("numpy.libs").glob("*openblas*")):
        library = ctypes.CDLL(str(path))
        for front, end in NAMES:
            read = getattr(library, f"{front}_get_num_threads{end}", None)
            write = getattr(library, f"{front}_set_num_threads{end}", None)
            if read is not None and write is not None:
                return read, write
    return None


@contextmanager
def one_thread() -> Iterator[None]:
    """Set one BLAS thread, and the former number at the end; nothing where BLAS is another one."""
    functions = _thread_functions()
    if functions is None:
        yield
        return
    read, write = functions
    before = int(read())
    write(1)
    try:
        yield
    finally:
        write(before)
