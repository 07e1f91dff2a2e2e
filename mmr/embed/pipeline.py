"""The pipeline: decode ahead on threads, embed in batches on another, give out in order."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.embed import encode
from mmr.embed.item import SLOT, Item, Plan, Wanted, file_of, plan, step, where_of
from mmr.embed.load import Loaded, load
from mmr.embed.regions import cutter, fields, of_item
from mmr.encoders import Many, described, model_name
from mmr.errors import BadItem, Reject
from mmr.pictures.decode import quiet
from mmr.stream.pipe import Records
from mmr.stream.records import Record, add_step, same_model

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    import numpy as np

    from mmr.encoders import Encoder

BATCH = 32
HELD = 256_000_000  # bytes of decoded pictures in a batch for an encoder that takes them whole
PASSED = 1024  # records without work that are given out together
Fields = Mapping[str, Any]


def embed_records(
    records: Iterable[Record], encoder: Encoder, wanted: Wanted, *, batch: int = BATCH, reject: Reject
) -> Iterator[Record]:
    """Give a vector to each record that has none, in order; a bad one goes to `reject` and is left out.

    What came is given out before the next record is waited for. Words alone need no Pillow.
    """
    made = "vector" if wanted.parts is None else "vectors"
    items = (record if made in record else Item(record) for record in records)
    waits = records.waits if isinstance(records, Records) else None
    for group in Pipeline(lambda: encoder, wanted, batch=batch, reject=reject).batches(items, waits):
        for record in group:
            yield record if isinstance(record, Record) else Record(record)


def decode_threads() -> int:
    """How many threads decode pictures unless told otherwise: the processors at hand, at most four."""
    return min(4, len(os.sched_getaffinity(0)))


class Job(NamedTuple):
    """An item under way: its plan, and its pictures, which threads are loading."""

    item: Item
    plan: Plan
    pictures: list[Future[Loaded]]


class Ready(NamedTuple):
    """An item whose pictures are all loaded."""

    item: Item
    plan: Plan
    pictures: list[Loaded]

    @property
    def parts(self) -> list[Any]:
        """What the encoder takes of the pictures, one a picture or a region."""
        return [part for loaded in self.pictures for part in loaded.parts]


class Pipeline:
    """Turns items into records with vectors.

    load      gives the encoder, when the first item needs it
    batch     items that the model takes at a time; with 1 each is given out before the next is asked for
    tally     counts what was given out: "new", "changed", "kept"

    Decoding, the model, and whoever takes the batches work at the same time. What is in memory is at most
    three batches, and of whole pictures `HELD` bytes beside those that the threads decode.
    """

    def __init__(
        self, load: Callable[[], Encoder], wanted: Wanted, *, batch: int = BATCH, threads: int | None = None,
        reject: Reject,
    ) -> None:  # fmt: skip
        self._load = load
        self._loaded: Encoder | None = None
        self._wanted = wanted
        self._batch = batch
        self._threads = threads or decode_threads()
        self._reject = reject
        self.tally: Counter[str] = Counter()
        self._window: deque[Job | BadItem | Fields] = deque()
        self._group: list[Ready | Fields] = []
        self._weights = Counter[str]()
        self._pending: tuple[list[Ready | Fields], Future[Encoded]] | None = None
        self._stack = ExitStack()
        self._decoders: ThreadPoolExecutor | None = None
        self._model: ThreadPoolExecutor | None = None

    def batches(
        self, items: Iterable[Item | Fields], waits: Callable[[], bool] | None = None
    ) -> Iterator[list[Fields]]:
        """Yield the records of items in order, in lists; what is no `Item` passes as it is.

        waits  tells whether the next record would have to be waited for; then all before it is given out
        """
        passed: list[Fields] = []
        with self._stack:
            for item in items:
                if not isinstance(item, Item) and not (self._window or self._group or self._pending):
                    passed.append(item)
                    if len(passed) >= PASSED or (waits is not None and type(item) is Record and waits()):
                        yield self._counted(passed)
                        passed = []
                    continue
                if passed:
                    yield self._counted(passed)
                    passed = []
                self._take(item)
                while len(self._window) >= self._ahead():
                    yield from self._advance()
                if waits is not None and waits():
                    yield from self._drain()
            if passed:
                yield self._counted(passed)
            yield from self._drain()

    def encoder(self) -> Encoder:
        """The encoder, loaded by the first call."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _ahead(self) -> int:
        """How many items are decoded ahead."""
        if self._batch == 1:
            return 1
        whole = self._decoders is not None and encode.preparer(self.encoder()) is None
        return 2 * self._threads if whole else 2 * self._batch

    def _take(self, item: Item | Fields) -> None:
        """Put an item into the window and let threads load its pictures."""
        if not isinstance(item, Item):
            self._window.append(self._counted([item])[0])
            return
        record = item.record
        try:
            wanted = plan(record, self._wanted, where_of(record))
        except BadItem as bad:
            self._window.append(bad)
            return
        expected = item.known.digest if item.known is not None else None
        pictures = []
        for image in wanted.images:
            prepare = encode.preparer(self.encoder())
            cut = cutter(self._wanted.parts, record, where_of(record))
            task = (file_of(record, image), item.place, expected, prepare, self._wanted.pixels, cut)
            pictures.append(self._pool().submit(load, *task))
        self._window.append(Job(item, wanted, pictures))

    def _pool(self) -> ThreadPoolExecutor:
        """The threads that decode, started by the first picture."""
        if self._decoders is None:
            from concurrent.futures import ThreadPoolExecutor

            self._stack.enter_context(quiet(self._wanted.pixels))
            self._decoders = ThreadPoolExecutor(self._threads, "decode")
            self._model = ThreadPoolExecutor(1, "model")
            self._stack.callback(self._decoders.shutdown, cancel_futures=True)
            self._stack.callback(self._model.shutdown, cancel_futures=True)
        return self._decoders

    def _advance(self) -> Iterator[list[Fields]]:
        """Move the oldest item of the window into the batch, and send the batch when it is full."""
        entry = self._window.popleft()
        if isinstance(entry, BadItem):
            self._reject(entry)
            return
        if isinstance(entry, Job):
            ready = self._finished(entry)
            if ready is None:
                return
            if isinstance(ready, Ready):
                self._weights.update(
                    image=len(ready.parts), text=len(ready.plan.texts),
                    held=sum(picture.held for picture in ready.pictures),
                )  # fmt: skip
            self._group.append(ready)
        else:
            self._group.append(entry)
        counts = self._weights
        full = max(counts["image"], counts["text"]) >= self._batch or counts["held"] >= HELD
        if full or len(self._group) >= PASSED:
            yield from self._send()

    def _finished(self, job: Job) -> Ready | Fields | None:
        """Wait for the pictures of an item; of a bad one its name is left, if anything."""
        try:
            pictures = [picture.result() for picture in job.pictures]
        except BadItem as bad:
            return self._failed(job.item, bad.what, bad.fix, bad.stage)
        if pictures and not pictures[0].parts:
            self.tally["kept"] += 1
            return {**named(job.item.record), "size": pictures[0].size, "mtime": pictures[0].mtime}
        return Ready(job.item, job.plan, pictures)

    def _failed(self, item: Item, what: str, fix: str, stage: str) -> Fields | None:
        where = where_of(item.record)
        self._reject(BadItem(where, what, fix, stage=stage, record=item.record))
        return named(item.record) if item.named else None

    def _send(self) -> Iterator[list[Fields]]:
        """Give the batch to the model, and give out the one before it meanwhile."""
        group, self._group = self._group, []
        if not group:
            return
        self._weights.clear()
        if self._model is None or self._batch == 1:
            yield from self._flush()
            yield self._joined(group, self._encoded(group))
            return
        before, self._pending = self._pending, (group, self._model.submit(self._encoded, group))
        if before is not None:
            yield self._joined(before[0], before[1].result())

    def _flush(self) -> Iterator[list[Fields]]:
        if self._pending is not None:
            (group, future), self._pending = self._pending, None
            yield self._joined(group, future.result())

    def _drain(self) -> Iterator[list[Fields]]:
        """Give out everything that was taken."""
        while self._window:
            yield from self._advance()
        yield from self._send()
        yield from self._flush()

    def _encoded(self, group: list[Ready | Fields]) -> Encoded:
        """Embed all pictures and words of a batch."""
        ready = [entry for entry in group if isinstance(entry, Ready)]
        pictures = [part for entry in ready for part in entry.parts]
        words = [text for entry in ready for text in entry.plan.texts]
        images: encode.Rows | Many | None = None
        texts: encode.Rows | Many | None = None
        by_encoder = self._wanted.parts is not None and self._wanted.parts.tokens
        if pictures and by_encoder:
            sizes = [loaded.frame for entry in ready for loaded in entry.pictures]
            images = encode.patches(self.encoder(), pictures, sizes)
        elif pictures:
            images = encode.images(self.encoder(), pictures)
        if words and by_encoder:
            texts = encode.words(self.encoder(), self._filled(words))
        elif words:
            texts = encode.texts(self.encoder(), words, self._wanted.templates)
        return Encoded(images, texts)

    def _filled(self, words: list[str]) -> list[str]:
        """The words in the one template that there may be."""
        return [form.replace(SLOT, text) for form in self._wanted.templates or (SLOT,) for text in words]

    def _joined(self, group: list[Ready | Fields], encoded: Encoded) -> list[Fields]:
        """Put the vectors of a batch into its records; those whose vector failed are reported."""
        made = self._composed(group, encoded)
        records: list[Fields] = []
        image = text = 0
        for entry in group:
            if not isinstance(entry, Ready):
                records.append(entry)
                continue
            rows = range(image, image + len(entry.parts)), range(text, text + len(entry.plan.texts))
            image, text = rows[0].stop, rows[1].stop
            reason = encoded.reason(*rows)
            if reason is None:
                records.append(self._record(entry, encoded, *rows, made))
                continue
            left = self._failed(entry.item, reason, "", "embed")
            if left is not None:
                records.append(left)
        return records

    def _composed(self, group: list[Ready | Fields], encoded: Encoded) -> dict[int, np.ndarray]:
        """One vector of picture and words, by the picture's row, of the records that want that."""
        from mmr.arrays.unit import unit

        rows, image, text = [], 0, 0
        for entry in group:
            if isinstance(entry, Ready):
                if entry.plan.how in ("composed", "both"):
                    rows.append((image, text))
                image += len(entry.parts)
                text += len(entry.plan.texts)
        if not rows or encoded.images is None or encoded.texts is None:
            return {}
        pictures = encoded.rows("image")[[one for one, _ in rows]]
        words = encoded.rows("text")[[two for _, two in rows]]
        if self._wanted.compose is None:
            mixed = unit(pictures + words)
        else:
            mixed = self._wanted.compose(pictures, words, self.encoder().spec)
        return {one: vector for (one, _), vector in zip(rows, mixed, strict=True)}

    def _record(
        self, entry: Ready, encoded: Encoded, image: range, text: range, made: dict[int, np.ndarray]
    ) -> Record:
        """The record of an item with what was embedded of it."""
        record = Record(entry.item.record, entry.item.record.place)
        how, model = entry.plan.how, model_name(self.encoder())
        if "vectors" in record and not same_model(record.get("model"), model):
            for name in ("vectors", "boxes"):
                record.pop(name, None)
        if self._wanted.facts and how in ("image", "both"):
            loaded = entry.pictures[0]
            if not os.path.isabs(record["image"]):
                record.setdefault("base", os.getcwd())
            record.update(size=loaded.size, mtime=loaded.mtime, digest=loaded.digest)
        if how == "bind":
            record["bindings"] = {**record.get("bindings", {}), **self._bound(record, encoded, image, text)}
        elif how == "composed" and self._wanted.parts is not None:
            record["vectors"] = made[image.start][None]
        elif how in ("both", "composed"):
            record["vector"] = made[image.start]
        elif self._wanted.parts is not None:
            record.pop("vector", None)
            record.pop("boxes", None)
            record.update(encoded.parts(how, image if how == "image" else text, entry.pictures))
        else:
            record["vector"] = encoded.rows(how)[image.start if how == "image" else text.start]
        record["model"] = model
        add_step(record, step(how, self._wanted, described(self.encoder()), entry.item.record))
        self.tally["changed" if entry.item.known is not None else "new"] += 1
        return record

    def _bound(self, record: Fields, encoded: Encoded, image: range, text: range) -> dict[str, np.ndarray]:
        """The named vectors of a record: (d,) of a string, (k, d) of a list."""
        at = {"image": image.start, "text": text.start}
        bindings = {}
        for bind in self._wanted.binds:
            value, start = record[bind.field], at[bind.kind]
            many = len(value) if isinstance(value, list) else 1
            rows = encoded.rows(bind.kind)[start : start + many]
            bindings[bind.name] = rows if isinstance(value, list) else rows[0]
            at[bind.kind] = start + many
        return bindings

    def _counted(self, records: list[Fields]) -> list[Fields]:
        self.tally["kept"] += sum("keep" in record for record in records)
        return records


