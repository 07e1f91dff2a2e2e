"""BEIR: a folder of words, queries and judgements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmr.errors import MissingInputError, UsageError, shown
from mmr.evaluate.protocols.files import field, stream_json
from mmr.evaluate.protocols.task import Options, Query, Task, means
from mmr.evaluate.qrels import read_qrels

MEASURES = ("nDCG@10", "R@100", "AP@100")


def read(paths: Sequence[str], options: Options) -> Task:
    """Read a folder: `corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv` (also gzip).

    corpus   `_id`, `title`, `text`; what is embedded is title, blank, text
    queries  `_id`, `text`; those that the qrels lack are dropped
    qrels    query, item and judgement between tabs; the header is known by its words, so a file without one
             loses no judgement

    As in the authors' code an item of the query's own id is taken out of its ranking (ArguAna, Quora), equal
    scores are ordered by id, descending, and queries that the run lacks are left out of the mean.
    """
    if len(paths) != 1 or not Path(paths[0]).is_dir():
        raise UsageError(
            "beir needs one folder", "Name the one that holds qrels/, queries.jsonl, corpus.jsonl."
        )
    folder = Path(paths[0])
    judged = read_qrels(_file(folder / "qrels" / f"{options.split}.tsv"))
    qrels = {query: judged.of_query(query) for query in judged.queries}
    return Task(
        said=f"qrels/{options.split}.tsv; items of the query's own id are taken out; equal scores by id,"
        " descending; mean over the queries of the run; nDCG@10 linear, R@100, AP@100",
        qrels=qrels, measures=MEASURES, figures=lambda scored: means(scored, MEASURES),
        queries=lambda: _queries(folder, qrels), items=lambda: _items(folder),
        removed={query: (query,) for query in qrels}, ties="docid-desc", over="both",
    )  # fmt: skip


def _file(path: Path) -> str:
    """The file, or the same with `.gz`."""
    for name in (path, path.with_name(path.name + ".gz")):
        if name.is_file():
            return str(name)
    others = ", ".join(sorted(file.name.partition(".")[0] for file in path.parent.glob("*.tsv*")))
    raise MissingInputError(
        f"{shown(str(path))} does not exist",
        f"There are splits {others}: --split." if others else "Is it BEIR?",
    )


def _records(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    return stream_json(_file(path))


def _queries(folder: Path, qrels: Mapping[str, object]) -> Iterator[Query]:
    for where, entry in _records(folder / "queries.jsonl"):
        name = field(entry, "_id", str, where)
        if name in qrels:
            yield {"id": name, "text": field(entry, "text", str, where)}


def _items(folder: Path) -> Iterator[Query]:
    for where, entry in _records(folder / "corpus.jsonl"):
        title = entry.get("title")
        text = field(entry, "text", str, where)
        yield {"id": field(entry, "_id", str, where), "text": f"{title} {text}" if title else text}
