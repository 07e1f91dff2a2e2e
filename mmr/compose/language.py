"""Captions of pictures and their edits, asked of programs, kept in the stream where people can edit them.

A record gets `caption` (or `captions`) and `edited`; what is there already is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from mmr.compose.styles import Style, one_line
from mmr.errors import BadItem, Reject, shown
from mmr.pictures.sent import facts
from mmr.programs.ask import Program
from mmr.programs.window import Answer
from mmr.stream.pipe import Records, batches
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

    def of(self, records: Iterable[Record]) -> Records:
        """The records with their captions and edits; what came is given out before more is waited for."""
        left = 0

        def filled() -> Iterator[Record]:
            nonlocal left
            for some in batches(records, AHEAD):
                if self._captioner is not None:
                    some = self._asked(some, self._captioner, self._pictures, self._captioned, "caption")
                if self._rewriter is not None:
                    some = self._asked(some, self._rewriter, self._changes, self._edited, "rewrite")
                for place, record in enumerate(some, 1):
                    left = len(some) - place
                    yield record

        return Records(filled(), lambda: left == 0)

    def _asked(
        self, records: list[Record], program: Program, ask: Callable[[Record], list[Request]],
        put: Callable[[Record, list[Answer], str], None], stage: str,
    ) -> list[Record]:  # fmt: skip
        """Ask what each record needs and put the answers into it; those that failed are left out."""
        asked: list[tuple[Record, int | BadItem]] = []

        def requests() -> Iterator[Request]:
            for record in records:
                try:
                    wanted = ask(record)
                except BadItem as error:
                    asked.append((record, error))
                    continue
                asked.append((record, len(wanted)))
                yield from wanted

        answers = iter(list(program.answers(requests())))
        kept = []
        for record, number in asked:
            if isinstance(number, BadItem):
                self._reject(number)
                continue
            found = list(islice(answers, number))
            if found:
                try:
                    put(record, found, program.hello["tag"])
                except ValueError as error:
                    self._reject(bad(record, stage, str(error)))
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
        found = captions_in(fields_of(answers[0]), self._count)
        record.update({"caption": found[0]} if self._count == 1 else {"captions": found})
        add_step(record, f"caption {shown(tag, 60)}")

    def _changes(self, record: Record) -> list[Request]:
        """The requests for the edits of a record's captions; none where it has edits."""
        return [] if record.get("edited") else changes(record, self._style)

    def _edited(self, record: Record, answers: list[Answer], tag: str) -> None:
        found: list[str] = []
        fallen = 0
        for answer in answers:
            for one in edits_in(fields_of(answer), self._style):
                fallen += one is None
                found.append(one_line(record["text"]) if one is None else one)
        several = isinstance(record.get("captions"), list) or len(found) > 1
        record["edited"] = found if several else found[0]
        self.fallen += fallen
        note = f", {fallen} fell back to the modification" if fallen else ""
        add_step(record, f"rewrite {shown(self._style.name, 60)} {shown(tag, 60)}{note}")


def prompted(records: Iterable[Record], style: Style, reject: Reject) -> Iterator[Record]:
    """Yield the records with the messages that ask for their edits; those with an edit as they are.

    `messages` is one chat for `caption`, a list of chats for `captions`.
    """
    for record in records:
        if not record.get("edited"):
            try:
                chats = [request["messages"] for request in changes(record, style)]
            except BadItem as error:
                reject(error)
                continue
            record["messages"] = chats if isinstance(record.get("captions"), list) else chats[0]
        yield record


