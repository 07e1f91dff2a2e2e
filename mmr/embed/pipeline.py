"""Embed a stream of records: decode ahead on threads, batch, encode; order in is order out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.encoders import Prepares, Rejects, model_name
from mmr.errors import BadItem, Reject, shown
from mmr.stream.pipe import batches
from mmr.stream.records import Record, add_step

if TYPE_CHECKING:
    from mmr.encoders import Encoder
    from mmr.pictures.read import Member

Vectors = NDArray[Any]
Compose = Callable[[Vectors, Vectors], Vectors]


class Binding(NamedTuple):
    """`--bind NAME=kind:FIELD`: embed a field as a picture's path or as words into `bindings`."""

    name: str
    kind: str
    field: str


class Seen(NamedTuple):
    """What reading a picture gave: facts of the file, and the picture as the encoder wants it.

    picture  None of a file whose digest the index has
    """

    facts: dict[str, Any]
    picture: Any


@dataclass(frozen=True)
class Plan:
    """How records become vectors.

    modality   "image": an item with both is embedded by its picture; "text" by its words; "both": the mean
    queries    a record with both is composed by `compose`
    templates  words go in at {}; several are averaged
    bindings   fields that go into `bindings`
    """

    modality: str = "image"
    queries: bool = False
    compose: Compose | None = None
    templates: tuple[str, ...] = ()
    bindings: tuple[Binding, ...] = ()
    batch: int = 32
    workers: int = field(default_factory=lambda: min(4, len(os.sched_getaffinity(0))))


