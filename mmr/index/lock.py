"""The writers' lock of an index: held by one process at a time, gone when that process is."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from contextlib import suppress
from pathlib import Path

from mmr.errors import BusyError, OutputError, shown

LOCK = ".lock"
POLL_SECONDS = 0.05


class Lock:
    """An exclusive lock on an index folder, which is made where there is none.

    wait  seconds to wait for another writer
    Raises `BusyError` naming the other process, `OutputError` where the folder cannot be made or written.
    """

    def __init__(self, index: Path, wait: float = 0.0) -> None:
        self._file = index / LOCK
        name = shown(str(index))
        try:
            index.mkdir(exist_ok=True)
            self._handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            raise OutputError(f"{name} cannot be written: {error.strerror}",
                              "Check the path and its permissions.") from error  # fmt: skip
        try:
            self._take(name, wait)
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(self._handle)
            raise

    def _take(self, name: str, wait: float) -> None:
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
            if time.monotonic() >= until:
                who = self._holder()
                waited = f" for {wait:g} seconds" if wait else ""
                raise BusyError(
                    f"{name} was being written by {who}{waited}", "Try again, or wait with --wait SECONDS."
                )
            time.sleep(min(POLL_SECONDS, max(0.0, until - time.monotonic())))

    def _holder(self) -> str:
        found = re.fullmatch(rb"(\d+)\n", os.pread(self._handle, 32, 0))
        return f"process {found[1].decode()}" if found else "another process"

    def release(self) -> None:
        """Let the next writer in."""
        with suppress(OSError):
            os.ftruncate(self._handle, 0)
        os.close(self._handle)
