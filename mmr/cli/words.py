"""What commands share that embed words on the way: the model of an index, or a named one."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmr.cli import options, towers
from mmr.cli.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmr.rerank.method import Tools

OPTIONS = (options.model, options.device, options.precision, options.threads)
NAMES = ("model", "device", "precision", "threads")


def with_words(
    tools: Tools, index: str | None, how: dict[str, Any], report: Report, stack: ExitStack
) -> Tools:
    """Take the options of a model out of `how`; return the tools with what embeds words, loaded when asked.

    Without an index the model is the named one, else the usual one.
    """
    from mmr.cli.encoders import Encoders
    from mmr.encoders import model_name

    model, device, precision, threads = (how.pop(name) for name in NAMES)
    towers.few_threads(threads)
    opened = None
    if index is not None:
        from mmr.cli.stored import entered

        opened = entered(stack, index)
    encoders = Encoders(opened, model, device, precision, threads, report, stack)
    stack.callback(encoders.keep_tower)

    def encode(texts: Sequence[str]) -> Any:
        return encoders.of(False).encode_texts(list(texts))

    name = tools.model if opened is not None else model_name(encoders.of(False))
    gallery = tools.gallery if opened is not None else "the model of sentences"
    return replace(tools, encode=encode, model=name, gallery=gallery)
