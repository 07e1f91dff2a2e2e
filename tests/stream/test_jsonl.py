"""JSON lines: what is read, what is refused, and in which words."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from mmr.errors import BadDataError, BadItem, MissingInputError, raise_item
from mmr.stream.pipe import Pipe
from mmr.stream.read import read_records
from mmr.stream.records import dump
from tests.stream.reading import given, read

GOOD = b'{"id":"a","text":"x"}\n'


def test_a_record_keeps_its_fields_in_order(tmp_path: Path) -> None:
    found = given(
        tmp_path, b'{"zeta":[1,{"b":null}],"id":"q","alpha":1.5,"text":"x","nested":{"y":1,"x":2}}\n'
    )
    assert [dict(record) for record in found.records] == [
        {"zeta": [1, {"b": None}], "id": "q", "alpha": 1.5, "text": "x", "nested": {"y": 1, "x": 2}}
    ]
    assert list(found.records[0]) == ["zeta", "id", "alpha", "text", "nested"]
    assert list(found.records[0]["nested"]) == ["y", "x"]
    assert str(found.records[0].place) == f"{tmp_path}/in.jsonl line 1"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"nonsense", "not JSON"),
        (b'{"id":"b",', "not JSON"),
        (b'{"id":"b","x":NaN}', "NaN and Infinity are not JSON"),
        (b'{"id":"b","vector":[1,-Infinity]}', "NaN and Infinity are not JSON"),
        (b"[1,2]", "a list, not an object; `jq -c '.[]'`"),
        (b'"a"', "a string, not an object"),
        (b"7", "a number, not an object"),
        (b"null", "null, not an object"),
        (b"{}", "has no id, and none can be made of it: it is empty"),
        (b'{"id":"caf\xe9"}', "not UTF-8 (byte 11)"),
        (b'{"id":7}', '"id" is the number 7, not a string; write it as "7"'),
        (b'{"id":""}', '"id" is empty'),
        (b'{"id":null}', '"id" is null'),
        (b'{"id":"b","image":""}', '"image" is empty'),
        (b'{"id":"b","image":"a\\u0000b"}', "zero byte"),
        (b'{"id":"b","image":["x"]}', '"image" is a list, not a string'),
        (b'{"id":"b","text":5}', '"text" is a number'),
        (b'{"id":"b","exclude":"x"}', '"exclude" is not a list of strings'),
        (b'{"id":"b","hits":[{"score":1}]}', "hit 1"),
        (b'{"id":"b","hits":[{"id":"x"},{"id":"y","score":"high"}]}', "score of hit 2 is a string"),
        (b'{"id":"b","vector":7}', '"vector" is a number'),
        (b'{"id":"b","vector":null}', '"vector" is null'),
        (b'{"id":"b","vector":[]}', '"vector" is empty'),
        (b'{"id":"b","vector":["1","2"]}', "not a flat list of numbers"),
        (b'{"id":"b","vector":[1,null]}', "not a flat list of numbers"),
        (b'{"id":"b","vector":[[1],[2]]}', "not a flat list of numbers"),
        (b'{"id":"b","vector":[1,[2]]}', "not a flat list of numbers"),
        (b'{"id":"b","vector":[1e39]}', "float32 cannot"),
        (b'{"id":"b","vector":"!!"}', "not base64"),
        (b'{"id":"b","vector":"\\u00e9"}', "not base64"),
        (b'{"id":"b","vector":"AAA="}', "base64 of 2 bytes"),
        (b'{"id":"b","vector":"AADAfw=="}', "float32 cannot"),
        (b'{"id":"b","vectors":[[1,2],[3]]}', "mixes vectors of 2"),
        (b'{"id":"b","vectors":[]}', '"vectors" is an empty list'),
        (b'{"id":"b","bindings":{"v":[1,"x"]}}', "bindings.v"),
        (b'{"id":"b","rows":-1}', '"rows" is not a whole number'),
        (b"{" * 2000, "not JSON"),
    ],
)
def test_a_bad_line_is_named_and_the_others_come_through(tmp_path: Path, line: bytes, words: str) -> None:
    found = given(tmp_path, GOOD + line + b"\n" + b'{"id":"c"}\n')
    assert found.ids == ["a", "c"]
    assert len(found.bad) == 1
    assert found.words[0].startswith(f"{tmp_path}/in.jsonl line 2: ")
    assert words in found.words[0]
    assert found.bad[0].stage == "read"
    assert found.bad[0].record is not None


def test_strict_stops_at_the_first_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD + b"x\n" + GOOD)
    records = read_records([str(path)], reject=raise_item)
    assert next(records)["id"] == "a"
    with pytest.raises(BadItem, match="not JSON"):
        next(records)


@pytest.mark.parametrize(
    "data",
    [b'{"id":"a"}\n{"id":"b"}',
     b'\n\n{"id":"a"}\n \t\n{"id":"b"}\n\n',
     b'\xef\xbb\xbf{"id":"a"}\r\n{"id":"b"}\r\n',
     b'{"id":"a"}\n\xef\xbb\xbf{"id":"b"}\n', b'  {"id":"a"}\n{"id":"x","id":"b"}\n'],
    ids=["no last newline", "blank lines", "BOM and CRLF", "BOM of a second file", "duplicate key"],
)  # fmt: skip
def test_lines_as_people_have_them(tmp_path: Path, data: bytes) -> None:
    found = given(tmp_path, data)
    assert (found.ids, found.words) == (["a", "b"], [])


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n \n"])
def test_an_empty_stream_is_no_error(tmp_path: Path, data: bytes) -> None:
    assert given(tmp_path, data) == ([], [])


def test_a_line_of_ten_megabytes(tmp_path: Path) -> None:
    found = given(tmp_path, json.dumps({"id": "big", "text": "x" * 10_000_000}).encode() + b"\n" + GOOD)
    assert found.ids == ["big", "a"]
    assert len(found.records[0]["text"]) == 10_000_000


def test_numbers_and_base64_give_the_same_float32(tmp_path: Path) -> None:
    vector = np.float32([0.1, -2.5, 3e38])
    text = b64encode(vector.tobytes()).decode()
    lines = [
        {
            "id": "n",
            "vector": vector.tolist(),
            "vectors": [vector.tolist(), text],
            "bindings": {"v": text, "t": [text]},
        },
        {
            "id": "s",
            "vector": text,
            "vectors": [text, text],
            "bindings": {"v": vector.tolist(), "t": [vector.tolist()]},
        },
    ]
    found = given(tmp_path, "\n".join(map(json.dumps, lines)).encode())
    for record in found.records:
        assert record["vector"].dtype == np.float32
        np.testing.assert_array_equal(record["vector"], vector)
        np.testing.assert_array_equal(record["vectors"], [vector, vector])
        np.testing.assert_array_equal(record["bindings"]["v"], vector)
        np.testing.assert_array_equal(record["bindings"]["t"], [vector])


def test_vectors_are_left_alone_when_nobody_wants_them(tmp_path: Path) -> None:
    found = given(tmp_path, b'{"id":"a","vector":[1,2]}\n{"id":"b","vector":"AACAPw=="}\n', vectors=False)
    assert [record["vector"] for record in found.records] == [[1, 2], "AACAPw=="]


def test_default_ids(tmp_path: Path) -> None:
    found = given(
        tmp_path,
        b'{"image":"./a//b.jpg","text":"x"}\n{"text":"x"}\n{"vector":[1]}\n{"vector":"AACAPw=="}\n{"z":1}\n',
    )
    assert found.ids[:2] == ["a/b.jpg", "442a44457137672b3218c1007dc8f76a"]
    assert found.ids[2] == found.ids[3] != found.ids[4]
    assert next(iter(found.records[1])) == "id"
    assert given(tmp_path, b'{"vector":[1]}\n', vectors=False).ids == found.ids[2:3]


def test_eof_records_are_dropped_or_given(tmp_path: Path) -> None:
    data = GOOD + b'{"eof":true,"items":1,"roots":["/x"]}\n'
    assert given(tmp_path, data).ids == ["a"]
    assert dict(given(tmp_path, data, eof=True).records[1]) == {"eof": True, "items": 1, "roots": ["/x"]}


def test_rejects_are_fed_back_without_their_reason(tmp_path: Path) -> None:
    found = given(
        tmp_path, b'{"id":"a","text":"x","error":"too dark","stage":"decode"}\n{"id":"b","error":"mine"}\n'
    )
    assert [dict(record) for record in found.records] == [
        {"id": "a", "text": "x"},
        {"id": "b", "error": "mine"},
    ]


def test_several_files_are_one_stream(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id":"a"}')
    (tmp_path / "b.jsonl").write_bytes(b'{"id":"b"}')
    assert read(tmp_path / "a.jsonl", tmp_path / "b.jsonl").ids == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "words"), [("none.jsonl", "does not exist"), (".", "is a folder"), ("no.npy", "exist")]
)
def test_a_missing_file_is_said_before_the_first_record(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    with pytest.raises(MissingInputError, match=words):
        read_records([str(tmp_path / "a.jsonl"), str(tmp_path / name)], reject=raise_item)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\x89PNG\r\n\x1a\n123", "PNG picture"), (b"\x1f\x8b\x08", "gzip"), (b"ab\0cd\n", "binary data")],
)
def test_other_kinds_of_file_are_refused_by_name(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(BadDataError, match=words):
        given(tmp_path, data, name="x.dat")


def test_a_record_is_there_when_its_line_is() -> None:
    code = (
        "from mmr.errors import raise_item\nfrom mmr.stream.read import read_records\n"
        "for record in read_records(['-'], reject=raise_item): print(record['id'], flush=True)\n"
        "import sys; assert 'numpy' not in sys.modules"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        for name in (b"one", b"two"):
            child.stdin.write(b'{"id":"%s"}\n' % name)
            child.stdin.flush()
            assert child.stdout.readline() == name + b"\n"  # a reader that waited for more would hang here
        child.stdin.close()
        assert child.wait(20) == 0


def test_a_batch_is_given_out_before_the_next_record_is_waited_for() -> None:
    code = (
        "from mmr.errors import raise_item\nfrom mmr.stream.read import read_records\n"
        "from mmr.stream.pipe import batches\n"
        "for batch in batches(read_records(['-'], reject=raise_item), 4):\n"
        "    print(*[record['id'] for record in batch], flush=True)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        for sent, answers in ((b"ab", [b"a b"]), (b"c", [b"c"]), (b"defghi", [b"d e f g", b"h i"])):
            child.stdin.write(b"".join(b'{"id":"%c"}\n' % name for name in sent))
            child.stdin.flush()
            assert [child.stdout.readline() for _ in answers] == [answer + b"\n" for answer in answers]
        child.stdin.write(b'{"id":"last"}')
        child.stdin.close()
        assert child.stdout.read() == b"last\n"
        assert child.wait(20) == 0


CHUNKS = st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"x", b"\n")), max_size=8)


@hypothesis.given(CHUNKS, st.integers(1, 50))
def test_a_pipe_is_read_as_a_file_is(chunks: list[bytes], limit: int) -> None:
    data = b"".join(chunks)
    ours, theirs = os.pipe()
    os.write(theirs, data)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0):
        pipe = Pipe(ours)
        head = pipe.readline(1 << 20)
        start = pipe.read(limit)
        rest = list(iter(lambda: pipe.readline(1 << 20), b""))
    file = io.BytesIO(data)
    assert (head, start, rest) == (file.readline(), file.read(limit), list(file))


def test_a_line_without_an_end_is_cut() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb", buffering=0), os.fdopen(theirs, "wb", buffering=0) as writer:
        writer.write(b"x" * 1000)
        assert Pipe(ours).readline(100) == b"x" * 1000


def test_dump_writes_what_came(tmp_path: Path) -> None:
    vector = np.float32([1, 0.1])
    hit = {"id": "h", "score": 1.0, "vector": vector}
    record = {
        "id": "a",
        "vector": vector,
        "vectors": np.stack([vector]),
        "bindings": {"v": vector},
        "hits": [hit],
    }
    for form in ("list", "base64"):
        found = given(tmp_path, dump(record, form)).records[0]
        np.testing.assert_array_equal(found["vector"], vector)
        np.testing.assert_array_equal(found["vectors"], [vector])
        np.testing.assert_array_equal(found["bindings"]["v"], vector)
        np.testing.assert_array_equal(found["hits"][0]["vector"], vector)
    assert dump({"vector": vector}) == b'{"vector":[1.0,0.1]}\n'
    assert dump({"vector": vector}, "base64") == b'{"vector":"AACAP83MzD0="}\n'
    assert dump({"vector": np.float32([[1, 2], [3, 4]])[:, 0]}) == b'{"vector":[1.0,3.0]}\n'
