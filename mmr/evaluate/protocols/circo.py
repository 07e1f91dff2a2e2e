"""CIRCO: composed queries with several right answers, over COCO's unlabeled pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from mmr.errors import BadDataError, shown
from mmr.evaluate.protocols.files import expanded, field, load_json, numbers, placed, texts, unknown_file
from mmr.evaluate.protocols.names import Pictures, number
from mmr.evaluate.protocols.task import Figure, Options, Query, Rankings, Task, means
from mmr.evaluate.scored import Scored

DEPTH = 50
PRECISION = tuple(f"AP(norm=min)@{k}" for k in (5, 10, 25, 50))
RECALL = tuple(f"hit(rel=2)@{k}" for k in (5, 10, 25, 50))
ASPECT = "AP(norm=min)@10"


class Question(NamedTuple):
    """One question: its id, the reference, the words, what both pictures share, truths and aspects (val)."""

    id: str
    reference: int
    text: str
    shared: str
    target: int | None
    truths: list[int]
    aspects: list[str]


def read(paths: Sequence[str], options: Options) -> Task:
    """Read `val.json` or `test.json`.

    A list of `id` (0 to n - 1), `reference_img_id`, `relative_caption`, `shared_concept`; val also has
    `target_img_id`, `gt_img_ids` (the target first) and `semantic_aspects`. Ids are numbers of COCO 2017
    unlabeled, whose files are named `000000271520.jpg`. The reference stays in the ranking, as in the
    authors' code. The target is judged 2 and the other truths 1: AP counts all, hit(rel=2) the target alone.
    """
    questions: list[Question] = []
    for path in expanded(paths, ("val.json",)):
        data = load_json(path)
        if not isinstance(data, list) or not data or "relative_caption" not in (data[0] or {}):
            raise unknown_file(path, "circo", "val.json or test.json")
        questions += [_question(entry, where) for where, entry in placed(path, data)]
    if {question.id for question in questions} != set(map(str, range(len(questions)))):
        raise BadDataError(
            f"the ids of {len(questions)} questions are not 0 to {len(questions) - 1}, each once",
            "Name one whole file, val.json or test.json.",
        )
    judged = [question for question in questions if question.target is not None]
    return Task(
        said="gallery: COCO 2017 unlabeled with the reference; AP(norm=min)@k of all truths (mAP@k),"
        " hit(rel=2)@k of the target (Recall@k), mAP@10 by aspect",
        qrels={
            one.id: {str(name): 2 if name == one.target else 1 for name in one.truths} for one in judged
        },
        measures=PRECISION + RECALL,
        figures=lambda scored: _figures(scored, judged),
        queries=lambda: _queries(questions, options),
        fields={"aspect": {one.id: one.aspects for one in judged}},
        renamed=number,
        submission=lambda path, rankings: {path: _submission(rankings, questions)},
    )  # fmt: skip


def _question(entry: Any, where: str) -> Question:
    target, truths, aspects = None, [], []
    if isinstance(entry, dict) and "gt_img_ids" in entry:
        target, truths = field(entry, "target_img_id", int, where), numbers(entry, "gt_img_ids", where)
        aspects = texts(entry, "semantic_aspects", where)
        if target not in truths or len(set(truths)) < len(truths):
            raise BadDataError(
                f'{where}: "gt_img_ids" must hold the target and no id twice', "Is the file whole?"
            )
    return Question(
        str(field(entry, "id", int, where)), field(entry, "reference_img_id", int, where),
        field(entry, "relative_caption", str, where), field(entry, "shared_concept", str, where),
        target, truths, aspects,
    )  # fmt: skip


def _figures(scored: Scored, judged: Sequence[Question]) -> list[Figure]:
    figures = means(scored, PRECISION + RECALL)
    place = {query: at for at, query in enumerate(scored.queries)}
    aspects: dict[str, list[int]] = {}
    for question in judged:
        for aspect in question.aspects:
            if question.id in place:
                aspects.setdefault(aspect, []).append(place[question.id])
    for aspect in sorted(aspects):
        figures += means(scored, (ASPECT,), aspect, aspects[aspect])
    return figures


def _queries(questions: Sequence[Question], options: Options) -> Iterator[Query]:
    pictures = Pictures(options.images, number)
    for one in questions:
        image = pictures.path(str(one.reference), f"unlabeled2017/{one.reference:012d}.jpg")
        yield {"id": one.id, "image": image, "text": one.text, "shared_concept": one.shared}


def _submission(rankings: Rankings, questions: Sequence[Question]) -> bytes:
    """What the test server takes: the first 50 numbers of each question, in order, none twice.

    Raises `BadDataError` when a question has no ranking, one too short, or a hit that is no COCO picture.
    """
    found = {query: list(map(number, ids[:DEPTH])) for query, ids in rankings}
    answer: dict[str, list[int]] = {}
    for question in questions:
        names = found.get(question.id, [])
        if len(names) < DEPTH or len(set(names)) < DEPTH:
            raise BadDataError(
                f"query {question.id} has {len(set(names))} different hits, and the server wants {DEPTH}",
                "Ask every question that --write-queries writes, with -k 50.",
            )
        wrong = next((name for name in names if not name.isdecimal()), None)
        if wrong is not None:
            raise BadDataError(
                f"query {question.id}: the hit {shown(wrong)} is no COCO picture",
                "Ids end in the picture's number, as 000000271520.jpg does.",
            )
        answer[question.id] = list(map(int, names))
    return orjson.dumps(answer)
