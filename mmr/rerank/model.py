"""Hits scored by a model: a program of the user's, or one behind a server, asked pair by pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from mmr.arrays.scales import minmax
from mmr.errors import UsageError, shown
from mmr.programs.window import Answer as Reply
from mmr.rerank.asked import ENOUGH, Asker, Read, problem, read
from mmr.rerank.chats import yes_no_chat
from mmr.rerank.method import Answer, Floats, Given, Method, Tools
from mmr.rerank.order import below, falling
from mmr.rerank.prompts import load_prompt

OWN: dict[str, tuple[str, ...]] = {"score": (), "yes-no": ("prompt",), "likelihood": ("prior",)}


class Scored(NamedTuple):
    """What came back for the hits of a query that were asked about: what was read, or why nothing was."""

    reads: Sequence[Read | str]
    prior: float
    failure: str = ""


def final(model: Floats, first: Floats, weight: float, bounded: bool) -> Floats:
    """weight * the model's scores (n,) + (1 - weight) * the first scores (n,), both from 0 to 1.

    bounded  the model's scores are that already; others are put between their least and most, as the first
             ones are
    """
    own = np.asarray(model, np.float64)
    if not len(own):
        return own
    found: Floats = weight * (own if bounded else minmax(own, own)) + (1 - weight) * minmax(first, first)
    return found


def untied(scores: Floats, ids: Sequence[str]) -> Floats:
    """Scores (n,) as float32 in which what ties keeps the order in which it comes."""
    exact = np.asarray(scores, np.float32)
    order = np.argsort(-exact, kind="stable")
    found = np.empty(len(exact), np.float64)
    found[order] = falling([ids[place] for place in order.tolist()], exact[order])
    return found


class Model(Method):
    """Asks about the first hits of each query, from the top, as many as the budget allows."""

    BATCH = 8

    def __init__(self, params: Mapping[str, Any], tools: Tools) -> None:
        super().__init__(params, tools)
        self.way = params["method"]
        given = {name for names in OWN.values() for name in names if params[name] is not None}
        wrong = next((name for name in sorted(given) if name not in OWN[self.way]), None)
        if wrong is not None:
            way = next(way for way, names in OWN.items() if wrong in names)
            fix = f"Leave it out, or use --method {way}."
            raise UsageError(f"--{wrong} means nothing to --method {self.way}", fix)
        if params["weight"] is not None and params["final"] == "replace":
            raise UsageError("--weight is of --final convex", "Leave it out, or use --final convex.")
        if tools.scorer is None:
            raise UsageError("model needs a program or a server to ask", "Name it with --cmd or --url.")
        prompt = load_prompt(params["prompt"] or "yes-no") if self.way == "yes-no" else None
        chat = None if prompt is None else yes_no_chat(prompt)
        self._program = tools.scorer(chat, lambda fields: problem(self.way, fields))
        self._asker = Asker(self.way, None if prompt is None else prompt.question)
        self._weight = 0.5 if params["weight"] is None else params["weight"]
        default = 1.0 if self.way == "likelihood" else 0.0
        self._prior = default if params["prior"] is None else params["prior"]
        self._doubted: list[float] = []

    def rerank_all(self, given: Sequence[Given]) -> Sequence[Answer | Exception]:
        """The requests of a batch share the program's window, so that it never waits for a query's end."""
        calls = [self.params["budget"] - bool(self._prior)] * len(given)
        counts = [min(max(call, 0), len(one.hits)) for call, one in zip(calls, given, strict=True)]
        replies = self._program.answers(self._requests(given, counts))
        found: list[Answer | Exception] = []
        for one, count in zip(given, counts, strict=True):
            found.append(self._answer(one, count, self._scored(list(islice(replies, self._asked(count))))))
        return found

    def _asked(self, count: int) -> int:
        """How many requests a query has for `count` hits."""
        return count + (bool(self._prior) if count else 0)

    def _requests(self, given: Sequence[Given], counts: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        for one, count in zip(given, counts, strict=True):
            query = self._asker.of_query(self._asker.known(one.record, self.tools))
            if count and self._prior:
                yield {**query, "blank": True}
            for hit in self._asker.shown(one.hits[:count], self.tools):
                yield self._asker.of_hit(query, hit)

    def _scored(self, replies: Sequence[Reply]) -> Scored:
        """What the replies to one query's requests say; without its prior none counts."""
        prior, failure = 0.0, ""
        if self._prior and replies:
            first, replies = replies[0], replies[1:]
            if first.fields is None:
                failure = f"the query alone got no likelihood: {first.problem}"
            else:
                prior = self._prior * read(self.way, first.fields).score
        found = [reply.problem if reply.fields is None else read(self.way, reply.fields) for reply in replies]
        return Scored([failure or one for one in found], prior, failure)

    def _answer(self, given: Given, count: int, scored: Scored) -> Answer:
        model = np.array([np.nan if isinstance(one, str) else one.score - scored.prior
                          for one in scored.reads])  # fmt: skip
        good = np.flatnonzero(~np.isnan(model))
        ids = [hit["id"] for hit in given.hits]
        new = np.full(len(given.hits), np.nan)
        scores = model[good]
        if self.params["final"] == "convex":
            scores = final(scores, given.scores[good], self._weight, self.way == "yes-no")
        new[good] = untied(scores, [ids[place] for place in good])
        rest = given.scores[count:]
        new[count:] = below(rest, float(new[good].min())) if len(good) else rest
        failed = {place: one for place, one in enumerate(scored.reads) if isinstance(one, str)}
        least = self.params["min_score"]
        kept = None
        if least is not None:
            kept = np.zeros(len(ids), bool)
            kept[:count] = np.isnan(model) | (model >= least)
        return Answer(
            new, kept=kept, tail=least is None, failed=failed, fields=self._fields(model, scored, len(ids)),
            why=self._why(model, scored, len(ids)), step=f"by {shown(self._program.hello['tag'], 60)}",
        )  # fmt: skip

    def _fields(self, model: Floats, scored: Scored, size: int) -> dict[str, list[Any]]:
        """The model's own score where another is written, the mass of yes and no, a flag where it is 0."""
        none = [None] * (size - len(model))
        found: dict[str, list[Any]] = {}
        if self.params["final"] == "convex":
            found["model_score"] = [None if np.isnan(one) else float(one) for one in model] + none
        if self.way == "yes-no":
            masses = [None if isinstance(one, str) else one.mass for one in scored.reads]
            self._doubted += [mass for mass in masses if mass is not None and mass < ENOUGH]
            found["mass"] = [*masses, *none]
            found["unanswered"] = [True if mass == 0 else None for mass in masses] + none
        return found

    def _why(self, model: Floats, scored: Scored, size: int) -> list[str]:
        words = []
        for score, one in zip(model.tolist(), scored.reads, strict=True):
            if isinstance(one, str):
                words.append(f"keeps its place: {one}")
            elif one.mass is None:
                words.append(f"the model says {score:.6g}")
            else:
                words.append(f"the model says {score:.4f}, with p(yes) + p(no) = {one.mass:.4f}")
        return words + [f"not asked: beyond the budget of {self.params['budget']} calls"] * (
            size - len(words)
        )

    def close(self) -> None:
        """Say how often the model answered with something else than yes or no."""
        if self._doubted:
            answers = "1 answer has" if len(self._doubted) == 1 else f"{len(self._doubted):,} answers have"
            self.tools.note(
                f"{answers} p(yes) + p(no) under {ENOUGH:g}, the lowest {min(self._doubted):.4f}: the model "
                "wants to say something else, so that what it says of yes and no is weak. Another --prompt "
                "may help."
            )
