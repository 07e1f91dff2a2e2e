"""`mmr query --knob`: what one search is told, in the place of what the index says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mmr.cli import tune

if TYPE_CHECKING:
    from mmr.index import AnyIndex
    from mmr.index.table import Params

option = click.option(
    "--knob", "told", multiple=True, metavar="NAME=VALUE", help="What the search is told, of the parameters "
    "of the kind that it alone uses: ef=128, probe=64, score=xtr (repeatable).",
)  # fmt: skip


def told(
    index: AnyIndex, knobs: tuple[str, ...], recall: float | None, exact: bool, refine: int | None
) -> Params | None:
    """What a search is told by --knob, or for the recall wanted; refuses both at once."""
    if not knobs:
        return tune.knobs(index, recall, exact, refine)
    if recall is not None:
        raise click.UsageError("--recall and --knob: one at a time.")
    from mmr.index import Remote
    from mmr.index.table import told

    if isinstance(index, Remote):
        raise click.UsageError("--knob is for indexes in folders; an engine is set up by its own means.")
    found = told(index.meta.kind, knobs)
    if refine is not None and "refine" in found:
        raise click.UsageError("--refine and --knob refine: one at a time.")
    return found
