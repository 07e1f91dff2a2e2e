"""TREC runs, TSV and lists of ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmr.errors import BadDataError, MissingInputError
from mmr.stream.trec import decoded, encoded
from mmr.stream.write import open_writer
from tests.stream.reading import given, read

RUN = b"q1 Q0 d2 1 0.5 x\nq1 Q0 d1 2 0.7 x\nq1 Q0 d3 3 0.5 x\nq2 Q0 d%201 0 1e0 x\n"


def test_a_run_is_read_in_the_order_of_scores(tmp_path: Path) -> None:
    found = given(tmp_path, RUN, "a.txt")
    assert [dict(record) for record in found.records] == [
        {
            "id": "q1",
            "hits": [{"id": "d1", "score": 0.7}, {"id": "d3", "score": 0.5}, {"id": "d2", "score": 0.5}],
        },
        {"id": "q2", "hits": [{"id": "d%201", "score": 1.0}]},  # not our tag: taken as it stands
    ]
    assert str(found.records[1].place).endswith("a.txt line 4")


def test_percent_signs_are_decoded_in_our_runs_alone(tmp_path: Path) -> None:
    found = given(tmp_path, b"a%20b Q0 c%25d 1 1 mmr\nz%20 Q0 c%25d 1 1 other\n", "a.run")
    assert [(record["id"], record["hits"][0]["id"]) for record in found.records] == [
        ("a b", "c%d"), ("z%20", "c%25d")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"q1 Q0 d9 1 0.5", "5 columns, not 6"),
        (b"q1 Q0 d9 1 high x", "score high is not a number"),
        (b"q1 Q0 d9 1 nan x", "not a finite float32"),
        (b"q1 Q0 d9 1 1e99 x", "not a finite float32"),
        (b"q1 Q0 d\xff 1 1 x", "not UTF-8"),
        (b"q1 Q0 d%FF 1 1 mmr", "percent-encoding that is not UTF-8"),
        (b"q1 Q0 d2 9 0.4 x", "d2 came before for query q1"),
    ],
)
def test_a_bad_line_of_a_run(tmp_path: Path, line: bytes, words: str) -> None:
    head, tail = RUN.splitlines(keepends=True)[:2], RUN.splitlines(keepends=True)[2:]
    found = given(tmp_path, b"".join([*head, line + b"\n", *tail]), "a.run")
    assert [len(record["hits"]) for record in found.records] == [3, 1]
    assert found.words[0].startswith(f"{tmp_path}/a.run line 3: ")
    assert words in found.words[0]


def test_a_run_whose_queries_are_torn_apart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"line 5: the lines of query q1 do not stand together"):
        given(tmp_path, RUN + RUN, "a.run")


def test_a_run_is_written_for_trec_eval(tmp_path: Path) -> None:
    hits = [
        {"id": "b c", "score": 0.1},
        {"id": "a%\u2003\n", "score": 0.30000001192092896},
        {"id": "z", "score": 0.1},
    ]
    with open_writer(str(tmp_path / "a.run"), "trec") as writer:
        writer.write({"id": "q 1", "text": "x", "hits": hits})
        writer.write({"id": "q2", "hits": []})
        writer.write({"eof": True, "items": 2})
    assert (tmp_path / "a.run").read_text() == (
        "q%201 Q0 a%25%E2%80%83%0A 1 0.3 mmr\nq%201 Q0 z 2 0.1 mmr\nq%201 Q0 b%20c 3 0.1 mmr\n"
    )
    assert [hit["id"] for hit in read(tmp_path / "a.run").records[0]["hits"]] == ["a%\u2003\n", "z", "b c"]
    for record in ({"id": "q"}, {"id": "q", "hits": [{"id": "a"}]}):
        with pytest.raises(BadDataError, match="no hits"), open_writer(str(tmp_path / "b"), "trec") as writer:
            writer.write(record)
    assert not (tmp_path / "b").exists()


def test_encoding_is_the_identity_on_plain_ids() -> None:
    assert encoded("pics/é_1.jpg") == decoded("pics/é_1.jpg") == "pics/é_1.jpg"
    assert decoded("100%zz") == "100%zz"
    assert (encoded("{a{"), encoded("\ufeffa")) == ("%7Ba{", "%EF%BB%BFa")


def test_ids_one_a_line(tmp_path: Path) -> None:
    with open_writer(str(tmp_path / "a"), "ids") as writer:
        writer.write({"id": "q", "hits": [{"id": "b c"}, {"id": "a"}]})
        writer.write({"eof": True})
    assert (tmp_path / "a").read_text() == "b c\na\n"
    for record, words in (
        ({"id": "q"}, "has no hits"),
        ({"hits": [{"id": "a\nb"}]}, r"a\\nb holds a line break"),
    ):
        with pytest.raises(BadDataError, match=words), open_writer(str(tmp_path / "b"), "ids") as writer:
            writer.write(record)


def test_a_table_with_a_header(tmp_path: Path) -> None:
    data = b'id\timage\ttext\tsize\tnote\texclude\r\na\tx.png\ta b\t12\t\t["b"]\r\n\r\nb\t\t"q"\t\t5\t\r\n'
    for name in ("a.tsv", "a.txt"):
        found = given(tmp_path, data, name)
        assert [dict(record) for record in found.records] == [
            {"id": "a", "image": "x.png", "text": "a b", "size": 12, "note": "", "exclude": ["b"]},
            {"id": "b", "text": '"q"', "note": "5"},
        ]
        assert str(found.records[1].place).endswith(f"{name} line 4")


def test_a_table_of_one_column_and_one_of_vectors(tmp_path: Path) -> None:
    assert [record["text"] for record in given(tmp_path, b"text\na cat\na dog\n", "a").records] == [
        "a cat",
        "a dog",
    ]
    found = given(tmp_path, b"id\tvector\na\t[1, 2]\nb\tAACAPw==\n", "a")
    assert [record["vector"].tolist() for record in found.records] == [[1, 2], [1]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"b\tx\ty", "3 columns, and the header names 2"),
        (b"b", "1 columns, and the header names 2"),
        (b"b\tcaf\xe9", "not UTF-8 (byte 6)"),
    ],
)
def test_a_bad_row_of_a_table(tmp_path: Path, line: bytes, words: str) -> None:
    found = given(tmp_path, b"id\ttext\na\tx\n" + line + b"\nc\tz\n", "a.tsv")
    assert (found.ids, len(found.bad)) == (["a", "c"], 1)
    assert found.words[0].startswith(f"{tmp_path}/a.tsv line 3: ")
    assert words in found.words[0]


def test_a_cell_that_should_be_json(tmp_path: Path) -> None:
    found = given(tmp_path, b"id\tsize\tvector\na\tbig\t\nb\t1\t[1\nc\t1\t[1]\n", "a.tsv")
    assert found.ids == ["c"]
    assert ['"size" is big, which is not JSON' in found.words[0], '"vector"' in found.words[1]] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("header", "words"),
    [(b"q1\ta red apple", "needs a header"), (b"id\tid", "one twice"), (b"id\t\ttext", "empty name")],
)
def test_a_table_without_a_header_is_refused(tmp_path: Path, header: bytes, words: str) -> None:
    with pytest.raises(BadDataError, match=words):
        given(tmp_path, header + b"\na\tb\n", "a.tsv")


def test_words_that_are_no_format_are_bad_lines(tmp_path: Path) -> None:
    found = given(tmp_path, b'a red apple\n{"id":"a"}\n', "a.txt")
    assert (found.ids, len(found.bad)) == (["a"], 1)


def test_a_run_and_a_table_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        read(tmp_path / "none.tsv")
