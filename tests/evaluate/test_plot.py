"""Pictures of measures: what is drawn, read back from SVG text; the same bytes each time."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from mmr.errors import OutputError, UnavailableError, UsageError
from mmr.evaluate.grammar import parse
from mmr.evaluate.plot import draw, needed, short_names
from mmr.evaluate.scored import Counts, Scored
from tests.evaluate.hits import judged

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")


def run(name, measures, n=30):
    rng = np.random.default_rng(len(name))
    block = judged([[(0.9, 1), (0.4, 0), (0.3, 1), (0.1, 0)], [(0.8, 0), (0.7, 1), (0.2, 0)]])
    values, totals = {}, {}
    for measure in measures:
        text = str(measure)
        if measure.row.total == "pooled":
            totals[text] = measure.values(block)
            continue
        values[text] = rng.integers(1, 50, n) / 1 if measure.row.name == "MedR" else rng.random(n)
        totals[text] = float(np.median(values[text]) if measure.row.name == "MedR" else values[text].mean())
    return Scored(name, [f"{i:02}" for i in range(n)], values, totals, Counts(n, n, n, 0, 0), pooled=block)


def texts(path):
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text().replace("&gt;", ">"))


def drawn(folder, names, asked):
    measures = parse(asked)
    runs = [run(name, [*measures, *needed(measures)]) for name in names]
    draw(str(folder / "p.svg"), runs, measures)
    return texts(folder / "p.svg")


def test_every_kind_of_panel_is_labelled(tmp_path):
    found = drawn(tmp_path, ["runs/a.trec", "runs/b.jsonl"], "nDCG@10,AP,R@10,hit@100,MedR,AUC,EER,ECE@2")
    assert {
        "R@k", "hit@k", "k", "a.trec", "b.jsonl", "nDCG@10", "AP", "EER", "MedR", "FAR = FRR", "calibrated",
        "true accepts (TAR)", "false accepts (FAR)", "share that is relevant",
    } <= set(found)  # fmt: skip
    assert "a.trec: AUC 0.750" in found
    assert any(re.fullmatch(r"b\.jsonl: ECE@2 0\.\d{3}", text) for text in found)
    assert found.count("a.trec") == 1


def test_one_run_has_no_legend(tmp_path):
    found = drawn(tmp_path, ["a.trec"], "nDCG@10,AP")
    assert "a.trec" not in found
    assert {"nDCG@10", "AP", "0.0", "1.0"} <= set(found)


def test_recall_is_drawn_through_the_usual_cut_offs():
    assert [str(measure) for measure in needed(parse("hit@10,AP@5,R(rel=2)@3,hit@5,nDCG@20"))] == [
        "hit@1", "hit@2", "hit@3", "hit@5", "R(rel=2)@1", "R(rel=2)@2",
    ]  # fmt: skip
    assert needed(parse("hit@1,R@1,AP,MedR")) == []


def test_measures_that_differ_in_the_cut_off_are_a_curve(tmp_path):
    found = drawn(tmp_path, ["a.trec"], "nDCG@5,nDCG@7,nDCG(gain=exp2)@7,P@3")
    assert "nDCG@k" in found
    assert {"5", "7", "nDCG(gain=exp2)@7", "P@3"} <= set(found)
    assert "nDCG@7" not in found


def test_bars_reach_to_the_value(tmp_path):
    measures = parse("AP")
    one = run("a", measures)
    found = []
    for scale in (1, 0.5):
        values = one.values["AP"] * scale
        part = Scored("a", one.queries, {"AP": values}, {"AP": float(values.mean())}, one.counts)
        draw(str(tmp_path / "p.svg"), [part], measures)
        bar = re.search(r'<g id="patch_3">\s*<path d="([^"]*)"', (tmp_path / "p.svg").read_text())
        across = [float(x) for x in re.findall(r"[ML] ([\d.]+) ", bar[1])]
        found.append(max(across) - min(across))
    assert found[1] == pytest.approx(found[0] / 2, rel=1e-3)


def test_groups_are_bars_alone(tmp_path):
    measures = parse("AP,MedR,R@10")
    records = [
        {"run": name, "group": group, "measure": measure, "value": None if group == "fr" else 0.4,
         "low": 0.3, "high": 0.5}
        for name in ("x/a", "x/b") for group in ("de", "fr", "micro") for measure in ("AP", "MedR")
    ]  # fmt: skip
    draw(str(tmp_path / "p.svg"), [run("x/a", measures), run("x/b", measures)], measures, records)
    found = texts(tmp_path / "p.svg")
    assert [found.count(label) for label in ("de", "fr", "micro", "AP", "MedR", "a", "b", "R@k")] == [
        2, 2, 2, 1, 1, 1, 1, 0,
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_same_figures_give_the_same_bytes(tmp_path, kind, start):
    measures = parse("AP,hit@10,ECE")
    runs = [run(name, [*measures, *needed(measures)]) for name in ("a", "b")]
    pictures, memory = set(), []
    for times in range(5):
        draw(str(tmp_path / f"p.{kind}"), runs, measures)
        pictures.add((tmp_path / f"p.{kind}").read_bytes())
        memory.append([object() for _ in range(300 * times)])
    (picture,) = pictures
    assert picture.startswith(start)


def test_names_are_drawn_as_they_are(tmp_path):
    found = drawn(tmp_path, ["$a^b$.trec", "_b.trec", "日本.trec", "c\nd"], "AP")
    assert {"$a^b$.trec", "_b.trec", "日本.trec", "c\\nd"} <= set(found)


def test_short_names():
    assert short_names(["x/run.trec", "y/run.trec"]) == ["x/run.trec", "y/run.trec"]
    assert short_names(["x/a.trec", "-"]) == ["a.trec", "-"]
    (short,) = short_names(["r" * 50 + ".trec"])
    assert len(short) <= 36
    assert short.endswith(".trec")


def test_other_names_of_files_and_no_matplotlib(tmp_path, monkeypatch):
    measures = parse("AP")
    with pytest.raises(UsageError, match=r"curves\.gif names no picture"):
        draw("curves.gif", [run("a", measures)], measures)
    with pytest.raises(OutputError):
        draw(str(tmp_path / "none" / "p.png"), [run("a", measures)], measures)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UnavailableError) as refused:
        draw(str(tmp_path / "p.png"), [run("a", measures)], measures)
    assert refused.value.fix == "Install it: pip install 'mmr[plot]'"
    assert not list(tmp_path.iterdir())
