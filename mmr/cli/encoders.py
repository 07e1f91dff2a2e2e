"""The encoder of a command: an index's model or a named one, loaded when the first item needs it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from mmr.cli import towers
from mmr.cli.models import say_cut
from mmr.errors import UsageError, shown
from mmr.index import mapped

if TYPE_CHECKING:
    from mmr.cli.report import Report
    from mmr.encoders import Encoder
    from mmr.index import AnyIndex


class Encoders:
    """Gives the encoder that a batch needs, each loaded once and closed with the stack.

    Of an index its model: the text tower takes words and the picture tower pictures, where they are at hand
    without torch. Without an index the named model, else the usual one. `by_map` allows for the model whose
    queries the index maps, too: who asks then sends them through the map.
    """

    def __init__(
        self, index: AnyIndex | None, model: str | None, device: str, precision: str, threads: int | None,
        report: Report, stack: ExitStack, *, by_map: bool = False,
    ) -> None:  # fmt: skip
        self._by_map = by_map
        self._index, self._model, self._report, self._stack = index, model, report, stack
        self._how = (device, precision, threads)
        self._towers: dict[bool, Any] = {}
        self._answered = False
        self._whole: Any = None

    def of(self, pictures: bool) -> Encoder:
        """The encoder for a batch, with pictures or of words alone."""
        encoder = self._without_torch(pictures) or self._load()
        self._answered |= not pictures and encoder is self._whole
        found: Encoder = encoder
        return found

    def whole(self) -> Encoder:
        """The encoder itself, for what a tower alone cannot do."""
        found: Encoder = self._load()
        return found

    def _without_torch(self, pictures: bool) -> Any:
        """An encoder that needs no torch, unless the user names another model, device or precision."""
        if self._index is None:
            return None
        named = self._how[:2] != ("auto", "auto") or not towers.is_model_of(self._index, self._model)
        if not (pictures in self._towers or named or self._whole is not None):
            self._towers[pictures] = towers.without_torch(self._index, self._report, pictures)
        return self._towers.get(pictures)

    def _load(self) -> Any:
        from mmr.encoders import Closes

        if self._whole is None:
            self._whole = self._loaded()
            if isinstance(self._whole, Closes):
                self._stack.callback(self._whole.close)
        return self._whole

    def _loaded(self) -> Any:
        from mmr.encoders import load, model_name, resolve
        from mmr.stream.records import check_model

        device, precision, threads = self._how
        if self._index is None:
            return load(resolve(self._model), device=device, precision=precision, threads=threads)
        name = self._index.path.name
        named = self._index.meta.model or self._model
        if named is None:
            what = f"{shown(name)} does not name the model of its vectors, so it cannot embed a query."
            raise UsageError(what, "Name it with --model, or send queries with vectors.")
        wanted = self._model or named
        spec = wanted.rpartition("#")[0] if "#" in wanted else wanted
        named_by = "" if self._model else name
        encoder = load(spec, device=device, precision=precision, threads=threads, named_by=named_by)
        if self._by_map and mapped.takes(self._index, model_name(encoder)):
            return encoder
        check_model(self._index.meta.model, model_name(encoder), expected_by=name, found_by=spec,
                    fix="Use the weights that built the index, or build it again with these.")  # fmt: skip
        return encoder

    def keep_tower(self) -> None:
        """Leave the text tower of a model that had to be loaded for words; say what texts were cut."""
        for encoder in {id(one): one for one in (*self._towers.values(), self._whole)}.values():
            say_cut(encoder, self._report)
        if self._answered:
            towers.keep(self._whole, self._report, answered=True)