class Parser:
    """Reads `reply` into `edited`; `fallen` counts the edits that are the modification itself."""

    def __init__(self, style: Style, reject: Reject) -> None:
        self._style, self._reject = style, reject
        self.fallen = 0

    def of(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records with their edits, without the messages; those with an edit as they are."""
        for record in records:
            if not record.get("edited"):
                try:
                    found = edits_in({"reply": record.get("reply")}, self._style)
                    text = modification(record)
                except ValueError:
                    self._reject(bad(record, "parse", 'has no words in "reply"'))
                    continue
                except BadItem as error:
                    self._reject(error)
                    continue
                edits = [one_line(text) if one is None else one for one in found]
                record["edited"] = edits if isinstance(record["reply"], list) else edits[0]
                self.fallen += sum(one is None for one in found)
            for name in ("messages", "reply"):
                record.pop(name, None)
            yield record


def changes(record: Record, style: Style) -> list[Request]:
    """The requests for the edits of a record's captions; raises `BadItem` where words are missing."""
    captions = captions_of(record)
    if not captions:
        raise bad(record, "rewrite", "has no caption to edit", "--caption-cmd asks for one")
    text = modification(record)
    return [{"caption": one, "text": text, "messages": style.messages(one, text)} for one in captions]


def modification(record: Record) -> str:
    """The words that say the edit; raises `BadItem` where there are none."""
    text = record.get("text")
    if isinstance(text, str) and text.strip():
        return text
    raise bad(record, "rewrite", "has no words that say the edit", 'give it "text"')


def captions_of(record: Mapping[str, Any]) -> list[str]:
    """The captions that a record has, in `captions` or `caption`."""
    value = record.get("captions") or record.get("caption")
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and one.strip()]


def picture_request(record: Record, image: str, count: int) -> Request:
    """What a captioner is sent: what `mmr.pictures.sent.facts` says of the picture, and `count` above 1.

    Raises `BadItem` where it cannot be read.
    """
    base = record.get("base")
    try:
        found: Request = {"id": record.get("id"), **facts(image, base if isinstance(base, str) else None)}
    except BadItem as error:
        raise bad(record, "caption", error.what, error.fix) from error
    return found if count == 1 else {**found, "count": count}


def captions_in(fields: Mapping[str, Any], count: int) -> list[str]:
    """The captions of an answer, one line each; raises `ValueError` in words unless there are `count`."""
    value = fields.get("captions", fields.get("caption"))
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise ValueError('the captioner answered without a "caption" of words')
    lines = [only_line(one, "caption") for one in found]
    if len(lines) != count:
        raise ValueError(f"the captioner answered with {len(lines)} captions, asked for {count}")
    return lines


def edits_in(fields: Mapping[str, Any], style: Style) -> list[str | None]:
    """The edits of an answer; None for one that falls back.

    `reply` holds a model's words, whose marked line counts. `edited` holds the edits themselves; where one
    has several lines, the marked one counts. Raises `ValueError` in words where neither is of words.
    """
    name = "reply" if "reply" in fields and "edited" not in fields else "edited"
    value = fields.get(name)
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(one, str) for one in values):
        raise ValueError(f'the rewriter answered without words in "{name}"')
    found: list[str | None] = []
    for one in values:
        marked = style.parse(one)
        if name == "reply" or marked is not None or not one.strip():
            found.append(marked)
        else:
            found.append(only_line(one, "edit"))
    return found


def fields_of(answer: Answer) -> dict[str, Any]:
    """The fields of an answer; raises `ValueError` with its problem."""
    if answer.fields is None:
        raise ValueError(answer.problem)
    return answer.fields


def fault(read: Callable[[Mapping[str, Any]], object]) -> Callable[[Mapping[str, Any]], str]:
    """A check of an answer's fields: what `read` finds wrong with them, "" for nothing."""

    def check(fields: Mapping[str, Any]) -> str:
        try:
            read(fields)
        except ValueError as error:
            return str(error)
        return ""

    return check


def only_line(words: str, what: str) -> str:
    """Words that are one line; raises `ValueError` in words for none and for several."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    if len(lines) == 1:
        return lines[0]
    raise ValueError(f"the {what} is of {len(lines)} lines, not one: {shown(words, 60)!r}")


def bad(record: Record, stage: str, what: str, fix: str = "") -> BadItem:
    """The error of one record."""
    place = record.place
    name = shown(str(record.get("id", record.get("image", "?"))))
    where = name if place is None else f"{place} ({name})"
    return BadItem(where, what, fix, stage=stage, record=record)
