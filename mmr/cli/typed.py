"""The one query of a command line: its pictures, words and stored items, bound and ready to compose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mmr.cli.options import check_words
from mmr.errors import BadItem, MissingInputError, Reject, UsageError, shown

if TYPE_CHECKING:
    from mmr.cli.composing import Writes
    from mmr.stream.records import Record

NAMES = ("v", "t_m", "t_r", "t_c", "n")
PLURAL = {"caption": "captions", "edited": "edited", "not": "nots"}
SAID = ("images", "ref_ids", "texts", "captions", "edited", "nots")


class Typed:
    """What --image, --text and the others say.

    how       the options
    composer  what will compose it
    mode      "folded": several pictures are one vector, and several --text are one: the weighted sum of
              theirs; "signed": each is a term of a sum, with its sign and weight; "clauses": each is one of a
              recipe, and -WORDS is negated
    """

    def __init__(self, how: Mapping[str, Any], composer: Writes, mode: str) -> None:
        from mmr.compose.apply import Composer, Method
        from mmr.compose.bindings import Piece, numbered, piece, signed_sum
        from mmr.stream.records import normal_path

        if how["images"] and how["ref_ids"]:
            raise UsageError("--image and --ref-id both name the reference", "Name it in one way.")
        for option in ("text", "caption", "edited", "not"):
            check_words(f"--{option}", how[PLURAL.get(option, "texts")])
        self._how, self._composer, self._signed = how, composer, mode == "signed"
        self._refuse_idle()
        pictures = [piece(one) for one in how["images"]]
        self._images = [Piece(one.weight, normal_path(one.value)) for one in pictures]
        self._images += [Piece(1.0, name) for name in how["ref_ids"]]
        self._texts = [piece(one) for one in how["texts"]]
        self._nots = list(how["nots"])
        for said, one in zip(how["texts"], self._texts, strict=True):
            if not one.value.strip():
                raise UsageError(f"--text {shown(said)!r} has no words", "Write some, or leave it out.")
        if mode == "clauses":
            self._clauses()
        self._weights = {
            name: [one.weight for one in pieces]
            for name, pieces in (("v", self._images), ("t_m", self._texts))
            if pieces and mode != "clauses"
        }
        if isinstance(composer, Composer) and self._signed:
            named = [(numbered(name, len(weights)), weights) for name, weights in self._weights.items()]
            names = [name for names, _ in named for name in names]
            node = signed_sum(names, [weight for _, weights in named for weight in weights])
            composer.settings = [("", Method("sum", node))]

    def _refuse_idle(self) -> None:
        """Refuse words that nothing would be made of: a vector that no method here takes."""
        fallback = getattr(self._composer, "fallback", None)
        taken = {*self._composer.needs(NAMES), *(fallback.names if fallback is not None else ())}
        if "t_c" in taken:
            taken.add("t_r")  # a caption is what a rewriter edits
        for option, name in (("caption", "t_r"), ("edited", "t_c"), ("not", "n")):
            if self._how[PLURAL[option]] and name not in taken:
                has = ", ".join(one for one in NAMES if one in taken) or "other vectors"
                raise UsageError(f"--{option} is not for this method: it takes {has}", "Leave it out.")

    def _clauses(self) -> None:
        """Take words with a minus for what must not be there; clauses have no weights."""
        odd = next((one for one in (*self._images, *self._texts) if abs(one.weight) != 1), None)
        if odd is not None:
            raise UsageError(f"{odd.weight:g}:{shown(odd.value)}: clauses have no weights", "Leave it out.")
        if any(one.weight < 0 for one in self._images):
            raise UsageError("a picture that must not be there is a record's: --bind n=FILE.npy")
        self._nots += [one.value for one in self._texts if one.weight < 0]
        if self._nots and "n" not in self._composer.needs(NAMES):
            raise UsageError("this method has no clauses that must not hold", "Leave the -WORDS out.")
        self._texts = [one for one in self._texts if one.weight > 0]

    def needs(self, have: Iterable[str], lists: Iterable[str]) -> tuple[str, ...]:
        """The named vectors that the query shall have."""
        if self._signed:
            return tuple(name for name in have if name in self._weights)
        return self._composer.needs(have, lists)

    def record(self, stored: Callable[[str], Any] | None, model: str | None) -> Record:
        """The query, not bound yet but for stored items.

        stored  the vector of an item of --index by its id, None where there is none; `model` made them

        Raises `MissingInputError` for a picture that is neither a file nor in the index.
        """
        import numpy as np

        from mmr.compose.bindings import described, typed
        from mmr.embed.sources import check_any

        values, refs = [one.value for one in self._images], self._how["ref_ids"]
        for name in values if not refs else ():
            if stored is None or stored(name) is None:
                check_any([name])
        record = typed([] if refs else values, [one.value for one in self._texts],
                       self._how["captions"], self._how["edited"], self._nots)  # fmt: skip
        if self._texts:
            record["text"] = described(self._texts) if self._weights else ", ".join(self._values())
        if refs:
            assert stored is not None
            vectors = [stored(name) for name in refs]
            missing = next((name for name, one in zip(refs, vectors, strict=True) if one is None), None)
            if missing is not None:
                raise MissingInputError(f"{shown(self._how['index'])} has no item {shown(missing)!r}",
                                        "`mmr index INDEX --list` shows the ids that it has.")  # fmt: skip
            record["id"], record["bindings"] = refs[0], {"v": np.stack(vectors)}
            if model is not None:
                record["model"] = model
        if values and self._how["excludes"] is not False:
            record["exclude"] = list(dict.fromkeys(values))
        return record

    def _values(self) -> list[str]:
        return [one.value for one in self._texts]

    def folded(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the query with one vector a name, each picture and --text under its own in a signed sum."""
        from mmr.compose.bindings import numbered

        for record in records:
            bindings = record.get("bindings", {})
            for name, weights in self._weights.items():
                if name not in bindings:
                    continue
                rows = bindings.pop(name)
                rows = rows if rows.ndim == 2 else rows[None]
                if self._signed:
                    bindings.update(zip(numbered(name, len(rows)), rows, strict=True))
                elif len(rows) == 1 and weights[0] > 0:
                    bindings[name] = rows[0]
                else:
                    bindings[name] = _weighted(name, rows, weights)
            for name in ("images", "texts"):
                record.pop(name, None)
            yield record

    def refuse(self, reject: Reject) -> Reject:
        """A `Reject` for which a query that lacks a vector is wrong usage."""

        from mmr.compose.apply import Lacks

        def refused(item: BadItem) -> None:
            if isinstance(item, Lacks):
                raise UsageError(item.what.rpartition(", which ")[0], item.fix)
            reject(item)

        return refused


def _weighted(name: str, rows: Any, weights: list[float]) -> Any:
    """The weighted sum of unit vectors, at unit length again."""
    import numpy as np

    from mmr.arrays.unit import unit
    from mmr.compose.columns import ZERO

    total = (unit(rows).astype(np.float64) * np.array(weights)[:, None]).sum(axis=0)
    if np.linalg.norm(total) <= ZERO:
        raise UsageError(f"what is named for {name} cancels out", "Other weights help: 0.5:WORDS.")
    return unit(total[None])[0]
