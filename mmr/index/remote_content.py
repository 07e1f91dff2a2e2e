"""What the items of an engine's index are made from: one vector each, and recipes that need no other item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmr.index.content import Content
from mmr.index.remote_recipes import unfit

if TYPE_CHECKING:
    from mmr.stream.records import Record


class EngineContent(Content):
    """Items of one vector each, in an engine."""

    def unfit(self, index: Any, query: Record) -> tuple[str, str] | None:
        """What is wrong with a query, and what to do; else None."""
        return super().unfit(index, query) or (unfit(query) if "recipe" in query else None)
