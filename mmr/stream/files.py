"""Files that are seen whole or not at all: temporary file, fsync, rename."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mmr.errors import OutputError, shown


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` for writing; on a clean exit it takes the name `path`.

    An error inside the block removes it and leaves `path` as it was. A path that is no ordinary file
    (`/dev/stdout`, a named pipe) is written directly. Raises `OutputError` where it cannot be made.
    """
    target = Path(path)
    direct: BinaryIO | None = None
    try:
        if target.exists() and not target.is_file():
            direct = open(target, "wb")  # noqa: SIM115 - closed below
        else:
            handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".tmp", dir=target.parent)
    except OSError as error:
        where = shown(str(target))
        raise OutputError(f"cannot write {where}: {error.strerror}", "Name another place with -o.") from error
    if direct is not None:
        with direct:
            yield direct
        return
    temporary = Path(name)
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
        sync_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
