"""BEIR: a folder, headers, items that are the query, queries that the run lacks."""

from __future__ import annotations

import gzip
import shutil

import pytest

from mmr.errors import BadDataError, MissingInputError, UsageError
from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES, figures

FOLDER = str(FILES / "beir")


def test_a_file_without_a_header_loses_no_judgement():
    test, dev = (read("beir", [FOLDER], Options(split=split)) for split in ("test", "dev"))
    assert test.qrels == dev.qrels == {"q1": {"doc1": 2, "doc2": 1}, "q2": {"doc3": 1}}
    assert "qrels/dev.tsv" in dev.said


def test_the_item_that_is_the_query_takes_no_place():
    task = read("beir", [FOLDER], Options())
    found = figures(task, {"q1": ["q1", "doc1", "doc2"], "q2": ["doc3"]})
    assert set(found.values()) == {1.0}


def test_queries_that_the_run_lacks_are_left_out():
    task = read("beir", [FOLDER], Options())
    assert (task.over, task.ties) == ("both", "docid-desc")
    assert figures(task, {"q1": ["doc1", "doc2"]})["", "nDCG@10"] == 1


def test_queries_and_corpus():
    task = read("beir", [FOLDER], Options())
    assert list(task.queries()) == [{"id": "q1", "text": "What?"}, {"id": "q2", "text": "Who?"}]
    assert list(task.items()) == [
        {"id": "doc1", "text": "A title And words."},
        {"id": "q1", "text": "No title."},
    ]


def test_gzip_and_what_is_missing(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "b")
    corpus = tmp_path / "b" / "corpus.jsonl"
    (tmp_path / "b" / "corpus.jsonl.gz").write_bytes(gzip.compress(corpus.read_bytes()))
    corpus.unlink()
    task = read("beir", [str(tmp_path / "b")], Options())
    assert len(list(task.items())) == 2
    (tmp_path / "b" / "corpus.jsonl.gz").write_bytes(gzip.compress(b'{"_id": "x"}\n'))
    with pytest.raises(BadDataError, match='line 1: "text" is missing'):
        list(task.items())
    (tmp_path / "b" / "corpus.jsonl.gz").unlink()
    with pytest.raises(MissingInputError, match="does not exist"):
        list(task.items())
    with pytest.raises(MissingInputError, match="splits dev, test"):
        read("beir", [FOLDER], Options(split="train"))
    for paths in ([], [FOLDER, FOLDER], [FOLDER + "/corpus.jsonl"]):
        with pytest.raises(UsageError, match="one folder"):
            read("beir", paths, Options())
    with pytest.raises(UsageError, match="takes no --split"):
        read("cirr", [FOLDER], Options(split="dev"))
