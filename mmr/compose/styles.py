"""What captioners and rewriters are asked, as data files, and how a rewriter's reply is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from mmr.errors import BadDataError, MissingInputError, UsageError, shown

STYLES = ("short", "contextual", "structural", "fashion", "focus")
CAPTION = "caption"
MARKER = "Edited description:"
Message = dict[str, Any]


class Example(NamedTuple):
    """A worked example: what a picture shows, the edit, what the edited picture shows."""

    caption: str
    text: str
    edited: str


class Style(NamedTuple):
    """One way to ask.

    name          of the file, or its path
    summary       what the answers are like, in a few words
    source        where the idea of the prompt is from
    instructions  what the model is told first
    marker        what the line of the answer starts with
    """

    name: str
    summary: str
    source: str
    instructions: str
    marker: str
    examples: tuple[Example, ...]

    def messages(self, caption: str, text: str) -> list[Message]:
        """The messages of a chat that ask for one edit: what is in the picture, then the instruction."""
        made: list[Message] = [{"role": "system", "content": self.instructions}]
        for one in self.examples:
            made.append({"role": "user", "content": question(one.caption, one.text)})
            made.append({"role": "assistant", "content": f"{self.marker} {one.edited}"})
        return [*made, {"role": "user", "content": question(caption, text)}]

    def parse(self, reply: str) -> str | None:
        """The edited description in a reply: what follows the marker on the first line that starts with it.

        None where no line does, or nothing follows. The line is split once, so a description keeps its
        colons. Stars, quotes and hashes of markup around marker and description do not count.
        """
        for line in reply.splitlines():
            bare = line.lstrip(" \t*#>_-")
            if bare.casefold().startswith(self.marker.casefold()):
                return bare[len(self.marker) :].strip(" \t*_\"“”'`") or None
        return None


def question(caption: str, text: str) -> str:
    """What is asked: a line with the picture's content, then a line with the instruction.

    >>> question("a dog", "at\\nnight")
    'Picture: a dog\\nInstruction: at night'
    """
    return f"Picture: {one_line(caption)}\nInstruction: {one_line(text)}"


def one_line(words: str) -> str:
    """Words with each run of blanks and line ends as one blank."""
    return " ".join(words.split())


def load_style(name: str) -> Style:
    """Read the style of a name, or of a file of the user's (its name holds a dot or a slash).

    Raises `UsageError` for a name that there is not, `MissingInputError` and `BadDataError` for a file that
    cannot be read or lacks what a style has.
    """
    if re.fullmatch(r"[a-z]+", name):
        if name not in (*STYLES, CAPTION):
            from difflib import get_close_matches

            near = get_close_matches(name, STYLES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"no such style {name!r}{hint}", f"There are: {', '.join(STYLES)}; or a file.")
        return _style(name, (files("mmr.compose") / "prompts" / f"{name}.toml").read_bytes())
    try:
        data = Path(name).read_bytes()
    except OSError as error:
        raise MissingInputError(f"the style {shown(name)} cannot be read: {error.strerror}",
                                f"Styles that ship: {', '.join(STYLES)}.") from error  # fmt: skip
    return _style(name, data)


def _style(name: str, data: bytes) -> Style:
    import tomllib

    try:
        stated = tomllib.loads(data.decode())
    except ValueError as error:
        raise BadDataError(f"the style {shown(name)} is no TOML: {error}", FIX) from error
    examples = stated.get("examples", [])
    if not isinstance(examples, list):
        raise BadDataError(f'the style {shown(name)}: "examples" is no list of tables', FIX)
    return Style(
        name, _words(stated, "summary", name, ""), _words(stated, "source", name, ""),
        one_paragraph(_words(stated, "instructions", name)), _words(stated, "marker", name, MARKER),
        tuple(Example(*(_words(one, field, name) for field in Example._fields)) for one in examples),
    )  # fmt: skip


FIX = "Write it as the styles that ship are: `mmr compose prompt --help` says where they are."


def _words(table: Any, field: str, name: str, default: str | None = None) -> str:
    value = table.get(field, default) if isinstance(table, Mapping) else None
    if isinstance(value, str) and (value.strip() or default == ""):
        return value
    raise BadDataError(f'the style {shown(name)} has no words in "{field}"', FIX)


def one_paragraph(text: str) -> str:
    """Instructions without blanks around them."""
    return text.strip()
