"""Of what a query and its hits are made, and the warning of a method that is not safe across the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmr.rerank.method import Tools
from mmr.rerank.table import Row

LOOKED_UP = 10
WORDS = {"image": "pictures", "text": "words"}


def of_query(record: Mapping[str, Any]) -> str:
    """ "image" or "text"; "" where nothing says, or where it is both."""
    made = [name for name in ("image", "text") if record.get(name)]
    return made[0] if len(made) == 1 else ""


def of_hits(hits: Sequence[Mapping[str, Any]]) -> str:
    """ "image" where the hits show pictures, "text" where they have words alone, "" where nothing says.

    An item with both counts as a picture: that is what its vector is made of.
    """
    if any(hit.get("image") for hit in hits):
        return "image"
    return "text" if any(hit.get("text") for hit in hits) else ""


class Across:
    """Warns once where a method that is not safe across modalities meets words and pictures.

    Hits that say nothing of themselves, as those of a TREC run, are looked up in the index.
    """

    def __init__(self, row: Row, tools: Tools) -> None:
        self._row, self._tools = row, tools
        self._stored: str | None = None
        self._done = row.across != "hurts"

    def meets(self, record: Mapping[str, Any], hits: Sequence[Mapping[str, Any]], where: str) -> None:
        """Look at one query and its hits."""
        if self._done:
            return
        query, gallery = of_query(record), of_hits(hits)
        if query and hits and not gallery:
            gallery = self._looked_up(hits)
        if query and gallery and query != gallery:
            self._done = True
            self._tools.note(
                f"{where} asks with {WORDS[query]}, and its hits are {WORDS[gallery]}: {self._row.name} is "
                f"not safe there. Where it helps: {self._row.safe[:1].lower()}{self._row.safe[1:]}."
            )

    def _looked_up(self, hits: Sequence[Mapping[str, Any]]) -> str:
        """What the index says of the first hits that it is asked about, and so of all."""
        if self._stored is None and self._tools.fields_of is not None:
            found = self._tools.fields_of([hit["id"] for hit in hits[:LOOKED_UP]], ("image", "text"))
            self._stored = of_hits([fields for fields in found if fields is not None])
        return self._stored or ""
