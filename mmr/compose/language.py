"""Captions of pictures and their edits, asked of programs, kept in the stream where people can edit them.

A record gets `caption` (or `captions`) and `edited`; what is there already is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from mmr.compose.styles import Style, one_line
from mmr.errors import BadItem, Reject, shown
from mmr.pictures.read import digest, read_contents, split_member
from mmr.programs.ask import Program
from mmr.programs.window import Answer
from mmr.stream.records import Record, add_step

AHEAD = 128  # records that are read before the first of them is given out
Request = dict[str, Any]


class Language:
    """Fills in captions and edits, record by record, in order.

    captioner  asked for `count` captions of each picture that has none; None leaves records as they are
    rewriter   asked for an edit of each caption of a record that has none; None likewise
    style      what rewriters are asked, and how a reply is read
    fallen     how many edits are the modification itself, because the reply held none

    A record whose caption or edit cannot be had goes to `reject` and is left out. At most `AHEAD` records
    are held.
    """

    def __init__(
        self, captioner: Program | None, rewriter: Program | None, style: Style, *, count: int = 1,
        reject: Reject,
    ) -> None:  # fmt: skip
        self._captioner, self._rewriter = captioner, rewriter
        self._style = style
        self._count = count
        self._reject = reject
        self.fallen = 0

    def of(self, records: Iterable[Record], waits: Callable[[], bool] | None = None) -> Iterator[Record]:
        """Yield the records with their captions and edits.

        waits  tells whether the next record would have to be waited for; then all before it are given out
        """
        for some in chunks(records, waits):
            if self._captioner is not None:
                some = self._asked(some, self._captioner, self._pictures, self._captioned)
            if self._rewriter is not None:
                some = self._asked(some, self._rewriter, self._changes, self._edited)
            yield from some

    def _asked(
        self, records: list[Record], program: Program, ask: Callable[[Record], list[Request]],
        put: Callable[[Record, list[Answer], str], None],
    ) -> list[Record]:  # fmt: skip
        """Ask what each record needs and put the answers into it; those that failed are left out."""
        asked: list[tuple[Record, int]] = []

        def requests() -> Iterator[Request]:
            for record in records:
                try:
                    wanted = ask(record)
                except BadItem as bad:
                    self._reject(bad)
                    continue
                asked.append((record, len(wanted)))
                yield from wanted

        answers = iter(list(program.answers(requests())))
        kept = []
        for record, number in asked:
            found = list(islice(answers, number))
            if found:
                try:
                    put(record, found, program.hello["tag"])
                except BadItem as bad:
                    self._reject(bad)
                    continue
            kept.append(record)
        return kept

    def _pictures(self, record: Record) -> list[Request]:
        """The request for the captions of a picture; none where it has some."""
        if captions_of(record):
            return []
        image = record.get("image")
        if not isinstance(image, str):
            raise bad(record, "caption", "has no picture to caption", 'give it "image" or "caption"')
        return [picture_request(record, image, self._count)]

    def _captioned(self, record: Record, answers: list[Answer], tag: str) -> None:
        found = captions_in(record, answers[0])
        if len(found) != self._count:
            what = f"the captioner answered with {len(found)}, asked for {self._count}"
            raise bad(record, "caption", what, "--captions says how many")
        record.update({"caption": found[0]} if self._count == 1 else {"captions": found})
        add_step(record, f"caption {shown(tag, 60)}")

    def _changes(self, record: Record) -> list[Request]:
        """The requests for the edits of a record's captions; none where it has edits."""
        if record.get("edited"):
            return []
        captions, text = captions_of(record), record.get("text")
        if not captions:
            raise bad(record, "rewrite", "has no caption to edit", "--caption-cmd asks for one")
        if not isinstance(text, str) or not text.strip():
            raise bad(record, "rewrite", "has no words that say the edit", 'give it "text"')
        return [
            {"caption": one, "text": text, "messages": self._style.messages(one, text)} for one in captions
        ]

    def _edited(self, record: Record, answers: list[Answer], tag: str) -> None:
        found: list[str] = []
        fallen = 0
        for answer in answers:
            for one in edits_in(record, answer, self._style):
                fallen += one is None
                found.append(one_line(record["text"]) if one is None else one)
        record["edited"] = found if "captions" in record or len(found) > 1 else found[0]
        self.fallen += fallen
        note = f", {fallen} fell back to the modification" if fallen else ""
        add_step(record, f"rewrite {shown(self._style.name, 60)} {shown(tag, 60)}{note}")


