"""Revisited Oxford and Paris: setups, junk, queries without positives, pickles that run nothing."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from mmr.errors import BadDataError
from mmr.evaluate.protocols.revisited import MEASURES
from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES, figures

TINY = str(FILES / "gnd_tiny.pkl")
RANKED = [f"jpg/m{n}.jpg" for n in (5, 0, 3, 1, 2, 4)]


def test_hand_worked_case_11():
    """ok {0, 2} with junk {3}, and ok {5, 4} with junk {0, 1, 2}, in the order 5, 0, 3, 1, 2, 4."""
    task = read("rop-medium", [TINY], Options())
    of = {name: figures(task.__class__(**{**vars(task), "qrels": {name: task.qrels[name]}}), {name: RANKED})
          for name in ("q_a", "q_b")}  # fmt: skip
    assert [of["q_a"]["", m] for m in MEASURES] == pytest.approx([1 / 3, 0, 0.5, 0.5])
    assert [of["q_b"]["", m] for m in MEASURES] == pytest.approx([0.7916666666666666, 1, 2 / 3, 2 / 3])


def test_setups_move_easy_and_hard_between_right_and_junk():
    easy, medium, hard = (read(f"rop-{setup}", [TINY], Options()) for setup in ("easy", "medium", "hard"))
    assert easy.qrels["q_a"] == {"m0": 1, "m3": -1, "m2": -1}
    assert medium.qrels["q_a"] == {"m0": 1, "m2": 1, "m3": -1}
    assert hard.qrels["q_a"] == {"m2": 1, "m3": -1, "m0": -1}
    assert set(easy.qrels) == {"q_a", "q_b"}  # q_c has no easy picture
    assert "1 queries without positives are left out" in easy.said
    assert set(medium.qrels) == {"q_a", "q_b", "q_c"}


def test_pictures_of_queries_take_no_place():
    task = read("rop-medium", [TINY], Options())
    ranked = ["jpg/q_b.jpg", "jpg/q_a.jpg", *RANKED]
    runs = [dict.fromkeys(task.qrels, ranking) for ranking in (ranked, RANKED)]
    assert figures(task, runs[0]) == figures(task, runs[1])


def test_queries_carry_the_box_and_leave_out_all_queries():
    query = next(iter(read("rop-hard", [TINY], Options()).queries()))
    assert query["bbx"] == [1.5, 2, 30, 40]
    assert query["image"] == "jpg/q_a.jpg"
    assert query["exclude"] == ["q_a", "jpg/q_a.jpg", "q_b", "jpg/q_b.jpg", "q_c", "jpg/q_c.jpg"]


def test_json_of_the_same_shape():
    assert read("rop-easy", [str(FILES / "gnd_tiny.json")], Options()).qrels == read(
        "rop-easy", [TINY], Options()).qrels  # fmt: skip


class Bomb:
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def test_a_pickle_runs_nothing(tmp_path):
    path, mark = tmp_path / "gnd_x.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps({"imlist": Bomb(str(mark))}))
    with pytest.raises(BadDataError, match=r"it names posix\.mkdir"):
        read("rop-easy", [str(path)], Options())
    assert not mark.exists()
    for damaged in (b"", b"\x80\x02", b"cos\nsystem\n(S'x'\ntR.", Path(TINY).read_bytes()[:200]):
        path.write_bytes(damaged)
        with pytest.raises(BadDataError, match="no pickle of plain values"):
            read("rop-easy", [str(path)], Options())


@pytest.mark.parametrize(("change", "says"), [
    ({"qimlist": ["q_a"]}, "1 queries, but 3 in gnd"), ({"imlist": ["m0", "m0"]}, "listed twice"),
    ({"imlist": ["m0"]}, "gnd 0 names a place outside imlist"), ({"imlist": 3}, '"imlist" is a number'),
])  # fmt: skip
def test_bad_files_are_named(tmp_path, change, says):
    path = tmp_path / "gnd.json"
    path.write_text(json.dumps(json.loads((FILES / "gnd_tiny.json").read_text()) | change))
    with pytest.raises(BadDataError) as error:
        read("rop-easy", [str(path)], Options())
    assert says in str(error.value)


def test_one_file_at_a_time():
    with pytest.raises(BadDataError, match="2 files"):
        read("rop-easy", [TINY, TINY], Options())


def test_the_real_files(shared):
    folder = shared / "data" / "benchmarks" / "revisitop"
    for name, count in (("gnd_roxford5k.pkl", 4993), ("gnd_rparis6k.pkl", 6322)):
        for setup in ("easy", "medium", "hard"):
            task = read(f"rop-{setup}", [str(folder / name)], Options())
            assert f"{count:,} listed pictures" in task.said
            assert len(task.qrels) == (68 if (setup, count) == ("easy", 4993) else 70)
            perfect = {
                query: sorted(wanted, key=lambda item, wanted=wanted: -wanted[item])
                for query, wanted in task.qrels.items()
            }
            assert set(figures(task, perfect).values()) == {1.0}
