"""The model that the command line names for vectors that name none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmr.cli.report import Report


def full_name(model: str | None, known: str | None) -> str | None:
    """The full name, "SPEC#hash", of what --model names; None where it names nothing.

    known  the model of the index: where it is of the same spec its name is taken and nothing is loaded
    """
    if model is None or "#" in model:
        return model
    from mmr.encoders import Closes, load, model_name, resolve

    spec = resolve(model)
    if known is not None and known.rpartition("#")[0] == spec:
        return known
    encoder = load(spec)
    if isinstance(encoder, Closes):
        encoder.close()
    return model_name(encoder)


def say_cut(encoder: object, report: Report) -> None:
    """Say how many texts were longer than an encoder reads."""
    if encoder is None:
        return
    from mmr.encoders import Cuts

    if isinstance(encoder, Cuts) and encoder.cut:
        texts = "1 text was" if encoder.cut == 1 else f"{encoder.cut:,} texts were"
        report.note(f"{texts} longer than the model reads; the rest of them does not count.")
