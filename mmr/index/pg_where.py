"""What an item must have, as SQL over the table of items; see `mmr.index.lookup.fits` for what fits."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmr.index.bases import absolute

if TYPE_CHECKING:
    from mmr.index.engine import Where


def is_text(text: str) -> bool:
    """Whether PostgreSQL's text can be that; bytes of a command line that are no UTF-8 are surrogates."""
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def fits(where: Where) -> tuple[str, list[Any]]:
    """WHERE of what items must have, and its values."""
    parts, values = [], []
    for field, value in where:
        if not (is_text(value) and is_text(field)):
            parts.append("false")
        elif field in ("id", "digest", "parent"):
            parts.append(f"{field} = %s")
            values.append(value)
        elif field == "image":
            parts.append("(image = %s OR path IN (%s, %s))")
            values += [value, value, absolute(str(Path.cwd()), value) or value]
        else:
            path, names = _path(field, value)
            parts.append("jsonb_path_exists(fields::jsonb, %s::jsonpath, %s::jsonb, true)")
            values += [path, names]
    return ("WHERE " + " AND ".join(parts) if parts else ""), values


def _path(field: str, value: str) -> tuple[str, str]:
    """A path that exists where a field, or an element of its lists, is what the user wrote, and its names."""
    names: dict[str, Any] = {"text": value}
    with suppress(ValueError):
        number = float(value)
        names |= {"number": number} if number - number == 0 else {}
    if value in ("true", "false"):
        names["flag"] = value == "true"
    tests = " || ".join(f"@ == ${name}" for name in names)
    return f"$.{json.dumps(field)}[*][*][*] ? ({tests})", json.dumps(names)
