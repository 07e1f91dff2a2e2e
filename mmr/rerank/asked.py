"""What a scorer is asked about a query and a hit, and what its answers mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from mmr.errors import BadItem
from mmr.pictures.sent import facts
from mmr.rerank.method import Tools

METHODS = ("score", "yes-no", "likelihood")
ENOUGH = 0.9  # mass of yes and no under which an answer is doubted
SLACK = 1e-3


class Read(NamedTuple):
    """What an answer says: its score; with yes and no the mass p(yes) + p(no), else None."""

    score: float
    mass: float | None = None


def read(method: str, fields: Mapping[str, Any]) -> Read:
    """Read an answer of a method of `METHODS`. Raises `ValueError` in words for one that says too little.

    score       `score`, any finite number
    yes-no      `yes` and `no`, probabilities: yes / (yes + no), .5 where both are 0
    likelihood  `logprob`, the mean over the tokens, or `logprobs`, a list of theirs
    """
    if method == "score":
        return Read(_number(fields, "score"))
    if method == "likelihood":
        if isinstance(fields.get("logprobs"), list) and fields["logprobs"]:
            values = [_number({"logprobs": value}, "logprobs") for value in fields["logprobs"]]
            return Read(sum(values) / len(values))
        return Read(_number(fields, "logprob"))
    yes, no = _number(fields, "yes"), _number(fields, "no")
    if min(yes, no) < 0 or yes + no > 1 + SLACK:
        raise ValueError(f'it answered with "yes" {yes:g} and "no" {no:g}, which are no probabilities')
    mass = yes + no
    return Read(yes / mass if mass > 0 else 0.5, mass)


def problem(method: str, fields: Mapping[str, Any]) -> str:
    """What is wrong with an answer, "" for nothing."""
    try:
        read(method, fields)
    except ValueError as error:
        return str(error)
    return ""


def _number(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        has = ", ".join(f'"{field}"' for field in fields) or "nothing"
        raise ValueError(f'it answered without a number in "{name}"; it has {has}')
    if not math.isfinite(value):
        raise ValueError(f'it answered with {value} in "{name}"')
    return float(value)


def masses(tokens: Mapping[str, float], yes: str, no: str) -> dict[str, float]:
    """The probabilities of both answers from the log-probabilities of a reply's first tokens.

    Tokens count for a word in any case and behind any blanks, also as SentencePiece and byte-level BPE write
    a blank: the id of "Yes" depends on the tokenizer, and the sum does not.

    >>> {name: round(p, 2) for name, p in masses({"Yes": -.5, " yes": -2.0, "No": -3.0}, "yes", "no").items()}
    {'yes': 0.74, 'no': 0.05}
    """
    sums = {"yes": 0.0, "no": 0.0}
    for token, value in tokens.items():
        word = token.strip("\u2581\u0120 \t\n").lower()
        if word == yes:
            sums["yes"] += math.exp(value)
        elif word == no:
            sums["no"] += math.exp(value)
    return sums


class Asker:
    """Makes the requests about queries and their hits; pictures are named by path and content."""

    def __init__(self, method: str, prompt: str | None) -> None:
        self._method, self._prompt = method, prompt
        self._facts = lru_cache(4096)(facts)

    def known(self, record: Mapping[str, Any], tools: Tools) -> Mapping[str, Any]:
        """A query with its words and its picture: its own, else those of the query of its id."""
        return {**tools.queries.get(record["id"], {}), **record}

    def shown(self, hits: Sequence[Mapping[str, Any]], tools: Tools) -> Sequence[Mapping[str, Any]]:
        """Hits with their words or pictures: their own, else those that are stored."""
        bare = [hit["id"] for hit in hits if not {"image", "text"} & set(hit)]
        if not bare or tools.fields_of is None:
            return hits
        stored = dict(zip(bare, tools.fields_of(bare, ("image", "text")), strict=True))
        return [{**(stored.get(hit["id"]) or {}), **hit} for hit in hits]

    def of_query(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """What every request about a query says: `qid`, `method`, `query`, `query_image`, `prompt`.

        The method is there because an answer in the cache to another method says too little.
        """
        found: dict[str, Any] = {"qid": record["id"], "method": self._method}
        if isinstance(record.get("text"), str):
            found["query"] = record["text"]
        found |= self._picture(record, "query_")
        return found if self._prompt is None else {**found, "prompt": self._prompt}

    def of_hit(self, query: Mapping[str, Any], hit: Mapping[str, Any]) -> dict[str, Any]:
        """The request about one hit: its `id`, `image` and `text` besides.

        A hit that has neither is also named by `item`: ids do not count in the cache.
        """
        found = {**query, "id": hit["id"], **self._picture(hit, "")}
        if isinstance(hit.get("text"), str):
            found["text"] = hit["text"]
        return found if {"image", "text"} & set(found) else {**found, "item": hit["id"]}

    def _picture(self, source: Mapping[str, Any], prefix: str) -> dict[str, str]:
        """A picture that cannot be read is named as it is: a program may know it elsewhere."""
        image, base = source.get("image"), source.get("base")
        if not isinstance(image, str):
            return {}
        try:
            return self._facts(image, base if isinstance(base, str) else None, prefix)
        except BadItem:
            return {f"{prefix}image": image}
