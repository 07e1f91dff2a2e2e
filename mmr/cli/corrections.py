"""`mmr index --correct`: what `mmr fit` learned goes into an index, and out of it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mmr.errors import shown

if TYPE_CHECKING:
    from pathlib import Path

    from mmr.cli.report import Report
    from mmr.index import AnyIndex, Index
    from mmr.index.corrected import Correction
    from mmr.normalize.state import State
    from mmr.stream.records import Record


def correct(index: str, fitted: str, wait: float, report: Report) -> None:
    """Put a fitted file into an index."""
    from mmr.index import open_index
    from mmr.index.corrected import Correction, check_fits, correct
    from mmr.normalize.held import corrector, kept
    from mmr.normalize.state import read_state, write_state

    state = read_state(fitted)
    held = kept(state)
    about = Correction(state.step, state.bank.modality, state.model, state.dim, facts(state))
    with open_index(index) as opened:
        check_fits(opened.path.name, opened.meta, about, fitted)
        _check_apart(opened, state)
        total = opened.meta.count
    with report.progress("items", total) as tick:
        count = correct(index, about, lambda path: write_state(str(path), held), corrector, wait=wait,
                        tick=tick)  # fmt: skip
    report.note(f"{shown(index)}: {count:,} items are corrected by {state.step.removeprefix('normalize ')}.")


def uncorrect(index: str, wait: float, report: Report) -> None:
    """Take the correction out of an index."""
    from mmr.index.corrected import uncorrect

    there = uncorrect(index, wait=wait)
    report.note(f"{shown(index)} {'scores as it did before' if there else 'holds no correction'}.")


def corrector(path: Path) -> Callable[..., Any]:
    """What gives new rows of a corrected index their numbers, from the fitted file that it keeps."""
    from mmr.normalize.held import corrector

    return corrector(path)


def told(index: AnyIndex, answers: Iterable[Record], report: Report) -> Iterator[Record]:
    """Pass answers on and say at the end how many the correction of the index was not for."""
    held = index.correction()
    return iter(answers) if held is None else _told(held, answers, report)


def _told(held: Correction, answers: Iterable[Record], report: Report) -> Iterator[Record]:
    plain = joined = 0
    for record in answers:
        if "recipe" in record:
            joined += 1
        else:
            plain += not held.is_for(record)
        yield record
    if plain:
        queries = "1 query has" if plain == 1 else f"{plain:,} queries have"
        report.note(f"{queries} plain cosines: the correction's bank is of {held.modality}.")
    if joined:
        queries = "1 query has a recipe" if joined == 1 else f"{joined:,} queries have recipes"
        report.note(f"{queries}, and recipes join plain cosines.")


def facts(state: State) -> dict[str, str | float]:
    """What `--info` says of a correction."""
    banks = {"bank": state.bank.source, **({} if state.items is None else {"items": state.items.source})}
    chosen = {"chosen": state.chosen} if state.chosen else {}
    return {"method": state.row.name, **state.params, **banks, **chosen}


def _check_apart(index: Index, state: State) -> None:
    """Raise `BadDataError` where a bank holds items of this index that the fit did not look at."""
    from mmr.cli.stored import gallery_of
    from mmr.normalize.fit import apart

    gallery = gallery_of(index)
    if not set(gallery.ids) <= set(state.ids):
        apart(state.bank, state.items, gallery)
