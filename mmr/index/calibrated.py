"""A calibration that lives in an index: the fitted file as it is, for whoever turns scores into chances."""

from __future__ import annotations

import json
import os
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, NamedTuple

from mmr.errors import BadDataError, shown
from mmr.index.catalogue import change, translated

if TYPE_CHECKING:
    from mmr.index import AnyIndex

KEY = "calibration"


class Held(NamedTuple):
    """What an index holds: the bytes of the fitted file, and the line of `via` that it stands for."""

    fitted: bytes
    step: str


def hold(path: str | os.PathLike[str], calibration: Held | None, *, wait: float = 0.0) -> bool:
    """Put a calibration into an index, in the place of one that is there; None takes it out.

    Returns whether there was one before. Raises `MissingInputError` where there is no index, `BusyError` when
    another writer holds the lock.
    """
    from mmr.index.check import writer

    with writer(path, wait) as changer, translated(changer.path), change(changer.connection):
        gone = changer.connection.execute("DELETE FROM meta WHERE key = ?", (KEY,)).rowcount
        if calibration is not None:
            fitted = b2a_base64(calibration.fitted, newline=False).decode("ascii")
            text = json.dumps({"step": calibration.step, "fitted": fitted})
            changer.connection.execute("INSERT INTO meta VALUES (?, ?)", (KEY, text))
    return gone > 0


def held(index: AnyIndex) -> Held | None:
    """The calibration that an index holds, or None. Raises `BadDataError` where it is no such thing."""
    try:
        found = index.noted(KEY)
        return None if found is None else Held(a2b_base64(found["fitted"]), str(found["step"]))
    except (ValueError, KeyError, TypeError):
        raise BadDataError(
            f"the calibration that {shown(str(index.path))} holds is damaged",
            "`mmr index INDEX --calibrate FILE` puts it in anew.",
        ) from None
