"""Published figures worked out the other way: from scores of whole galleries, as the authors' scripts do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES
from tests.evaluate.protocols.test_through_scoring import scored, task_of

SEEDS = range(8)


def hits_of(scores: dict[str, float]) -> list[dict[str, object]]:
    """Hits as `mmr query` writes them: by score, then by id, both descending."""
    ordered = sorted(scores.items(), key=lambda one: (one[1], one[0]), reverse=True)
    return [{"id": name, "score": value} for name, value in ordered]


def write(path: Path, run: dict[str, dict[str, float]], k: int | None = None) -> Path:
    lines = [json.dumps({"id": query, "hits": hits_of(scores)[:k]}) for query, scores in run.items()]
    path.write_text("\n".join(lines))
    return path


def above(scores: dict[str, float], target: str, others: set[str]) -> int:
    """The target's place when nothing ties: one more than the others that score higher."""
    return 1 + sum(scores[name] > scores[target] for name in others - {target})


@pytest.mark.parametrize("seed", SEEDS)
def test_cirr_by_scores(seed, tmp_path):
    draw = np.random.default_rng(seed)
    split = list(json.loads((FILES / "split.rc2.val.json").read_text()))
    entries = json.loads((FILES / "cap.rc2.val.json").read_text())
    run = {str(entry["pairid"]): dict(zip(split, draw.random(len(split)), strict=True)) for entry in entries}
    task = task_of("cirr").fitted(run)
    assert task.among is not None
    found = {(one.part, one.measure): one.value
             for one in task.figures(scored(task, write(tmp_path / "hits.jsonl", run)))}  # fmt: skip
    places = {"full": [], "subset": []}
    for entry in entries:
        scores, reference = run[str(entry["pairid"])], entry["reference"]
        for part, names in (("full", split), ("subset", entry["img_set"]["members"])):
            places[part].append(above(scores, entry["target_hard"], set(names) - {reference}))
    for part, name, cuts in (("full", "hit", (1, 5, 10, 50)), ("subset", "R_subset", (1, 2, 3))):
        for k in cuts:
            assert found[part, f"{name}@{k}"] == pytest.approx(np.mean(np.array(places[part]) <= k))


