"""What the items of an engine's index are made from: one vector each, and recipes that need no other item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmr.index.content import OTHERS, Content, Fields
from mmr.index.remote_recipes import unfit

if TYPE_CHECKING:
    from mmr.stream.records import Record


class EngineContent(Content):
    """Items of one vector each, in an engine."""

    def missing(self, record: Fields) -> tuple[str, str] | None:
        """What a record lacks that comes, and what to do; else None."""
        found = super().missing(record)
        if found is None:
            return None
        other = next((name for name in OTHERS if name in record), None)
        return found if other is None else (found[0], f"make a folder of them: --kind {OTHERS[other]}")

    def unfit(self, index: Any, query: Record) -> tuple[str, str] | None:
        """What is wrong with a query, and what to do; else None."""
        return super().unfit(index, query) or (unfit(query) if "recipe" in query else None)
