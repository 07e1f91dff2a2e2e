"""INQUIRE: naturalists' questions over iNaturalist pictures, all of them or a hundred each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmr.errors import BadDataError, UsageError, shown
from mmr.evaluate.protocols.files import expanded, load_table, placed, put, stream_json, unknown_file
from mmr.evaluate.protocols.names import Tails, without_ending
from mmr.evaluate.protocols.task import Options, Query, Task, means

FULL = ("AP(norm=min)@50", "nDCG@50", "RR@50")
RERANK = ("AP", "nDCG", "RR")
GROUPS = ("supercategory", "category", "iconic_group")
FILES = ("inquire_queries_test.csv", "inquire_annotations.csv", "*rerank*.csv", "*rerank*.jsonl")
TRUE, FALSE = frozenset(("1", "true", "True")), frozenset(("0", "false", "False"))

Table = list[tuple[str, Mapping[str, Any]]]


class Asked(NamedTuple):
    """One question: its words and its groups."""

    text: str
    groups: dict[str, str]


class _Files(NamedTuple):
    """The rows of the three kinds of files."""

    questions: dict[str, Asked]
    positives: Table
    candidates: Table


def fullrank(paths: Sequence[str], options: Options) -> Task:
    """Read INQUIRE-Fullrank.

    inquire_queries_{val,test}.csv  (index), `query_id`, `query_text`, `supercategory`, `category`,
                                    `iconic_group`; a query's id is its `query_id`
    inquire_annotations.csv         at least `query_id`, `image_path`: every row is a positive

    Annotated paths end in `.jpg`, and the authors' index leaves that out: hits match with any folders before
    them, with the ending or without. Annotations of queries that no file names are passed over.
    """
    files = _read(paths, "inquire-fullrank")
    if not files.questions:
        raise UsageError("inquire-fullrank needs the questions", "Name inquire_queries_test.csv.")
    qrels: dict[str, dict[str, int]] = {}
    for where, row in files.positives:
        query = _text(row, "query_id", where)
        if query in files.questions:
            qrels.setdefault(query, {})[without_ending(_text(row, "image_path", where))] = 1
    known = {path for wanted in qrels.values() for path in wanted}
    without = len(files.questions) - len(qrels)
    return Task(
        said="gallery: iNat24; AP(norm=min)@50, nDCG@50, RR@50 (MRR), places as ranked"
        + (f"; {without} queries without positives are left out" if without and qrels else ""),
        qrels=qrels, measures=FULL, figures=lambda scored: means(scored, FULL),
        queries=lambda: _queries(files.questions, {}, options), fields=_fields(files.questions, qrels),
        renamed=Tails(known),
    )  # fmt: skip


def rerank(paths: Sequence[str], options: Options) -> Task:
    """Read INQUIRE-Rerank: each query orders its own hundred pictures again.

    candidates  CSV or JSONL, the columns of the published data set without its pictures: `query` (words),
                `inat24_file_name`, `relevant` (0 or 1; true or false), a row a query and picture
    inquire_queries_{val,test}.csv, where it is named, gives the queries their ids; else words are the id

    R is the number of positives among the candidates, as in the authors' code.
    """
    files = _read(paths, "inquire-rerank")
    ids = {asked.text: query for query, asked in files.questions.items()}
    qrels: dict[str, dict[str, int]] = {}
    questions: dict[str, Asked] = {}
    for where, row in files.candidates:
        text = _text(row, "query", where)
        query = ids.get(text, text)
        if query not in questions:
            questions[query] = files.questions.get(query) or _asked(text, row)
        path = without_ending(_text(row, "inat24_file_name", where))
        put(qrels.setdefault(query, {}), path, _relevant(row, where), where)
    if not qrels:
        raise UsageError(
            "inquire-rerank needs the candidates", "Name a file of query, inat24_file_name, relevant."
        )
    candidates = {query: list(wanted) for query, wanted in qrels.items()}
    return Task(
        said="gallery: the query's own candidates; AP, nDCG and RR over all of them, R of the candidates",
        qrels=qrels, measures=RERANK, figures=lambda scored: means(scored, RERANK),
        queries=lambda: _queries(questions, candidates, options), fields=_fields(questions, qrels),
        among=candidates, only=True, renamed=Tails({path for wanted in qrels.values() for path in wanted}),
    )  # fmt: skip


def _read(paths: Sequence[str], protocol: str) -> _Files:
    files = _Files({}, [], [])
    for path in expanded(paths, FILES):
        lines = path.removesuffix(".gz").endswith(".jsonl")
        table = list(stream_json(path) if lines else placed(path, load_table(path)))
        first: Any = table[0][1] if table else {}
        columns = set(first) if isinstance(first, dict) else set()
        if {"query_id", "query_text"} <= columns:
            for where, row in table:
                put(
                    files.questions,
                    _text(row, "query_id", where),
                    _asked(_text(row, "query_text", where), row),
                    where,
                )
        elif {"query", "inat24_file_name", "relevant"} <= columns:
            files.candidates.extend(table)
        elif {"query_id", "image_path"} <= columns:
            files.positives.extend(table)
        else:
            raise unknown_file(
                path, protocol, "inquire_queries_*.csv, inquire_annotations.csv and candidates"
            )
    return files


def _asked(text: str, row: Mapping[str, Any]) -> Asked:
    return Asked(text, {name: str(row[name]) for name in GROUPS if row.get(name)})


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name) if isinstance(row, Mapping) else None
    if type(value) not in (str, int) or value == "":
        raise BadDataError(f'{where}: "{name}" is missing', "Is the file whole?")
    return str(value)


def _relevant(row: Mapping[str, Any], where: str) -> int:
    value = str(row.get("relevant"))
    if value not in TRUE | FALSE:
        raise BadDataError(f'{where}: "relevant" is {shown(value)}, not 0 or 1', "Is the file whole?")
    return int(value in TRUE)


def _fields(questions: Mapping[str, Asked], qrels: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {
        name: {query: questions[query].groups[name] for query in qrels if name in questions[query].groups}
        for name in GROUPS
    }


def _queries(
    questions: Mapping[str, Asked], candidates: Mapping[str, Sequence[str]], options: Options
) -> Iterator[Query]:
    for query, asked in questions.items():
        among = {"among": _names(candidates[query], options)} if query in candidates else {}
        yield {"id": query, "text": asked.text, **asked.groups, **among}


def _names(paths: Sequence[str], options: Options) -> list[str]:
    """What an index may know the pictures by: the bare path, the file's, and the one in the folder."""
    folder = "" if options.images is None else options.images.rstrip("/") + "/"
    return [name for path in paths for name in dict.fromkeys((path, f"{path}.jpg", f"{folder}{path}.jpg"))]
