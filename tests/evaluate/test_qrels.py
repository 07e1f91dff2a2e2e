"""Files of judgements in each form, and what is wrong with others."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError
from mmr.evaluate.qrels import Qrels, read_qrels
from mmr.stream import qrels as module

TWO = {"q1": {"d1": 1, "d2": 0}, "q2": {"d1": -1}}
FORMS = {
    "trec": b"q1 0 d1 1\nq1 Q0 d2 0\nq2 7 d1 -1\n",
    "trec between tabs and blanks": b"q1\t0  d1 \t1\nq1 0 d2 0\nq2 0 d1 -1",
    "tabs alone": b"q1\t0\td1\t1\nq1\t0\td2\t0\nq2\t0\td1\t-1\n",
    "CRLF": b"q1 0 d1 1\r\nq1 0 d2 0\r\n\r\nq2 0 d1 -1\r\n",
    "BEIR": b"query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td1\t-1\n",
    "BEIR without its header": b"q1\td1\t1\nq1\td2\t0\nq2\td1\t-1\n",
    "three columns between blanks": b"q1 d1 1\nq1 d2 0\nq2 d1 -1\n",
    "comments": b"# made by hand\nq1 0 d1 1\n#q1 0 d2 3\nq1 0 d2 0\n\nq2 0 d1 -1\n",
    "byte order mark": b"\xef\xbb\xbfq1 0 d1 1\nq1 0 d2 0\nq2 0 d1 -1\n",
    "any order of lines": b"q2 0 d1 -1\nq1 0 d2 0\nq2x 0 d1 3\nq1 0 d1 +1\n",
    "JSON of judgements": b'{"q1": {"d1": 1, "d2": 0},\n "q2": {"d1": -1}}',
}


def read(tmp_path: Path, data: bytes) -> dict[str, dict[str, int]]:
    path = tmp_path / "qrels"
    path.write_bytes(data)
    found = read_qrels(str(path))
    assert len(found) == len(found.queries)
    assert found.queries == sorted(found.queries)
    return {query: found.of_query(query) for query in found.queries}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_each_form_holds_the_same(tmp_path: Path, form: str, packed: bool) -> None:
    found = read(tmp_path, gzip.compress(FORMS[form]) if packed else FORMS[form])
    found.pop("q2x", None)
    assert found == TWO


def test_m_beir_has_a_task_and_counts_only_what_is_relevant(tmp_path: Path) -> None:
    data = b"9:1 0 9:7 1 4\n9:1 0 9:8 0 4\n9:2 0 9:7 2 4\n"
    assert read(tmp_path, data) == {"9:1": {"9:7": 1}, "9:2": {"9:7": 2}}


def test_json_lists_are_all_relevant_and_their_numbers_are_ids(tmp_path: Path) -> None:
    data = b'{"391895": [770337, "771687"], "522418": [681330]}'
    assert read(tmp_path, data) == {"391895": {"770337": 1, "771687": 1}, "522418": {"681330": 1}}


def test_ids_between_tabs_may_hold_blanks(tmp_path: Path) -> None:
    assert read(tmp_path, b"q 1\t0\tmy cat.png\t1\n") == {"q 1": {"my cat.png": 1}}
    assert read(tmp_path, b"q1\tmy cat.png\t1\nq1\tb\t0\n") == {"q1": {"my cat.png": 1, "b": 0}}


def test_a_number_sign_inside_an_id_stays(tmp_path: Path) -> None:
    data = b"q#1 0 doc_50_22#13_30 1\nq#1 0 #2 2\n"
    assert read(tmp_path, data) == {"q#1": {"doc_50_22#13_30": 1, "#2": 2}}


def test_ids_are_strings(tmp_path: Path) -> None:
    assert read(tmp_path, b"01 0 NA 1\n1 0 null 1\n") == {"01": {"NA": 1}, "1": {"null": 1}}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"q1 0 d1 1\nq1 0 d2\n", "line 2, column 4: missing, the line has 3 columns, not 4"),
        (b"q1 0 d1 1\nq1 0 d2 1 4\n", "line 2, column 5: one too many, the line has 5 columns, not 4"),
        (b"q1 0 d1 1\nq1 0 d2 1.7\n", "line 2, column 4: judgement '1.7' is not a whole number"),
        (b"q1 0 d1 x\n", "line 1, column 4: judgement 'x' is not a whole number"),
        (b"q1 0 d1 1_0\n", "line 1, column 4: judgement '1_0' is not a whole number"),
        (b"q1 0 d1 99999999999\n", "line 1, column 4: judgement 99999999999 is too large"),
        (b"q1\td1\tx\nq1\td1\t1\n", "line 1, column 3: judgement 'x' is not a whole number"),
        (b"q1\t\t1\nq1\td1\t1\n", "line 1"),
        (b"q1\td1\t1\nq1\t\t1\n", "line 2, column 2: empty"),
        (b"q1 0 d1 1\nq1 0 \xff 1\n", "line 2, column 3: not UTF-8"),
        (b"q1 0 d 1\nq2 0 d 1\n#\nq1 0 d 2\n", "line 4, column 3: d was judged before for query q1 (line 1)"),
        (b"q1\td1\t1\nq1\td1\t1\n", "line 2, column 2: d1 was judged before for query q1 (line 1)"),
        (b'{"q": ["a", "b", "a"]}', "a was judged before for query q"),
        (b'{"q": {"a": 1.5}}', "query q: the judgement of a is no whole number"),
        (b'{"q": "a"}', "query q has a string, not a list of items"),
        (b'{"q": [["a"]]}', "query q: an item is a list, not a string"),
        (b'{"q": ["a"],\n"r": x}', "line 2, column 6: not JSON"),
        (b"", "holds no judgements"),
        (b"# nothing\n\n", "holds no judgements"),
        (b"query-id\tcorpus-id\tscore\n", "holds no judgements"),
        (b"{}", "holds no judgements"),
        (b"q1 Q0 d1 1 0.5 run\n", "line 1, column 5: one too many, the line has 6 columns, not 4"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_file_line_and_column(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(BadDataError) as error:
        read(tmp_path, data)
    assert str(error.value).startswith(f"{tmp_path}/qrels") and words in error.value.what


NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Z")), min_size=1).filter(
    lambda name: name.split() == [name] and not name.startswith(("#", "{", "\ufeff"))
)
MAPS = st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(-3, 12), min_size=1), min_size=1)


@settings(max_examples=200, deadline=None)
@given(MAPS, st.randoms(), st.sampled_from([" ", "\t", "  "]))
def test_lines_in_any_order_are_a_mapping(tmp_path_factory, judgements, random, blank) -> None:
    lines = [
        blank.join([q, "0", d, str(rel)]) for q, judged in judgements.items() for d, rel in judged.items()
    ]
    random.shuffle(lines)
    assert read(tmp_path_factory.getbasetemp(), "\n".join(lines).encode()) == judgements


@settings(max_examples=100, deadline=None)
@given(MAPS)
def test_of_a_mapping(judgements) -> None:
    found = Qrels.of(judgements)
    assert {query: found.of_query(query) for query in found.queries} == judgements
    assert found.of_query("nobody asked") == {}
    for place in range(len(found)):
        rels = found.rel[found.start[place] : found.start[place + 1]].tolist()
        assert rels == sorted(rels, reverse=True)


def test_the_scan_and_the_plain_reader_agree_on_real_files(shared: Path, monkeypatch) -> None:
    for path in sorted((shared / "data" / "trec").glob("*qrels*")):
        fast = read_qrels(str(path))
        with monkeypatch.context() as patch:
            patch.setattr(module, "_scanned", lambda *_: None)
            plain = read_qrels(str(path))
        assert fast.queries == plain.queries
        assert all(fast.of_query(query) == plain.of_query(query) for query in fast.queries)
