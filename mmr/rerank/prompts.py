"""What a model is asked about a query and a candidate, as data files."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from mmr.errors import BadDataError, MissingInputError, UsageError, shown

PROMPTS = ("yes-no", "true-false")
FIX = 'It needs "question", "yes" and "no", as the prompts that ship have; see mmr/rerank/prompts.'


class Prompt(NamedTuple):
    """One question.

    name      of the file, or its path
    summary   what is asked, in a few words
    source    where the idea is from
    question  what stands behind query and candidate
    yes, no   the answers, in lower case, that count for and against
    """

    name: str
    summary: str
    source: str
    question: str
    yes: str
    no: str


def load_prompt(name: str) -> Prompt:
    """Read the prompt of a name, or of a file of the user's (its name holds a dot or a slash).

    Raises `UsageError` for a name that there is not, `MissingInputError` and `BadDataError` for a file that
    cannot be read or lacks what a prompt has.
    """
    if re.fullmatch(r"[a-z-]+", name):
        if name not in PROMPTS:
            known = ", ".join(PROMPTS)
            raise UsageError(f"no such prompt {shown(name)!r}", f"There are: {known}; or name a file.")
        return _prompt(name, (files("mmr.rerank") / "prompts" / f"{name}.toml").read_bytes())
    try:
        data = Path(name).read_bytes()
    except OSError as error:
        what = f"the prompt {shown(name)} cannot be read: {error.strerror}"
        raise MissingInputError(what, f"Prompts that ship: {', '.join(PROMPTS)}.") from error
    return _prompt(name, data)


def _prompt(name: str, data: bytes) -> Prompt:
    import tomllib

    try:
        stated = tomllib.loads(data.decode())
    except ValueError as error:
        raise BadDataError(f"the prompt {shown(name)} is no TOML: {error}", FIX) from error
    found = Prompt(
        name, _words(stated, "summary", name, ""), _words(stated, "source", name, ""),
        _words(stated, "question", name), _words(stated, "yes", name).lower(),
        _words(stated, "no", name).lower(),
    )  # fmt: skip
    if found.yes == found.no:
        raise BadDataError(f'the prompt {shown(name)} has the same word for "yes" and "no"', FIX)
    return found


def _words(stated: dict[str, Any], field: str, name: str, default: str | None = None) -> str:
    value = stated.get(field, default)
    if isinstance(value, str) and (value.strip() or default == ""):
        return value.strip()
    raise BadDataError(f'the prompt {shown(name)} has no words in "{field}"', FIX)