class Encoded(NamedTuple):
    """The vectors of a batch, pictures and words apart."""

    images: encode.Rows | Many | None
    texts: encode.Rows | Many | None

    def rows(self, kind: str) -> np.ndarray:
        """The vectors (n, d) of one kind."""
        rows = self.images if kind == "image" else self.texts
        assert isinstance(rows, encode.Rows)
        return rows.vectors

    def parts(self, kind: str, own: range, pictures: list[Loaded]) -> Fields:
        """The `vectors` of one item, and `boxes` of its pictures' parts.

        own  the item's rows; of an encoder's own tokens its one number
        """
        rows = self.images if kind == "image" else self.texts
        if isinstance(rows, Many):
            return of_item(rows, own.start)
        return fields(self.rows(kind)[own.start : own.stop], pictures[0].boxes if pictures else None)

    def reason(self, image: range, text: range) -> str | None:
        """Why any of these rows failed, or None."""
        for rows, wanted in ((self.images, image), (self.texts, text)):
            if rows is not None and rows.failed:
                found = next((rows.failed[row] for row in wanted if row in rows.failed), None)
                if found is not None:
                    return found
        return None


def named(record: Fields) -> dict[str, Any]:
    """The record of a picture that was seen and has no new vector."""
    return {**{name: record[name] for name in ("id", "image", "base") if name in record}, "keep": True}
