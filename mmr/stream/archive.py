"""An npz without pickles that says how it was made: written whole or not at all, read without trust."""

from __future__ import annotations

import errno
import math
import tokenize
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
from numpy.lib import format as npy
from numpy.typing import NDArray

from mmr.errors import BadDataError, MissingInputError, UsageError, shown
from mmr.stream.files import whole_file

ABOUT = "about"
NOT_OURS = (
    ValueError, KeyError, TypeError, AttributeError, EOFError, NotImplementedError, RuntimeError,
    OverflowError, SyntaxError, IndexError, tokenize.TokenError,
)  # fmt: skip
KINDS = ("<f4", "<f8", "<u8", "|u1")  # what the arrays may be
Arrays = dict[str, NDArray[Any]]
HOLDS = {
    "correction": "a correction of scores",
    "calibration": "a calibration",
    "vectors": "a change of vectors",
    "quantizer": "a fitted quantiser",
}


class Damaged(Exception):  # noqa: N818 - becomes a BadDataError with the file's name
    """What is wrong with the file."""


def write(path: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays as one file; the same arrays give the same bytes.

    Raises `OutputError` where it cannot be made.
    """
    with whole_file(path) as file:
        pack(file, arrays)


def pack(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays into an open file."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, values in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                npy.write_array(entry, np.ascontiguousarray(values), allow_pickle=False)


def as_bytes(value: Any) -> NDArray[np.uint8]:
    """A JSON value as an array of its bytes."""
    return np.frombuffer(orjson.dumps(value), np.uint8)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn whatever a file does that is not ours into one `BadDataError` in words."""
    try:
        yield
    except Damaged as wrong:
        what = str(wrong)
    except UsageError as wrong:
        what = wrong.what
    except zipfile.BadZipFile:
        what = "it is no npz, or it was cut short"
    except NOT_OURS:
        what = "it is damaged"
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        what = "it names a place outside itself"
    else:
        return
    raise BadDataError(f"{shown(name)} is no file that `mmr fit` wrote: {what}", "Fit again.")


def there(path: str) -> None:
    """Raise `MissingInputError` unless the file is there."""
    if not Path(path).is_file():
        raise MissingInputError(f"{shown(path)} is not there", "`mmr fit METHOD ... -o FILE` writes one.")


def kind_of(path: str) -> str:
    """What a fitted file holds: "correction", "calibration" or "vectors"; only its first words are read.

    Raises `MissingInputError` where there is none, `BadDataError` for another file.
    """
    there(path)
    with reading(path), zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"{ABOUT}.npy")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > Path(path).stat().st_size:
            raise Damaged("it is compressed")
        about = value_of({ABOUT: _array(archive.read(entry), ABOUT)}, ABOUT, dict)
        kind = str(about.get("kind", "correction"))
        if kind not in HOLDS:
            raise Damaged(f"it holds {shown(kind)}, which this mmr does not know")
        return kind


def of_kind(about: dict[str, Any], wanted: str, name: str) -> None:
    """Raise `BadDataError` where a fitted file, by its first words, holds something else than is wanted."""
    kind = str(about.get("kind", "correction"))
    if kind != wanted:
        raise BadDataError(
            f"{shown(name)} holds {HOLDS.get(kind, 'something unknown')}, and this needs {HOLDS[wanted]}",
            "`mmr fit --help` lists what learns which.",
        )


@contextmanager
def fitted(path: str, kind: str, version: int) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """What a fitted file says of itself, and its arrays; what a reader finds wrong with them is one sentence.

    Raises `MissingInputError` where there is none, `BadDataError` for another kind of file and for one that
    is damaged, cut short, or of another version of the format.
    """
    there(path)
    with reading(path):
        arrays = unpack(path, Path(path).stat().st_size)
        about = value_of(arrays, ABOUT, dict)
        of_kind(about, kind, path)
        if about.get("format") != version:
            raise Damaged(f"it is of format {shown(str(about.get('format')))}, and this mmr reads {version}")
        yield about, arrays


def unpack(file: str | BinaryIO, size: int) -> Arrays:
    """All arrays of a file of `size` bytes, each as large as its header promises.

    Raises `Damaged`, `zipfile.BadZipFile` or one of `NOT_OURS`, which `reading` turns into words.
    """
    found: Arrays = {}
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size:
                raise Damaged("it is compressed")
            found[entry.filename.removesuffix(".npy")] = _array(archive.read(entry), shown(entry.filename))
    return found


def _array(data: bytes, name: str) -> NDArray[Any]:
    """The array of an entry whose checksum is right. Numpy reads the header; the data are only viewed."""
    file = BytesIO(data)
    if npy.read_magic(file) != (1, 0):
        raise Damaged(f"{name} is of another version of NPY")
    with warnings.catch_warnings(action="ignore"):
        shape, fortran, dtype = npy.read_array_header_1_0(file)
    if dtype.str not in KINDS or fortran or len(data) - file.tell() != math.prod(shape) * dtype.itemsize:
        raise Damaged(f"{name} has not the size or the type that it should have")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape)


def value_of(arrays: Mapping[str, NDArray[Any]], name: str, kind: type) -> Any:
    """The JSON value that an array of bytes holds. Raises `Damaged` for one of another kind."""
    value = orjson.loads(arrays[name].tobytes())
    if type(value) is not kind:
        raise Damaged(f"{name} is not what it should be")
    return value
