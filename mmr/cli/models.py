"""The model that the command line names for vectors that name none."""

from __future__ import annotations


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
