"""INQUIRE: paths with and without endings, AP@50 by min(50, R), a hundred candidates each."""

from __future__ import annotations

import gzip
import json

import pytest

from mmr.errors import BadDataError, UsageError
from mmr.evaluate.protocols.names import Tails
from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES, figures

QUERIES, POSITIVES = str(FILES / "inquire_queries_test.csv"), str(FILES / "inquire_annotations.csv")
CANDIDATES = str(FILES / "inquire_rerank_test.jsonl")


def test_the_ending_that_the_authors_index_leaves_out():
    task = read("inquire-fullrank", [QUERIES, POSITIVES], Options())
    assert set(task.qrels) == {"3", "11"}  # 12 has no positives, 99 is of no file
    assert "1 queries without positives are left out" in task.said
    bare = "train/00001_Animalia/aa"
    for form in (bare, f"{bare}.jpg", f"pics/inat/{bare}.JPG", f"inat.tar#{bare}.jpg"):
        assert figures(task, {"3": [form]})["", "RR@50"] == 0.5
    # The same name in another folder is another picture; a bare name is one where only one has it.
    assert figures(task, {"3": ["train/00009_Animalia/aa.jpg", "aa"]})["", "RR@50"] == 0
    assert figures(task, {"3": ["bb.jpg"]})["", "RR@50"] == 0.5


def test_hand_worked_case_8():
    """y = 1, 0, 1, 0, 0 and three positives: AP 5/9, nDCG 0.7039180890341348."""
    task = read("inquire-fullrank", [QUERIES, POSITIVES], Options())
    run = {"3": ["train/00001_Animalia/aa", "x", "train/00001_Animalia/bb", "y", "z"], "11": []}
    found = figures(task, run)
    assert found["", "AP(norm=min)@50"] == pytest.approx(5 / 9 / 2)
    assert found["", "nDCG@50"] == pytest.approx(0.7039180890341348 / 2)


def test_mrr_ends_with_the_fifty():
    task = read("inquire-fullrank", [QUERIES, POSITIVES], Options())
    run = {"11": [*(f"n{i}" for i in range(50)), "train/00003_Animalia/cc.jpg"]}
    assert set(figures(task, run).values()) == {0.0}


def test_queries():
    task = read("inquire-fullrank", [QUERIES, POSITIVES], Options())
    assert list(task.queries())[1] == {
        "id": "11", "text": "puffins, carrying food", "supercategory": "Behavior",
        "category": "Feeding and Hydration", "iconic_group": "Birds",
    }  # fmt: skip
    assert task.fields["iconic_group"] == {"3": "Mammals", "11": "Birds"}
    assert len(list(read("inquire-fullrank", [QUERIES], Options()).queries())) == 3


def test_rerank_orders_the_candidates_alone():
    task = read("inquire-rerank", [CANDIDATES, QUERIES], Options())
    assert task.qrels["3"] == {
        "train/00001_Animalia/aa": 1, "train/00001_Animalia/bb": 0, "train/00001_Animalia/cc": 1,
    }  # fmt: skip
    run = {
        "3": [f"p/train/0000{name}.jpg" for name in
              ("1_Animalia/bb", "3_Animalia/cc", "1_Animalia/cc", "1_Animalia/aa")],
        "11": ["train/00003_Animalia/cc"],
    }  # fmt: skip
    found = figures(task, run)
    assert found["", "AP"] == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1) / 2)
    assert found["", "RR"] == 0.75
    assert set(read("inquire-rerank", [CANDIDATES], Options()).qrels) == {
        "A mongoose standing up", "puffins, carrying food"}  # fmt: skip


def test_rerank_queries_name_their_candidates():
    task = read("inquire-rerank", [CANDIDATES, QUERIES], Options(images="pics/"))
    query = list(task.queries())[1]
    assert query["id"] == "11"
    path = "train/00003_Animalia/cc"
    assert query["among"][:3] == [path, f"{path}.jpg", f"pics/{path}.jpg"]


@pytest.mark.parametrize(("name", "content", "says"), [
    ("a.csv", "query_id,image_path\n3\n", "line 2: 1 columns, and the header has 2"),
    ("a.csv", 'query_id,image_path\n3,"x', "line 2: unexpected end of data"),
    ("a.csv", "query_id,image_path\n,x\n", '"query_id" is missing'),
    ("a.csv", "query_id,words\n3,x\n", "is no file of inquire-fullrank"),
    ("a.csv", b"query_id,image_path\n3,\xff\n", "is not UTF-8 (byte 23)"),
    ("a.jsonl", '{"query": "a", "inat24_file_name": "b.jpg", "relevant": 2}', '"relevant" is 2'),
    ("a.jsonl", '{"query": "a", "inat24_file_name": "b.jpg", "relevant": 1}\n' * 2, "b came before"),
])  # fmt: skip
def test_bad_files_are_named(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadDataError) as error:
        read("inquire-rerank" if "jsonl" in name else "inquire-fullrank", [QUERIES, str(path)], Options())
    assert says in str(error.value)


def test_files_that_are_missing():
    with pytest.raises(UsageError, match="needs the questions"):
        read("inquire-fullrank", [POSITIVES], Options())
    with pytest.raises(UsageError, match="needs the candidates"):
        read("inquire-rerank", [QUERIES], Options())


def test_the_longest_known_tail_counts():
    tails = Tails(["a/x", "b/a/x"])
    assert [tails(name) for name in ("c/a/x.png", "c/b/a/x", "x.png", "d/x.png")] == [
        "a/x",
        "b/a/x",
        "x",
        "d/x",
    ]


def test_the_real_files(shared):
    folder = shared / "data" / "benchmarks" / "inquire"
    for split, count in (("val", 50), ("test", 200)):
        task = read("inquire-fullrank", [str(folder / f"inquire_queries_{split}.csv")], Options())
        assert task.hidden
        assert len(list(task.queries())) == count


def test_csv_of_candidates(tmp_path):
    rows = [json.loads(line) for line in (FILES / "inquire_rerank_test.jsonl").read_text().splitlines()]
    lines = ["query,inat24_file_name,relevant"]
    lines += [f'"{row["query"]}",{row["inat24_file_name"]},{bool(row["relevant"])}' for row in rows]
    path = tmp_path / "rerank.csv.gz"
    path.write_bytes(gzip.compress("\r\n".join(lines).encode()))
    assert read("inquire-rerank", [str(path)], Options()).qrels == read(
        "inquire-rerank", [CANDIDATES], Options()).qrels  # fmt: skip
