"""The index: catalogue, segments, search; `open_index` reads one, `upsert` and its sisters change one.

`open_any` also opens an index that an engine holds, by its address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from mmr.index.reader import Index, Known, open_index

if TYPE_CHECKING:
    from mmr.index.changer import Counts
    from mmr.index.remote import Remote, open_any
    from mmr.index.segments import Segment
    from mmr.index.write import create_index, delete, upsert

    AnyIndex: TypeAlias = Index | Remote

__all__ = [
    "AnyIndex", "Counts", "Index", "Known", "Remote", "Segment", "create_index", "delete", "open_any",
    "open_index", "upsert",
]  # fmt: skip

_LATER = {
    "Counts": "mmr.index.changer", "create_index": "mmr.index.write", "delete": "mmr.index.write",
    "upsert": "mmr.index.write", "Segment": "mmr.index.segments",
    "Remote": "mmr.index.remote", "open_any": "mmr.index.remote",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what writes, maps (and so needs numpy) or asks a server when it is first asked for."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
