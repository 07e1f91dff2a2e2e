"""Memory: how much there is, how much a structure takes, and the refusal of what cannot fit."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mmr.errors import OutputError, UsageError, shown
from mmr.index.catalogue import Meta
from mmr.index.table import adapter

if TYPE_CHECKING:
    from mmr.index.reader import Index

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")

Say = Callable[[str], None]


def read_size(text: str) -> int:
    """Read `8G`, `1.5GiB`, `800M` or a number of bytes; units are powers of 1,024.

    Raises `UsageError` for anything else.
    >>> read_size("1.5K"), read_size("2GiB") == 2 << 30
    (1536, True)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = float(found[1]) * UNITS[found[2].upper()] if found else 0.0
    if not 1 <= size < 1 << 60:
        raise UsageError(f"{shown(text)!r} is no amount of memory.", "Write 8G, 800M or a number of bytes.")
    return int(size)


def words(size: float) -> str:
    """Bytes as people read them.

    >>> words(800), words(3 << 20), words(1.5 * (1 << 30))
    ('800 bytes', '3 MiB', '1.5 GiB')
    """
    for name, unit in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= unit:
            return f"{size / unit:.3g} {name}" if size < 999.5 * unit else f"{size / unit:,.0f} {name}"
    return f"{size:,.0f} bytes"


def available() -> int:
    """Bytes that this process may still take: what the machine has free, within its limits.

    The limits are those of its control group (a container) and of its address space (ulimit -v).
    """
    bounds = [_free_of_machine()]
    with suppress(OSError, ValueError):
        bounds.append(_free_of_group())
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        with suppress(OSError, ValueError):
            bounds.append(soft - int((PROC / "self/statm").read_text().split()[0]) * resource.getpagesize())
    return max(0, min(bounds))


def _free_of_machine() -> int:
    with suppress(OSError):
        found = re.search(r"MemAvailable:\s+(\d+) kB", (PROC / "meminfo").read_text())
        if found:
            return int(found[1]) << 10
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _free_of_group() -> int:
    """What is left of the control group's limit; pages of files that can go count as free."""
    if (CGROUPS / "memory.max").exists():
        names = ("memory.max", "memory.current", "memory.stat", "inactive_file")
        folder = CGROUPS
    else:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat", "total_inactive_file")
        folder = CGROUPS / "memory"
    limit, used = (int((folder / name).read_text()) for name in names[:2])
    found = re.search(rf"^{names[3]} (\d+)", (folder / names[2]).read_text(), re.MULTILINE)
    return limit - used + (int(found[1]) if found else 0)


def needed(meta: Meta, rows: Iterable[int]) -> int:
    """Bytes that building the structures takes at most, one segment after another; `rows` of each."""
    kind = adapter(meta.kind)
    return max((kind.holds(meta.dim, count, meta.params) for count in rows), default=0)


def check(path: Path, meta: Meta, rows: list[int], limit: int | None) -> None:
    """Refuse, before any work, structures whose building would not fit into memory.

    rows   of the segments that get one
    limit  bytes that may be taken; None for what the machine has free now

    Raises `OutputError` with the figures. What is stored stays, and is searched as before.
    """
    need = needed(meta, rows)
    free = available() if limit is None else limit
    if need > free:
        name, where = shown(str(path)), "--memory" if limit is not None else "this machine"
        raise OutputError(
            f"building {meta.kind} over {max(rows):,} vectors of {meta.dim:,} numbers takes {words(need)} of "
            f"memory, and {where} allows {words(free)}",
            f"The vectors of {name} are stored, and searched as before. `mmr index {name} --convert auto` "
            "chooses a kind that fits.",
        )


@contextmanager
def enough(index: Path, meta: Meta) -> Iterator[None]:
    """Turn memory that ran out while structures are built into a sentence; nothing was changed then."""
    try:
        yield
    except MemoryError as error:
        name = shown(str(index))
        raise OutputError(
            f"the memory ran out while {meta.kind} was built for {name}",
            f"The vectors of {name} are stored, and searched as before. `mmr index {name} --convert auto` "
            "chooses a kind that fits.",
        ) from error


def bytes_a_vector(index: Index) -> dict[str, float]:
    """Bytes a live item: of what came in, as it is stored, and of the structures beside it."""
    segments, count = index.segments(), max(index.meta.count, 1)
    structures = sum(one.structure.stat().st_size for one in segments if one.structure is not None)
    vectors = sum(index.content.bytes_of(one) for one in segments)
    return {"vectors": round(vectors / count, 1), "structure": round(structures / count, 1)}
