"""An expensive scorer asked about a few hits; the others are guessed, and the best guesses are asked next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, BadItem, UsageError, raise_item, shown
from mmr.rerank.approximate import cur, ridge, shares
from mmr.rerank.asked import Asker, problem, read
from mmr.rerank.chats import yes_no_chat
from mmr.rerank.method import Answer, Floats, Given, Method, Tools
from mmr.rerank.model import untied
from mmr.rerank.order import below
from mmr.rerank.prompts import load_prompt
from mmr.stream.read import read_records


class Anchors:
    """The scorer's scores of many items for anchor queries: `matrix` (a, n), a column an item."""

    def __init__(self, path: str) -> None:
        rows: list[dict[str, float]] = []
        for record in read_records([path], reject=raise_item, vectors=False):
            if "hits" not in record or any(hit.get("score") is None for hit in record["hits"]):
                raise BadDataError(f"{record.place} has no hits with scores", "Anchors are scored queries.")
            rows.append({hit["id"]: float(hit["score"]) for hit in record["hits"]})
        whole = sorted(set.intersection(*map(set, rows))) if rows else []
        if not whole:
            what = f"{shown(path)} has no item that all of its {len(rows):,} queries scored"
            raise BadDataError(what, "Score the same items for every anchor query.")
        self.column = {name: place for place, name in enumerate(whole)}
        self.matrix = np.array([[row[name] for name in whole] for row in rows])

    def of(self, names: Sequence[str]) -> tuple[NDArray[np.int64], Floats]:
        """Which of the named items are known, and their columns."""
        known = np.array([place for place, name in enumerate(names) if name in self.column], np.int64)
        return known, self.matrix[:, [self.column[names[place]] for place in known.tolist()]]


class Asked:
    """One query while it is scored: which of its hits got a score or failed, and how others are guessed."""

    def __init__(self, given: Given, known: NDArray[np.int64], about: Floats, by_anchors: bool) -> None:
        self.given = given
        self.known, self.about, self.by_anchors = known, about, by_anchors
        self.values = np.full(len(given.hits), np.nan)
        self.failed: dict[int, str] = {}
        self.next: list[int] = []

    def guesses(self) -> Floats:
        """A guess for each hit (m,); -inf for those that nothing is known of, and for all before a score."""
        found = np.full(len(self.values), -np.inf)
        inside = np.flatnonzero(~np.isnan(self.values[self.known]))
        if len(inside):
            guess = cur if self.by_anchors else ridge
            found[self.known] = guess(self.about, inside, self.values[self.known[inside]])
        return found

    def choose(self, count: int, first: bool) -> list[int]:
        """The places of the hits to ask about next: at first the first known ones, then the best guesses."""
        open_ = np.isnan(self.values)
        open_[list(self.failed)] = False
        if first:
            self.next = self.known[:count].tolist()
            return self.next
        places = np.flatnonzero(open_)
        order = np.argsort(-self.guesses()[places], kind="stable")
        self.next = places[order[:count]].tolist()
        return self.next


