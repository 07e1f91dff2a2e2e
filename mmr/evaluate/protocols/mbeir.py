"""M-BEIR: ten data sets and eight kinds of tasks, pictures and words on both sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmr.errors import BadDataError, UsageError, shown
from mmr.evaluate.protocols.files import expanded, field, load_bytes, put, stream_json, unknown_file
from mmr.evaluate.protocols.task import Figure, Options, Query, Task, across, means, places_of
from mmr.evaluate.scored import Scored
from mmr.stream.compressed import open_input
from mmr.stream.records import normal_path

DATASETS = (
    "VisualNews", "Fashion200K", "WebQA", "EDIS", "NIGHTS", "OVEN", "INFOSEEK", "FashionIQ", "CIRR", "MSCOCO",
)  # fmt: skip
TASKS = (
    "text to image", "text to text", "text to image,text", "image to text", "image to image",
    "image to text,image", "image,text to text", "image,text to image", "image,text to image,text",
)  # fmt: skip
TEN = frozenset(("Fashion200K", "FashionIQ"))


def read(paths: Sequence[str], options: Options) -> Task:
    """Read qrels of one or more data sets, and queries and candidates where they are to be written.

    qrels       `qid 0 did rel task_id`, blanks or tabs; only judgements above 0 count
    queries     JSONL: `qid`, `query_txt`, `query_img_path`, `query_modality`, `pos_cand_list`, ...
    candidates  JSONL: `did`, `txt`, `img_path`, `modality`

    Ids are `DATASET:ROW`, `9:1234` of MSCOCO. The benchmark's Recall@k is hit@k: k is 10 for Fashion200K and
    FashionIQ and 5 for the others, a figure a data set and task, then their mean.
    """
    qrels: dict[str, dict[str, int]] = {}
    tasks: dict[str, str] = {}
    queries: list[str] = []
    items: list[str] = []
    for path in expanded(paths, ("*_qrels.txt", "mbeir_*.jsonl")):
        with open_input(path) as file:
            first = file.readline().lstrip()
        if not first.startswith(b"{"):
            _judgements(path, qrels, tasks)
            continue
        _, entry = next(stream_json(path))
        if isinstance(entry, dict) and entry.keys() & {"qid", "did"}:
            (queries if "qid" in entry else items).append(path)
        else:
            raise unknown_file(path, "mbeir", "qrels, queries and candidates")
    if not qrels and not queries and not items:
        raise BadDataError("no qrels of M-BEIR", "Name mbeir_*_qrels.txt.")
    part = {query: f"{_dataset(query)}, {tasks[query]}" for query in qrels}
    return Task(
        said="gallery: as searched; hit@5 (Recall@5), hit@10 of Fashion200K and FashionIQ; Avg over data sets"
        " and tasks",
        qrels=qrels, measures=("hit@5", "hit@10"), part=part, figures=lambda scored: _figures(scored, part),
        queries=lambda: _queries(queries, options),
        fields={"dataset": {query: _dataset(query) for query in qrels}, "task": tasks},
        items=(lambda: _items(items, options)) if items else None,
    )  # fmt: skip


def _judgements(path: str, qrels: dict[str, dict[str, int]], tasks: dict[str, str]) -> None:
    for number, line in enumerate(load_bytes(path).splitlines(), 1):
        columns = line.decode(errors="replace").split()
        if not columns:
            continue
        where = f"{shown(path)} line {number}"
        if len(columns) != 5 or not columns[4].isdecimal():
            raise BadDataError(
                f"{where}: {len(columns)} columns, not qid, 0, did, rel, task_id",
                "Is it a qrels file of M-BEIR?",
            )
        query, _, item, rel, task = columns
        if not rel.removeprefix("-").isdecimal():
            raise BadDataError(
                f"{where}: the judgement {shown(rel)} is no whole number", "Is the file whole?"
            )
        if int(rel) > 0:
            put(qrels.setdefault(query, {}), item, 1, where)
            tasks.setdefault(query, TASKS[int(task)] if int(task) < len(TASKS) else f"task {task}")


def _dataset(query: str) -> str:
    number, colon, _ = query.partition(":")
    known = colon and number.isdecimal() and int(number) < len(DATASETS)
    return DATASETS[int(number)] if known else f"data set {number}"


def _figures(scored: Scored, part: Mapping[str, str]) -> list[Figure]:
    figures: list[Figure] = []
    for name, places in places_of(scored, part).items():
        figures += means(scored, ("hit@10" if name.partition(",")[0] in TEN else "hit@5",), name, places)
    whole = across([figure._replace(measure="Avg") for figure in figures])
    return figures + (whole if len(figures) > 1 else [])


def _queries(files: Sequence[str], options: Options) -> Iterator[Query]:
    if not files:
        raise UsageError("qrels hold no queries", "Name the queries' JSONL as well.")
    for path in files:
        for where, entry in stream_json(path):
            name = field(entry, "qid", str, where)
            content = _content(entry, "query_txt", "query_img_path", options)
            yield {"id": name, **content, "dataset": _dataset(name)}


def _items(files: Sequence[str], options: Options) -> Iterator[Query]:
    for path in files:
        for where, entry in stream_json(path):
            yield {"id": field(entry, "did", str, where), **_content(entry, "txt", "img_path", options)}


def _content(entry: Mapping[str, Any], text: str, image: str, options: Options) -> dict[str, str]:
    """The words and the picture of a record, where it has them."""
    content: dict[str, str] = {}
    if entry.get(image):
        folder = "" if options.images is None else f"{options.images}/"
        content["image"] = normal_path(f"{folder}{entry[image]}")
    if entry.get(text):
        content["text"] = str(entry[text])
    return content
