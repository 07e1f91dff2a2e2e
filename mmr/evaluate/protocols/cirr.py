"""CIRR: composed queries over real-life pictures, over the split and inside six similar ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from mmr.errors import BadDataError, shown
from mmr.evaluate.protocols.files import expanded, field, load_json, placed, put, texts, unknown_file
from mmr.evaluate.protocols.names import Pictures, stem
from mmr.evaluate.protocols.task import Figure, Options, Query, Rankings, Task, beside, mean, means, places_of
from mmr.evaluate.scored import Scored
from mmr.stream.records import normal_path

SUBSET = "/subset"
DEPTH, SUBSET_DEPTH = 50, 3
FULL = ("hit@1", "hit@5", "hit@10", "hit@50")
WITHIN = {"hit@1": "R_subset@1", "hit@2": "R_subset@2", "hit@3": "R_subset@3"}
ALL = "R_subset@5"  # 1 where the ranking holds the target at all
BOTH = ("hit@1", "hit@2", "hit@3", "hit@5", "hit@10", "hit@50")


class Pair(NamedTuple):
    """One question: its id, the reference picture, the words, the target (None where hidden), six members."""

    id: str
    reference: str
    caption: str
    target: str | None
    members: list[str]

    @property
    def candidates(self) -> list[str]:
        """The five members that are not the reference."""
        return [member for member in self.members if member != self.reference]


def read(paths: Sequence[str], options: Options) -> Task:
    """Read `cap.rc2.{val,test1}.json`, and `split.rc2.*.json` where it is named.

    cap    a list of `pairid` (int), `reference`, `target_hard` (not in test1), `target_soft` (the published
           figures do not use it), `caption`, `img_set` {`id`, `members`: six ids, reference and target among
           them, in no order that means anything; `reference_rank`, `target_rank` are no places in it}
    split  id -> path of each picture, `./dev/dev-244-0-img0.png`. Without it paths are made of the ids

    Each pair is two queries: `12060` asks the whole split without the reference, `12060/subset` the five
    other members. A run without the second kind is cut down to them, exact only where rankings are whole.
    """
    pairs: dict[str, Pair] = {}
    split: dict[str, str] = {}
    for path in expanded(paths, ("cap.rc2.val.json", "split.rc2.val.json")):
        data = load_json(path)
        if isinstance(data, dict) and data and all(isinstance(value, str) for value in data.values()):
            split.update(data)
        elif isinstance(data, list) and data and "pairid" in data[0]:
            for where, entry in placed(path, data):
                pair = _pair(entry, where)
                put(pairs, pair.id, pair, where)
        else:
            raise unknown_file(path, "cirr", "cap.rc2.*.json and split.rc2.*.json")
    if not pairs:
        raise BadDataError("no captions of CIRR", "Name cap.rc2.val.json or cap.rc2.test1.json.")
    return _task(list(pairs.values()), split, options, frozenset(("full", "subset")))


def _pair(entry: Any, where: str) -> Pair:
    name = str(field(entry, "pairid", int, where))
    reference = field(entry, "reference", str, where)
    members = texts(field(entry, "img_set", dict, where), "members", where)
    target = field(entry, "target_hard", str, where) if "target_hard" in entry else None
    if reference not in members or (target is not None and target not in members) or target == reference:
        raise BadDataError(
            f'{where}: "members" must hold the reference and the target, two pictures', "Is the file whole?"
        )
    caption = field(entry, "caption", str, where)
    return Pair(name, reference, caption, target, members)


def _task(pairs: list[Pair], split: dict[str, str], options: Options, parts: frozenset[str]) -> Task:
    judged = [pair for pair in pairs if pair.target is not None]
    targets: dict[str, dict[str, int]] = {pair.id: {str(pair.target): 1} for pair in judged}
    qrels: dict[str, dict[str, int]] = {}
    if "full" in parts:
        qrels.update(targets)
    if "subset" in parts:
        qrels.update({name + SUBSET: wanted for name, wanted in targets.items()})
    part = {name: "subset" if name.endswith(SUBSET) else "full" for name in qrels}
    cut = "subset" not in parts
    candidates = {pair.id + ("" if cut else SUBSET): pair.candidates for pair in pairs}
    return Task(
        said="gallery: the split without the query's reference; subset: the other five members; "
        + ("subset from the whole ranking, a lower bound where it was cut short; " if cut else "")
        + "hit@k of the one target; Avg = (hit@5 + R_subset@1) / 2",
        qrels=qrels,
        measures=(*FULL, *WITHIN.values(), ALL) if cut else BOTH,
        figures=lambda scored: _figures(scored, part, cut),
        queries=lambda: _queries(pairs, split, options),
        part=part,
        removed={pair.id + suffix: (pair.reference,) for pair in pairs for suffix in ("", SUBSET)},
        among=candidates,
        short=(lambda scored: scored.values[ALL] == 0) if cut else None,
        renamed=stem,
        narrow=lambda there: _task(pairs, split, options, there),
        submission=lambda path, rankings: _submission(path, rankings, pairs, split),
    )  # fmt: skip


def _figures(scored: Scored, part: dict[str, str], cut: bool) -> list[Figure]:
    places = places_of(scored, part)
    full = means(scored, FULL, "full", places["full"]) if "full" in places else []
    if cut:
        labels = dict(zip(WITHIN.values(), WITHIN.values(), strict=True))
        within = means(scored, labels, "subset", places["full"])
    else:
        within = means(scored, WITHIN, "subset", places["subset"]) if "subset" in places else []
    if not full or not within:
        return full + within
    average = mean([full[1].value, within[0].value])
    return [*full, *within, Figure("", "Avg", average)]


def _queries(pairs: list[Pair], split: dict[str, str], options: Options) -> Iterator[Query]:
    pictures = Pictures(options.images, stem)

    def usual(name: str) -> str:
        return normal_path(split.get(name, f"{name.partition('-')[0]}/{name}.png"))

    for pair in pairs:
        image = pictures.path(pair.reference, usual(pair.reference))
        asks = {"image": image, "text": pair.caption}
        among = [name for member in pair.candidates for name in pictures.both(member, usual(member))]
        yield {"id": pair.id, **asks, "exclude": pictures.both(pair.reference, image), "part": "full"}
        yield {"id": pair.id + SUBSET, **asks, "among": among, "part": "subset"}


def _submission(path: str, rankings: Rankings, pairs: list[Pair], split: dict[str, str]) -> dict[str, bytes]:
    """The two files of the test server: 50 ids a pair, and 3 of its members; never the reference.

    Raises `BadDataError` when a pair has no ranking, or one too short.
    """
    found = {query: list(dict.fromkeys(map(stem, ids))) for query, ids in rankings}
    head = {"version": "rc2", "metric": "recall"}
    whole: dict[str, Any] = dict(head)
    subset: dict[str, Any] = {**head, "metric": "recall_subset"}
    depth = min(DEPTH, len(split) - 1) if split else DEPTH
    for pair in pairs:
        full = [name for name in found.get(pair.id, ()) if name != pair.reference]
        members = [name for name in found.get(pair.id + SUBSET, full) if name in pair.candidates]
        whole[pair.id] = _first(full, depth, pair.id)
        subset[pair.id] = _first(members, SUBSET_DEPTH, pair.id + SUBSET)
    return {path: orjson.dumps(whole), beside(path, "subset"): orjson.dumps(subset)}


def _first(names: list[str], count: int, query: str) -> list[str]:
    if len(names) < count:
        raise BadDataError(
            f"query {shown(query)} has {len(names)} usable hits, and the server wants {count}",
            "Ask both kinds of queries that --write-queries writes, with -k 50.",
        )
    return names[:count]