class Cur(Method):
    """ANNCUR with one round, ADACUR with more; without anchors by ridge regression from stored vectors."""

    BATCH = 8

    def __init__(self, params: Mapping[str, Any], tools: Tools) -> None:
        super().__init__(params, tools)
        self.way = params["method"]
        if tools.scorer is None:
            raise UsageError("cur needs a program or a server to ask", "Name it with --cmd or --url.")
        if params["prompt"] is not None and self.way != "yes-no":
            fix = "Leave it out, or use --method yes-no."
            raise UsageError(f"--prompt means nothing to --method {self.way}", fix)
        if params["anchors"] is None and tools.vectors_of is None:
            raise UsageError(
                "cur guesses from the scores of anchor queries or from vectors",
                "Name --anchors FILE, or the index of the hits with --index.",
            )
        self._anchors = None if params["anchors"] is None else Anchors(params["anchors"])
        prompt = load_prompt(params["prompt"] or "yes-no") if self.way == "yes-no" else None
        chat = None if prompt is None else yes_no_chat(prompt)
        self._asker = Asker(self.way, None if prompt is None else prompt.question)
        self._program = tools.scorer(chat, lambda fields: problem(self.way, fields))
        self._shares = shares(params["budget"], params["rounds"])

    def rerank_all(self, given: Sequence[Given]) -> Sequence[Answer | Exception]:
        """Each round of a batch is asked at once."""
        found: list[Any] = [self._started(one) for one in given]
        asked = [one for one in found if isinstance(one, Asked)]
        for number, share in enumerate(self._shares):
            for one in asked:
                one.choose(share, first=number == 0)
            replies = self._program.answers(self._requests(asked))
            for one in asked:
                for place, reply in zip(one.next, islice(replies, len(one.next)), strict=True):
                    if reply.fields is None:
                        one.failed[place] = reply.problem
                    else:
                        one.values[place] = read(self.way, reply.fields).score
        return [self._answer(one) if isinstance(one, Asked) else one for one in found]

    def _started(self, given: Given) -> Asked | BadItem:
        names = [hit["id"] for hit in given.hits]
        if self._anchors is not None:
            known, about = self._anchors.of(names)
            return Asked(given, known, about, True)
        assert self.tools.vectors_of is not None
        (vectors,) = self.tools.vectors_of([names])
        if isinstance(vectors, str):
            what = f"the hit {shown(vectors)} is not in {self.tools.gallery}"
            return BadItem(given.where, what, "name the index that the hits are from", stage="rerank",
                           record=given.record)  # fmt: skip
        return Asked(given, np.arange(len(names)), vectors, False)

    def _requests(self, asked: Sequence[Asked]) -> Iterator[Mapping[str, Any]]:
        for one in asked:
            query = self._asker.of_query(self._asker.known(one.given.record, self.tools))
            for hit in self._asker.shown([one.given.hits[place] for place in one.next], self.tools):
                yield self._asker.of_hit(query, hit)

    def _answer(self, one: Asked) -> Answer:
        """Hits that were scored come first, by their scores; the others follow, by their guesses."""
        guesses = one.guesses()
        scored = np.flatnonzero(~np.isnan(one.values))
        rest = np.array(
            [p for p in range(len(guesses)) if np.isnan(one.values[p]) and p not in one.failed], int
        )
        new = one.values.copy()
        if len(rest) and len(scored):
            order = rest[np.argsort(-guesses[rest], kind="stable")]
            finite = guesses[np.isfinite(guesses)]
            falling = np.maximum(guesses[order], finite.min() - 1 if len(finite) else 0.0)
            new[order] = below(falling, float(one.values[scored].min()))
        elif len(rest):
            new[rest] = one.given.scores[rest]
        good = np.flatnonzero(~np.isnan(new))
        new[good] = untied(new[good], [one.given.hits[place]["id"] for place in good.tolist()])
        guessed = [None if not np.isnan(value) or not np.isfinite(guess) else float(guess)
                   for value, guess in zip(one.values.tolist(), guesses.tolist(), strict=True)]  # fmt: skip
        said = {"calls": len(scored) + len(one.failed), "of": len(guesses),
                "unknown": len(guesses) - len(one.known)}  # fmt: skip
        pairs = zip(one.values.tolist(), guesses.tolist(), strict=True)
        return Answer(
            new, failed=one.failed, fields={"guess": guessed}, record={"cur": said},
            why=[_why(value, guess, len(scored)) for value, guess in pairs],
            step=f"by {shown(self._program.hello['tag'], 60)}",
        )  # fmt: skip


def _why(value: float, guess: float, scored: int) -> str:
    if not np.isnan(value):
        return f"the model says {value:.6g}"
    return f"guessed as {guess:.6g} from {scored} scores" if np.isfinite(guess) else "nothing is known of it"
