"""The encoder of `mmr embed`, and what the index of --skip-indexed knows."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import towers
from mmr.cli.models import say_cut
from mmr.cli.report import Report
from mmr.errors import MissingInputError, shown

if TYPE_CHECKING:
    from mmr.encoders import Encoder
    from mmr.index import AnyIndex


class EmbedModel:
    """Which encoder, and what the index of --skip-indexed knows; the encoder is loaded when it is needed.

    The index is closed again before the first record is written, so that the reader of this stream can
    change it.
    """

    def __init__(self, how: Mapping[str, Any], report: Report, stack: ExitStack) -> None:
        from mmr.encoders import resolve

        if how["model"] and how["model_of"]:
            raise click.UsageError("--model and --model-of: name the model in one way.")
        self._how, self._report, self._stack = how, report, stack
        self._encoder: Encoder | None = None
        self._own: Encoder | None = None
        self._expected: dict[str, str] = {}
        self._changed: dict[str, str] = {}
        self.known: dict[str, Any] = {}
        for index in filter(None, (how["model_of"], how["skip_indexed"])):
            self._look(index)
        named = next(iter(self._expected.values()), "").rpartition("#")[0]
        named = named or next(iter(self._changed.values()), "")
        self.spec = resolve(how["model"] or named or None)
        if named and self.spec != named:
            self.load()

    def _look(self, index: str) -> None:
        """Take the model of an index, and of --skip-indexed all it knows of files; a missing one is empty."""
        from mmr.index import open_any
        from mmr.index.content import refuse_without_vectors

        try:
            with open_any(index) as opened:
                if index == self._how["model_of"]:
                    refuse_without_vectors(opened, "--model-of")
                model = self._model_for(opened) if opened.meta.dim else None
                if model is not None:
                    self._expect(str(opened.path), model)
                if index == self._how["skip_indexed"]:
                    self.known = _at_once(partial(opened.known_files, model))
        except MissingInputError:
            if index == self._how["model_of"]:
                raise

    def _model_for(self, opened: AnyIndex) -> str | None:
        """The model of an index; that of its map where --model names the encoder of that one."""
        from mmr.encoders import resolve

        held, named = opened.meta.query_map, self._how["model"]
        if held is not None and named and resolve(named) == held.model.rpartition("#")[0]:
            return held.model
        return opened.meta.model

    def _expect(self, index: str, model: str) -> None:
        """Remember the model of an index; of vectors that were changed since, the encoder behind them."""
        from mmr.stream.records import unchanged

        spec, ways = unchanged(model)
        if not ways:
            self._expected[index] = model
            return
        self._changed[index] = spec
        self._report.note(f"{shown(index)} has vectors that `mmr normalize` changed ({', '.join(ways)}): "
                          "send these through the same file.")  # fmt: skip

    def load(self) -> Encoder:
        """Load the encoder, and refuse one that is not the index's (law 6)."""
        if self._encoder is not None:
            return self._encoder
        from mmr.encoders import Closes, load, model_name
        from mmr.stream.records import check_model

        how = self._how
        named_by = "" if how["model"] else next(iter((*self._expected, *self._changed)), "")
        encoder = load(self.spec, device=how["device"], precision=self._precision(), threads=how["threads"],
                       named_by=named_by)  # fmt: skip
        if isinstance(encoder, Closes):
            self._stack.callback(encoder.close)
        for index, expected in self._expected.items():
            check_model(expected, model_name(encoder), expected_by=shown(index), found_by="this run",
                        fix="Leave out --model, or index into a new folder.")  # fmt: skip
        self._own = encoder
        if how["invert"]:
            from mmr.encoders.inversion import Inversion, Inverting

            learned = Inversion(templates=how["templates"] or Inversion.templates)
            encoder = Inverting(encoder, learned)
        self._encoder = encoder
        return encoder

    def _precision(self) -> str:
        """The precision that is asked for; fp32 for inversion, where small steps get lost at less."""
        from mmr.encoders.table import find

        precision: str = self._how["precision"]
        inexact = self._how["invert"] and precision == "auto" and "precision" in find(self.spec).options
        return "fp32" if inexact else precision

    def doubt(self) -> None:
        """Say on a terminal that the encoder is the wrong one for what it was given."""
        from mmr.encoders import Doubts

        encoder: object = self._encoder
        on_terminal = sys.stderr is not None and sys.stderr.isatty()
        if on_terminal and isinstance(encoder, Doubts) and (doubt := encoder.doubt()):
            self._report.note(doubt)

    def keep_tower(self) -> None:
        """Leave the text tower of the model that was loaded, so that queries need no torch."""
        say_cut(self._own, self._report)
        if self._own is not None:
            towers.keep(self._own, self._report)

    def name(self) -> str:
        """The full name of the encoder."""
        from mmr.encoders import model_name

        return model_name(self.load())


def _at_once(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Call `make` for something large that stays; the garbage collector leaves it alone, then and later."""
    gc.disable()
    try:
        return make()
    finally:
        gc.freeze()
        gc.enable()
