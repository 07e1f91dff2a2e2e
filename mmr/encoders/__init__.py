"""Adapters from pictures and words to vectors, named by a spec."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any, cast

from mmr.encoders.protocol import (
    Closes,
    Composes,
    Cuts,
    Doubts,
    Encoder,
    Injects,
    Many,
    Prepares,
    Rejects,
    Runs,
    Tokens,
    described,
    model_name,
)
from mmr.encoders.table import Model, Row, find, list_models, loader, resolve
from mmr.errors import UnavailableError, UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Closes", "Composes", "Cuts", "Doubts", "Encoder", "Injects", "Many", "Model", "Prepares",
    "Rejects", "Row", "Runs", "Tokens", "described", "list_models", "load", "model_name", "resolve",
]  # fmt: skip


def load(
    spec: str, *, device: str = "auto", precision: str = "auto", threads: int | None = None,
    named_by: str = "",
) -> Encoder:  # fmt: skip
    """Load the encoder that `spec` (or a short name) names.

    device     "auto", "cpu", "cuda", "cuda:1", "mps"
    precision  "auto", "fp32", "bf16", "fp16"
    threads    for arithmetic; None takes the processors at hand
    named_by   the index that the spec was read from, "" where the user named it: an index may come from
               a stranger, so it cannot start a program (`cmd:`) unless $MMR_MODEL names the same one

    Raises `UsageError` for an unknown spec, or a device or precision that this encoder has no use for,
    and `UnavailableError` with one sentence on what to run when weights, package or program are missing.
    """
    if named_by and "~" in spec:
        _refuse_changed(spec, named_by)
    try:
        spec = resolve(spec)
        row = find(spec)
    except UsageError as error:
        if not named_by:
            raise
        what = f"{shown(named_by)} has vectors of {shown(spec)!r}, which no encoder here makes"
        raise UnavailableError(what, "Install the plug-in that brings it, or send vectors.") from error
    if named_by and row.by_user and spec != os.environ.get("MMR_MODEL"):
        what = f"{shown(named_by)} names the program {shown(spec)!r} as its model; an index starts no program"
        raise UsageError(what, f"If you trust it, add --model {shlex.quote(shown(spec))}.")
    wanted: dict[str, Any] = {"device": device, "precision": precision, "threads": threads}
    for name in ("device", "precision"):
        if wanted[name] != "auto" and name not in row.options:
            what = f"the model {row.name.rstrip(':')!r} has no choice of {name}"
            raise UsageError(what, f"Leave out --{name} {wanted[name]}.")
    function = cast("Callable[..., Encoder]", loader(row))
    return function(spec, **{name: wanted[name] for name in row.options})


def _refuse_changed(spec: str, named_by: str) -> None:
    """Raise `UnavailableError` for the name of vectors that `mmr normalize apply` changed."""
    from mmr.stream.records import apply_the_same

    if apply_the_same(spec):
        what = f"{shown(named_by)} has vectors of {shown(spec)}, which no encoder makes by itself"
        raise UnavailableError(what, apply_the_same(spec))
