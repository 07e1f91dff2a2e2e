"""Read a picture's bytes once and whole, from a file or from a tar, with the facts that tell a change."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from mmr.errors import BadItem, shown

if TYPE_CHECKING:
    import tarfile

LARGEST = 1 << 29  # bytes; the largest camera files are a few hundred megabytes
MEMBER = ".tar#"


class Contents(NamedTuple):
    """What a file held: its bytes, their number, and when it was last changed (seconds since 1970)."""

    data: bytes
    size: int
    mtime: float


class Member(NamedTuple):
    """Where a tar holds the bytes of one member."""

    offset: int
    size: int
    mtime: float


def digest(data: bytes) -> str:
    """Return BLAKE2b-128 of the bytes in hex."""
    return blake2b(data, digest_size=16).hexdigest()


def unreadable(path: str, what: str, fix: str = "") -> BadItem:
    """Make the error of one picture that cannot be read."""
    return BadItem(shown(path), what, fix, stage="decode")


def split_member(path: str) -> tuple[str, str] | None:
    """Return (tar, member) of a path such as `shard.tar#cat.jpg`; None of any other.

    A file whose whole name is the path wins.
    """
    at = path.lower().find(MEMBER)
    if at < 0 or os.path.lexists(path):
        return None
    return path[: at + 4], path[at + 5 :]


def read_bytes(path: str) -> bytes:
    """Return the bytes of a picture. Raises `BadItem` saying why they cannot be read."""
    return read_contents(path).data


def read_contents(path: str, place: Member | None = None) -> Contents:
    """Read a file, or a member of a tar, once.

    place  where the member lies, when the caller knows; else the tar's list of members is read

    Raises `BadItem` when it is missing, unreadable, no ordinary file, too large, or changes while it is read:
    a picture that is being copied is not embedded in part.
    """
    if "\0" in path:
        raise unreadable(path, "holds a zero byte, which no path can")
    found = split_member(path)
    if found is None:
        return _read(path, path, None)
    archive, name = found
    if place is None:
        place = _place(path, archive, name)
    contents = _read(path, archive, place)
    return contents._replace(mtime=place.mtime)


def _read(path: str, file: str, place: Member | None) -> Contents:
    """Read a whole file or `place` of it, and check that it stayed as it was meanwhile."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path, *reason(error)) from None
    try:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise unreadable(path, "is no ordinary file")
        offset, size = (0, before.st_size) if place is None else (place.offset, place.size)
        if size > LARGEST:
            raise unreadable(path, f"has {size:,} bytes; a picture may have {LARGEST:,}")
        data = _bytes_at(handle, offset, size)
        after = os.fstat(handle)
    except OSError as error:
        raise unreadable(path, *reason(error)) from None
    finally:
        os.close(handle)
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if same and len(data) != size:
        raise unreadable(path, f"is cut off: {len(data):,} of {size:,} bytes are there", "copy it again")
    if not same:
        raise unreadable(path, "changed while it was read", "embed it again when it is written to its end")
    return Contents(data, size, before.st_mtime)


def _bytes_at(handle: int, offset: int, size: int) -> bytes:
    pieces = []
    while size > 0:
        piece = os.pread(handle, size, offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def reason(error: OSError) -> tuple[str, str]:
    """Say what an error of the system means for a picture or a folder, and what to do."""
    if error.errno == errno.ENOENT:
        return "does not exist", "check the name"
    if error.errno == errno.EISDIR:
        return "is a folder", ""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "cannot be read (permissions)", "`chmod +r` lets you"
    return f"cannot be read ({error.strerror})", ""


def _place(path: str, archive: str, name: str) -> Member:
    import tarfile

    try:
        state = os.stat(archive)
        place = _members(archive, state.st_size, state.st_mtime_ns).get(name)
    except OSError as error:
        raise unreadable(path, *reason(error)) from None
    except tarfile.TarError as error:
        raise unreadable(path, f"the tar is damaged ({error})") from None
    if place is None:
        raise unreadable(path, f"{shown(os.path.basename(archive))} has no member of that name")
    return place


@lru_cache(maxsize=8)
def _members(archive: str, _size: int, _mtime: int) -> dict[str, Member]:
    """The members of a tar by name; a later one of the same name replaces the earlier, as tar itself does."""
    import tarfile

    found: dict[str, Member] = {}
    with tarfile.open(archive, "r:") as tar, suppress(tarfile.ReadError):
        found.update((name, place) for name, place, problem in members(tar) if not problem)
    return found


def members(tar: tarfile.TarFile) -> Iterator[tuple[str, Member, str]]:
    """Yield a tar's files in its order as (name, place, problem); a link stands for what it points at.

    The problem is "" of a member that can be read. Folders are left out. Names are labels and lead nowhere:
    `/`, `.` and `..` parts are taken out. Raises `tarfile.TarError` where the tar is damaged.
    """
    places: dict[str, Member] = {}
    for info in tar:
        name, place, problem = label(info.name), None, ""
        if info.isreg() and not info.issparse():
            place = Member(info.offset_data, info.size, float(info.mtime))
        elif info.islnk() or info.issym():
            folder = os.path.dirname(info.name) if info.issym() else ""
            place = places.get(label(os.path.normpath(os.path.join(folder, info.linkname))))
            problem = (
                "" if place else f"is a link to {shown(info.linkname)}, which the tar does not hold before"
            )
        elif info.isdir():
            continue
        else:
            problem = "is no ordinary file"
        if place is not None:
            places[name] = place
        yield name, place or Member(0, 0, float(info.mtime)), problem


def label(name: str) -> str:
    """Return a member's name as it stands in paths.

    >>> label("./a//b.jpg"), label("../../etc/passwd")
    ('a/b.jpg', 'etc/passwd')
    """
    return "/".join(part for part in name.split("/") if part not in ("", ".", ".."))
