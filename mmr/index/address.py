"""Addresses of collections that a server keeps: `postgresql://host/db#pics`; passwords are never shown."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from mmr.errors import UsageError, shown

LOOKS = re.compile(r"[a-z][a-z0-9+.-]*://|(postgres(ql)?|milvus(\+\w+)?):", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")
SECRETS = frozenset({"password", "sslpassword", "passfile", "token", "secret", "apikey", "api_key"})
PORT = re.compile(r"^[^:]*$|:\d*(/|$)|^\[")
UNSOUND = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~!$&'()*+,;=%-]")  # in a password of an address
HIDDEN = "***"


def is_address(text: str | os.PathLike[str]) -> bool:
    """Tell whether a name of an index is an address of an engine and no folder.

    >>> is_address("postgresql://host/db#pics"), is_address("pics.mmr")
    (True, False)
    """
    return isinstance(text, Address) or (isinstance(text, str) and LOOKS.match(text) is not None)


@dataclass(frozen=True)
class Address:
    """Where a collection is. `str` of it shows no password.

    scheme      what stands before `://`, in small letters
    server      the whole address without the name, as the client takes it, password included and encoded
    collection  what stands after `#`
    name        the address as it may be shown
    """

    scheme: str
    server: str = field(repr=False)
    collection: str
    name: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self.name

    def clean(self, text: str) -> str:
        """What a client said, on one line, without the passwords of the address.

        >>> read("postgresql://me:pw1@h/db#pics").clean("no way in\\nwith pw1")
        'no way in with ***'
        """
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return shown(" ".join(text.split()), 400)


def read(text: str | Address) -> Address:
    """Take an address apart. Raises `UsageError` for one without a name, or that is none.

    >>> str(read("postgresql://me:secret@host:5432/db?sslmode=require#pics"))
    'postgresql://me@host:5432/db?sslmode=require#pics'
    """
    if isinstance(text, Address):
        return text
    scheme, _, rest = text.partition(":")
    if not rest.startswith("//"):
        raise UsageError(f"{shown(scheme)}: is no address", f"Write {shown(scheme)}://HOST/DATABASE#NAME.")
    start, mark, collection = text.rpartition("#")
    if not mark or "@" in collection:  # the # is of a password that was not written as %23
        start, mark, collection = text, "", ""
    name, secrets, password = _without_secrets(start)
    if not NAME.fullmatch(collection):
        raise UsageError(
            f"{shown(name)}{'#' if mark else ''}{shown(collection)} names no collection",
            "Write ADDRESS#NAME, the name of letters, digits and _: postgresql://host/db#pics.",
        )
    scheme = start.partition("://")[0].lower()
    sound = UNSOUND.sub(lambda found: quote(found[0], safe=""), password)
    server = start.replace(f"{password}@", f"{sound}@", 1)
    return Address(scheme, server, collection, f"{name}#{collection}", (*secrets, *filter(None, [sound])))


def _without_secrets(text: str) -> tuple[str, tuple[str, ...], str]:
    """The address without its passwords; these, as written and as meant; and the one before the host."""
    scheme, _, rest = text.partition("://")
    before, mark, query = rest.partition("?")
    at = before.rfind("@")
    odd = "@" in query and "=" not in query.partition("@")[0]
    if odd or (at < 0 and not PORT.search(before)):  # a ? of a password that was not written as %3F
        before, mark, query = rest, "", ""
        at = before.rfind("@")
    user, colon, password = before[: max(at, 0)].partition(":")
    if not colon and scheme.lower().startswith("milvus"):  # a token
        user, colon, password = "", ":", user
    pairs = [pair for pair in query.split("&") if pair]
    hidden = [pair for pair in pairs if unquote(pair.partition("=")[0]).lower() in SECRETS]
    found = [password, *(pair.partition("=")[2] for pair in hidden)]
    left = "&".join(pair for pair in pairs if pair not in hidden)
    host = before[at + 1 :] if at >= 0 else before
    name = f"{scheme}://{user}{'@' if user else ''}{host}{mark if left else ''}{left}"
    meant = {form for one in found for form in (one, unquote(one)) if form}
    return name, tuple(sorted(meant, key=len, reverse=True)), password
