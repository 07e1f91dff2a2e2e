"""The bank of words that ships with mmr: everyday queries in several languages, put together from lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from itertools import product
from pathlib import Path

from mmr.errors import UsageError, shown

NAME = "words"
FOLDER = Path(__file__).with_name("everyday")


def languages() -> list[str]:
    """The languages that there are, English first: "en", "de", ..."""
    return sorted((file.stem for file in FOLDER.glob("*.txt")), key=lambda name: (name != "en", name))


def named(bank: str) -> list[str] | None:
    """The languages of `words` (all) or `words:en,de`; None for the name of a file.

    Raises `UsageError` for a language that there is not.
    """
    name, colon, rest = bank.partition(":")
    if name != NAME:
        return None
    chosen = rest.split(",") if colon else languages()
    for one in chosen:
        if one not in languages():
            what = f"no words in {shown(one)!r} ship with mmr."
            raise UsageError(what, f"There are: {', '.join(languages())}.")
    return list(dict.fromkeys(chosen))


def everyday(chosen: Sequence[str]) -> list[str]:
    """The queries of those languages, each once, in the order of their files."""
    found: dict[str, None] = {}
    for language in chosen:
        found.update(dict.fromkeys(_read((FOLDER / f"{language}.txt").read_text(encoding="utf8"))))
    return list(found)


def _read(text: str) -> list[str]:
    """Put together what a file says: `[name]` with a list, and `[take]` with how many of each pattern.

    Of a pattern with several lists the combinations come in an order that only their own words decide.
    """
    lists: dict[str, list[str]] = {}
    takes: list[str] = []
    now = ""
    for line in text.splitlines():
        if line.startswith("["):
            now = line.strip("[]")
        elif now == "take":
            takes.append(line)
        elif now and not line.startswith("#"):
            lists.setdefault(now, []).extend(part.strip() for part in line.split(";"))
    found = []
    for line in takes:
        count, _, pattern = line.partition(" ")
        names = re.findall(r"{(\w+)}", pattern)
        form = re.sub(r"{\w+}", "{}", pattern)
        whole = [form.format(*parts) for parts in product(*(lists[name] for name in names))
                 if len(set(parts)) == len(parts)]  # fmt: skip
        found += whole if len(names) == 1 else sorted(whole, key=_mixed)[: int(count)]
    return found


def _mixed(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()