@dataclass
class _Job:
    """One record on its way: what must be decoded and encoded for it, by the name of the result."""

    record: Record
    pictures: dict[str, Future[Seen]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    vectors: dict[str, Vectors] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    same: bool = False


def embed_records(
    records: Iterable[Record], encoder: Encoder, plan: Plan, *, reject: Reject, name_failed: bool = False
) -> Iterator[Record]:
    """Yield the records with their vectors, in order; records with a vector or `keep` pass untouched.

    name_failed  a picture that fails is still named, by a `keep` record, so that `index --sync` spares it

    A `FileRecord` says where a tar holds its picture and which digest the index has.
    """
    with ExitStack() as stack:
        work = _Work(encoder, plan, reject, name_failed, stack)
        held: list[_Job] = []
        for group in batches(records, plan.batch):
            jobs = [work.started(record) for record in group]
            yield from work.finished(held)
            held = jobs
            if len(jobs) < plan.batch:
                yield from work.finished(held)
                held = []
        yield from work.finished(held)


class _Work:
    def __init__(
        self, encoder: Encoder, plan: Plan, reject: Reject, name_failed: bool, stack: ExitStack
    ) -> None:
        self.encoder, self.plan, self.reject, self.name_failed = encoder, plan, reject, name_failed
        self._model = model_name(encoder)
        self._stack = stack
        self._pool: ThreadPoolExecutor | None = None

    def started(self, record: Record) -> _Job:
        """Begin to decode what the record needs."""
        job = _Job(record)
        if "vector" in record or "keep" in record:
            return job
        image, text = record.get("image"), record.get("text")
        by_words = self.plan.modality != "image" or self.plan.queries or not isinstance(image, str)
        by_picture = self.plan.modality != "text" or not isinstance(text, str)
        if self.plan.bindings:
            for name, kind, source in self.plan.bindings:
                self._ask(job, name, kind, record.get(source))
        else:
            if isinstance(image, str) and by_picture:
                self._ask(job, "image", "image", image)
            if isinstance(text, str) and by_words:
                self._ask(job, "text", "text", text)
        return job

    def _ask(self, job: _Job, name: str, kind: str, value: Any) -> None:
        if not isinstance(value, str):
            return
        if kind == "text":
            job.texts[name] = value
        else:
            job.pictures[name] = self._decoding(job.record, value)

    def _decoding(self, record: Record, image: str) -> Future[Seen]:
        if self._pool is None:
            self._pool = self._stack.enter_context(ThreadPoolExecutor(self.plan.workers))
            self._stack.callback(self._pool.shutdown, wait=False, cancel_futures=True)
        base = record.get("base")
        path = os.path.join(base, image) if isinstance(base, str) else image
        member, digest = getattr(record, "member", None), getattr(record, "digest", None)
        return self._pool.submit(self._seen, path, image, member, digest)

    def _seen(self, path: str, name: str, member: Member | None, known: str | None) -> Seen:
        """Read and decode one picture on a thread; a file whose digest is known is not decoded."""
        from mmr.pictures import digest, open_picture
        from mmr.pictures.read import read_contents

        contents = read_contents(path, member)
        facts = {"size": contents.size, "mtime": contents.mtime, "digest": digest(contents.data)}
        if facts["digest"] == known:
            return Seen(facts, None)
        picture = open_picture(name, contents.data)
        return Seen(facts, self.encoder.prepare(picture) if isinstance(self.encoder, Prepares) else picture)

    def finished(self, jobs: Sequence[_Job]) -> Iterator[Record]:
        """Encode what the jobs need, and yield their records."""
        good = [job for job in jobs if self._looked(job)]
        self._encode(good)
        for job in jobs:
            if job in good and (record := self._record(job)) is not None:
                yield record
            elif self.name_failed and "image" in job.record and job not in good:
                named = ("id", "image", "base")
                yield Record({**{k: job.record[k] for k in named if k in job.record}, "keep": True})

    def _looked(self, job: _Job) -> bool:
        """Wait for the pictures of a job; False when one cannot be used."""
        try:
            for name, future in job.pictures.items():
                seen = future.result()
                if name == "image":
                    job.facts = seen.facts
                    job.same = seen.picture is None
        except BadItem as item:
            self._fail(job, item)
            return False
        return True

    def _fail(self, job: _Job, item: BadItem) -> None:
        record = {k: v for k, v in job.record.items() if k not in ("size", "mtime")}
        self.reject(BadItem(item.where, item.what, item.fix, stage=item.stage, record=record))

    def _encode(self, jobs: list[_Job]) -> None:
        pictures = [
            (job, name, future.result().picture)
            for job in jobs if not job.same for name, future in job.pictures.items()
        ]  # fmt: skip
        texts = [(job, name, text) for job in jobs for name, text in job.texts.items()]
        for group, encode in ((pictures, self._images), (texts, self._texts)):
            for start in range(0, len(group), self.plan.batch):
                part = group[start : start + self.plan.batch]
                vectors, failed = encode([value for _, _, value in part])
                for number, (job, name, _) in enumerate(part):
                    if number in failed:
                        where = str(job.record.place or shown(str(job.record.get("id"))))
                        self._fail(job, BadItem(where, failed[number], stage="embed"))
                        jobs.remove(job)
                    else:
                        job.vectors[name] = vectors[number]

    def _images(self, pictures: list[Any]) -> tuple[Vectors, dict[int, str]]:
        if isinstance(self.encoder, Prepares):
            return np.asarray(self.encoder.encode_prepared(pictures)), {}
        if isinstance(self.encoder, Rejects):
            vectors, failed = self.encoder.try_images(pictures)
            return np.asarray(vectors), failed
        return np.asarray(self.encoder.encode_images(pictures)), {}

    def _texts(self, texts: list[str]) -> tuple[Vectors, dict[int, str]]:
        templates = self.plan.templates or ("{}",)
        total, failed = np.zeros((len(texts), self.encoder.dim)), {}
        for template in templates:
            filled = [template.replace("{}", text) for text in texts]
            if isinstance(self.encoder, Rejects):
                vectors, problems = self.encoder.try_texts(filled)
                failed.update(problems)
            else:
                vectors = self.encoder.encode_texts(filled)
            total += vectors
        return (_unit(total) if len(templates) > 1 else total.astype(np.float32)), failed

    def _record(self, job: _Job) -> Record | None:
        record = job.record
        if job.same:
            kept = {k: record[k] for k in ("id", "image", "base") if k in record}
            return Record({**kept, "keep": True, **job.facts}, record.place)
        if not job.vectors:
            if "vector" in record or "keep" in record:
                return record
            what, fix = "has no picture and no words", 'give it "image" or "text"'
            self.reject(
                BadItem(
                    str(record.place or shown(str(record.get("id")))), what, fix, stage="embed", record=record
                )
            )
            return None
        record.update(job.facts)
        if self.plan.bindings:
            record["bindings"] = {**record.get("bindings", {}), **job.vectors}
        else:
            record["vector"] = self._one(job.vectors)
        record["model"] = self._model
        add_step(record, f"embed {self.encoder.spec}")
        return record

    def _one(self, vectors: dict[str, Vectors]) -> Vectors:
        """The vector of a record: of its picture or words, or of both as the plan says."""
        if len(vectors) == 1:
            return next(iter(vectors.values()))
        image, text = vectors["image"][None], vectors["text"][None]
        if self.plan.queries and self.plan.compose is not None:
            return self.plan.compose(image, text)[0]
        return _unit(image.astype(np.float64) + text)[0]


def _unit(rows: Vectors) -> Vectors:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Vectors = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0).astype(np.float32)
    return unit
