"""The index: catalogue, segments, search; `open_index` reads one, `upsert` and its sisters change one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmr.index.reader import Index, Known, open_index

if TYPE_CHECKING:
    from mmr.index.changer import Counts
    from mmr.index.segments import Segment
    from mmr.index.write import create_index, delete, upsert

__all__ = [
    "Counts", "Index", "Known", "Segment", "create_index", "delete", "open_index", "upsert",
]  # fmt: skip

_LATER = {
    "Counts": "mmr.index.changer", "create_index": "mmr.index.write", "delete": "mmr.index.write",
    "upsert": "mmr.index.write", "Segment": "mmr.index.segments",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what writes or maps (and so needs numpy) when it is first asked for."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