def chunks(records: Iterable[Record], waits: Callable[[], bool] | None) -> Iterator[list[Record]]:
    """Yield lists of at most `AHEAD` records, shorter ones where the next would have to be waited for."""
    held: list[Record] = []
    for record in records:
        held.append(record)
        if len(held) >= AHEAD or (waits is not None and waits()):
            yield held
            held = []
    if held:
        yield held


def captions_of(record: Mapping[str, Any]) -> list[str]:
    """The captions that a record has, in `captions` or `caption`."""
    value = record.get("captions") or record.get("caption")
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and one.strip()]


def picture_request(record: Record, image: str, count: int) -> Request:
    """What a captioner is sent: the picture's absolute path and its digest, of a tar's member its bytes.

    Raises `BadItem` where it cannot be read.
    """
    base = record.get("base")
    path = str(Path(base if isinstance(base, str) else "", image).absolute())
    try:
        data = read_contents(path).data
    except BadItem as error:
        raise bad(record, "caption", error.what, error.fix) from error
    request: Request = {"id": record.get("id"), "image": path, "digest": digest(data)}
    if count > 1:
        request["count"] = count
    if split_member(path) is not None:
        import base64

        request["image_data"] = base64.b64encode(data).decode("ascii")
    return request


def captions_in(record: Record, answer: Answer) -> list[str]:
    """The captions of an answer, one line each; raises `BadItem` where it has none, or one of many lines."""
    fields = answered(record, answer, "caption")
    value = fields.get("captions", fields.get("caption"))
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise bad(record, "caption", 'the captioner answered without a "caption" of words')
    return [only_line(record, one, "caption") for one in found]


def edits_in(record: Record, answer: Answer, style: Style) -> list[str | None]:
    """The edits of an answer; None for one that fell back.

    `reply` holds a model's words, whose marked line counts. `edited` holds the edits themselves; where one
    has several lines, the marked one counts. Raises `BadItem` where neither is of words.
    """
    fields = answered(record, answer, "rewrite")
    raw = "reply" in fields and "edited" not in fields
    value = fields.get("reply" if raw else "edited")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(one, str) for one in values):
        raise bad(record, "rewrite", 'the rewriter answered without "edited" words')
    found: list[str | None] = []
    for one in values:
        marked = style.parse(one)
        if raw or marked is not None or not one.strip():
            found.append(marked)
        else:
            found.append(only_line(record, one, "rewrite"))
    return found


def answered(record: Record, answer: Answer, stage: str) -> dict[str, Any]:
    """The fields of an answer; raises `BadItem` with its problem."""
    if answer.fields is None:
        raise bad(record, stage, answer.problem)
    return answer.fields


def only_line(record: Record, words: str, stage: str) -> str:
    """Words that are one line; raises `BadItem` for none and for several."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    if len(lines) == 1:
        return lines[0]
    what = f"the {stage} is of {len(lines)} lines, not one: {shown(words, 60)!r}"
    raise bad(record, stage, what)


def bad(record: Record, stage: str, what: str, fix: str = "") -> BadItem:
    """The error of one record."""
    place = record.place
    name = shown(str(record.get("id", record.get("image", "?"))))
    where = name if place is None else f"{place} ({name})"
    return BadItem(where, what, fix, stage=stage, record=record)
