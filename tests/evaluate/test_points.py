"""The numbers behind a plot."""

import json

import pytest

from mmr.evaluate.grammar import parse
from mmr.evaluate.plot import draw, needed
from mmr.evaluate.qrels import Qrels
from mmr.evaluate.score import Conventions, score

HITS = (
    '{"id":"q1","hits":[{"id":"a","score":0.9},{"id":"x","score":0.8},{"id":"b","score":0.5}]}\n'
    '{"id":"q2","hits":[{"id":"y","score":0.4},{"id":"c","score":0.2}]}\n'
)
QRELS = {"q1": {"a": 1, "b": 1}, "q2": {"c": 1}}


@pytest.fixture
def drawn(tmp_path):
    (tmp_path / "a.jsonl").write_text(HITS)
    measures = parse("hit@3,AUC,ECE(bins=2)")
    run = score(str(tmp_path / "a.jsonl"), Qrels.of(QRELS), [*measures, *needed(measures)], Conventions())
    file = tmp_path / "points.jsonl"
    draw(str(file), [run], measures)
    return [json.loads(line) for line in file.read_text().splitlines()]


def of(points, curve):
    return [{k: v for k, v in point.items() if k not in ("run", "curve")} for point in points
            if point["curve"] == curve]  # fmt: skip


def test_a_measure_over_its_cutoffs(drawn):
    assert of(drawn, "hit@k") == [{"k": 1, "value": 0.5}, {"k": 2, "value": 1.0}, {"k": 3, "value": 1.0}]


def test_the_roc_curve_starts_where_nothing_is_accepted(drawn):
    roc = of(drawn, "AUC")
    assert roc[0] == {"threshold": None, "far": 0.0, "tar": 0.0}
    assert roc[1] == {"threshold": 0.9, "far": 0.0, "tar": pytest.approx(1 / 3)}
    assert roc[-1]["far"] == roc[-1]["tar"] == 1.0


def test_bins_that_hold_hits(drawn):
    assert of(drawn, "ECE(bins=2)") == [
        {"confidence": pytest.approx(1.1 / 3), "accuracy": pytest.approx(2 / 3), "hits": 3},
        {"confidence": pytest.approx(0.85), "accuracy": 0.5, "hits": 2},
    ]


def test_groups_are_written_as_they_are(tmp_path):
    groups = [{"run": "a", "group": "de", "measure": "RR", "value": 0.5}]
    draw(str(tmp_path / "g.jsonl"), [], (), groups)
    assert json.loads((tmp_path / "g.jsonl").read_text()) == groups[0]