@pytest.mark.parametrize("seed", SEEDS)
def test_genecis_by_scores_with_ties(seed, tmp_path):
    draw = np.random.default_rng(seed)
    task = task_of("genecis")
    run = {query: {name: float(draw.integers(3)) for name in (*gallery, "elsewhere")}
           for query, gallery in task.among.items()}  # fmt: skip
    values = scored(task, write(tmp_path / "hits.jsonl", run)).values
    for place, query in enumerate(sorted(task.qrels)):
        target = next(iter(task.qrels[query]))
        others = [run[query][name] for name in task.among[query] if name != target]
        rank = 1 + sum(score >= run[query][target] for score in others)
        assert [values[f"hit@{k}"][place] for k in (1, 2, 3)] == [rank <= k for k in (1, 2, 3)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("exclude", [False, True])
def test_fashioniq_by_scores(seed, exclude, tmp_path):
    """Sixty distractors outside the gallery are cut away before places are counted."""
    draw = np.random.default_rng(seed)
    entries = [{"target": f"T{n}", "candidate": f"C{n}", "captions": ["a", "b"]} for n in range(20)]
    (tmp_path / "cap.dress.val.json").write_text(json.dumps(entries))
    task = read("fashioniq-union", [str(tmp_path)], Options(exclude_reference=exclude))
    gallery = {entry[name] for entry in entries for name in ("target", "candidate")}
    names = [*sorted(gallery), *(f"X{n}" for n in range(60))]
    run = {query: dict(zip(names, draw.random(len(names)), strict=True)) for query in task.qrels}
    values = scored(task, write(tmp_path / "hits.jsonl", run)).values["hit@10"]
    for value, query in zip(values, sorted(run), strict=True):
        entry = entries[int(query.partition("/")[2])]
        left = gallery - ({entry["candidate"]} if exclude else set())
        assert value == (above(run[query], entry["target"], left) <= 10)


@pytest.mark.parametrize("seed", SEEDS)
def test_inquire_as_its_script_by_scikit_learn(seed, tmp_path):
    """AP by scikit-learn, times positives found, over min(R, k); for nDCG the missed ones join at -100."""
    draw = np.random.default_rng(seed)
    depth, relevant = 50, int(draw.integers(1, 90))
    names = [f"i/{n}" for n in range(300)]
    positives = sorted(draw.choice(names, relevant, replace=False).tolist())
    lines = ["query_id,image_path", *(f"3,{name}.jpg" for name in positives)]
    (tmp_path / "inquire_annotations.csv").write_text("\n".join(lines) + "\n")
    task = read(
        "inquire-fullrank",
        [str(FILES / "inquire_queries_test.csv"), str(tmp_path / "inquire_annotations.csv")], Options(),
    )  # fmt: skip
    boost = dict.fromkeys(positives, 0.4)
    run = {"3": {name: round(float(draw.random()) + boost.get(name, 0), 7) for name in names}}
    top = hits_of(run["3"])[:depth]
    right = np.array([hit["id"] in boost for hit in top])
    scores = np.array([hit["score"] for hit in top], dtype=np.float64)
    values = scored(task, write(tmp_path / "hits.jsonl", run, depth)).values
    precision = average_precision_score(right, scores) * right.sum() / min(relevant, depth)
    assert values["AP(norm=min)@50"][0] == pytest.approx(precision, abs=1e-12)
    missed = relevant - int(right.sum())
    gain = ndcg_score([[*right.astype(int), *[1] * missed]], [[*scores, *[-100.0] * missed]], k=depth)
    assert values["nDCG@50"][0] == pytest.approx(gain, abs=1e-12)
    assert values["RR@50"][0] == 1 / (int(np.argmax(right)) + 1)


def walked(ranking: list[str], good: set[str], junk: set[str]) -> tuple[float, list[float]]:
    """Revisited AP and mP@1, 5, 10 by walking down the ranking with a count of junk, as compute_map does."""
    places, skipped = [], 0
    for place, name in enumerate(ranking):
        skipped += name in junk
        if name in good:
            places.append(place - skipped)
    area = 0.0
    for number, place in enumerate(places):
        before = 1.0 if place == 0 else number / place
        area += (before + (number + 1) / (place + 1)) / 2 / len(good)
    cuts = [min(max(places) + 1, k) for k in (1, 5, 10)]
    return area, [sum(place + 1 <= cut for place in places) / cut for cut in cuts]


@pytest.mark.parametrize("setup", ["easy", "medium", "hard"])
@pytest.mark.parametrize("seed", SEEDS)
def test_revisited_by_walking(seed, setup, tmp_path):
    draw = np.random.default_rng(seed)
    names = [f"m{n}" for n in range(80)]
    truths = []
    for _ in range(4):
        drawn = draw.permutation(80)[:30].tolist()
        ends = sorted(draw.integers(0, 31, 2).tolist())
        truths.append({"bbx": [0, 0, 1, 1], "easy": drawn[: ends[0]], "hard": drawn[ends[0] : ends[1]],
                       "junk": drawn[ends[1] :]})  # fmt: skip
    gnd = {"imlist": names, "qimlist": ["q0", "q1", "q2", "q3"], "gnd": truths}
    (tmp_path / "gnd_x.json").write_text(json.dumps(gnd))
    task = read(f"rop-{setup}", [str(tmp_path / "gnd_x.json")], Options())
    run = {f"q{n}": dict(zip(names, draw.random(80), strict=True)) for n in range(4)}
    found = scored(task, write(tmp_path / "hits.jsonl", run))
    kinds = {"easy": (["easy"], ["junk", "hard"]), "medium": (["easy", "hard"], ["junk"]),
             "hard": (["hard"], ["junk", "easy"])}[setup]  # fmt: skip
    wanted = {}
    for number, truth in enumerate(truths):
        good, junk = ({names[place] for kind in side for place in truth[kind]} for side in kinds)
        if good:
            ranking = [str(hit["id"]) for hit in hits_of(run[f"q{number}"])]
            wanted[f"q{number}"] = walked(ranking, good, junk)
    assert list(found.queries) == sorted(wanted)
    for place, query in enumerate(found.queries):
        area, precisions = wanted[query]
        assert found.values["AP(norm=trapezoid)"][place] == pytest.approx(area, abs=1e-12)
        ours = [found.values[f"mP@{k}"][place] for k in (1, 5, 10)]
        assert ours == pytest.approx(precisions, abs=1e-12)
