"""Every protocol through the reader, the join and the measures, against the plain loops of `naive`."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from mmr.evaluate.grammar import parse
from mmr.evaluate.protocols.run import asked
from mmr.evaluate.protocols.table import PROTOCOLS, read
from mmr.evaluate.protocols.task import Options, Task
from mmr.evaluate.qrels import Qrels
from mmr.evaluate.score import Conventions, score
from tests.evaluate.protocols import naive
from tests.evaluate.protocols.naive import FILES

NAMED = {
    "coco-5k": ["dataset_coco.json"], "coco-1k": ["dataset_coco.json"],
    "flickr30k": ["dataset_flickr30k.json"],
    "cirr": ["cap.rc2.val.json", "split.rc2.val.json"],
    "fashioniq": ["cap.dress.val.json", "cap.shirt.val.json", "split.dress.val.json"],
    "fashioniq-union": ["cap.dress.val.json", "cap.shirt.val.json"], "circo": ["val.json"],
    "genecis": ["focus_object.json", "change_attribute.json"],
    "inquire-fullrank": ["inquire_queries_test.csv", "inquire_annotations.csv"],
    "inquire-rerank": ["inquire_rerank_test.jsonl"], "mbeir": ["mbeir_mscoco_task0_test_qrels.txt"],
    "beir": ["beir"], "rop-easy": ["gnd_tiny.pkl"], "rop-medium": ["gnd_tiny.pkl"],
    "rop-hard": ["gnd_tiny.pkl"], "babel-imagenet": ["babel_imagenet.json", "val.txt"],
}  # fmt: skip


def task_of(name: str, **options) -> Task:
    return read(name, [str(FILES / file) for file in NAMED[name]], Options(**options))


def scored(task: Task, path: Path):
    conventions = Conventions(
        ties=task.ties, over=task.over, removed=task.removed, among=task.among, only=task.only,
        renamed=task.renamed,
    )  # fmt: skip
    return score(str(path), Qrels.of(task.qrels), parse(",".join(task.measures)), conventions)


def rankings_of(task: Task, seed: int) -> dict[str, list[str]]:
    """Rankings in which what is judged, what is removed and what is neither are shuffled."""
    draw = random.Random(seed)
    run = {}
    for query, wanted in task.qrels.items():
        pool = {*wanted, *(task.removed or {}).get(query, ()), *(task.among or {}).get(query, ())}
        hits = sorted(pool) + [f"other{n}" for n in range(6)]
        draw.shuffle(hits)
        run[query] = hits[: draw.randint(0, len(hits)) if run else None]
    return run


def write(path: Path, run: dict[str, list[str]]) -> Path:
    """Hits with scores that fall by place."""
    lines = [
        {"id": query, "hits": [{"id": hit, "score": 1 - place / 64} for place, hit in enumerate(hits)]}
        for query, hits in run.items()
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_every_protocol_is_here():
    assert NAMED.keys() == {row.name for row in PROTOCOLS}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("seed", range(5))
def test_values_and_figures_are_those_of_plain_loops(name, seed, tmp_path):
    task = task_of(name)
    run = rankings_of(task, seed)
    path = write(tmp_path / "hits.jsonl", run)
    assert task.fitted(asked(str(path))) is task
    found, plain = scored(task, path), naive.scored(task, run)
    assert list(found.queries) == list(plain.queries)
    for measure in task.measures:
        assert found.values[measure] == pytest.approx(plain.values[measure], abs=1e-12), measure
    ours, theirs = ({(one.part, one.measure): one.value for one in task.figures(one_scored)}
                    for one_scored in (found, plain))  # fmt: skip
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("name", ["cirr", "coco-5k", "fashioniq"])
def test_parts_that_the_run_leaves_out(name, tmp_path):
    task = task_of(name)
    first = next(iter(task.part.values()))
    run = {query: hits for query, hits in rankings_of(task, 7).items() if task.part[query] == first}
    path = write(tmp_path / "hits.jsonl", run)
    fitted = task.fitted(asked(str(path)))
    found, plain = scored(fitted, path), naive.scored(fitted, run)
    assert found.counts.missing == 0
    for measure in fitted.measures:
        assert found.values[measure] == pytest.approx(plain.values[measure], abs=1e-12), measure


@pytest.mark.parametrize(("name", "hits", "count"), [
    # Each needs the whole gallery: six pictures, of queries' own pictures none.
    ("rop-medium", {"q_a": ["m0", "m1", "m2", "m3", "m4", "m5"], "q_c": ["m1"]}, 1),
    # Galleries of one picture: a ranking that holds it is whole, and one that has none of it is not.
    ("coco-1k", {"caption/10": ["image/42"], "caption/42": ["image/42", "image/300"]}, 1),
    # The target of dress/0 is found; dress/1 has one of three; shirt/0 is missing.
    ("fashioniq-union", {"dress/0": ["B00AAAAAA2"], "dress/1": ["B00AAAAAA2"]}, 1),
    ("fashioniq", {"dress/0": ["B00AAAAAA2"], "dress/1": ["B00AAAAAA2"], "shirt/0": ["x"]}, 0),
    # Without subset queries, 7 finds its target, 9 does not and may have lost it.
    ("cirr", {"7": ["dev-1-1-img1"], "9": ["dev-1-1-img1"]}, 1),
    ("cirr", {"7": ["dev-1-1-img1"], "7/subset": ["dev-2-0-img0"]}, 0),
])  # fmt: skip
def test_rankings_cut_too_short_are_counted(name, hits, count, tmp_path):
    task = task_of(name)
    path = write(tmp_path / "hits.jsonl", hits)
    fitted = task.fitted(asked(str(path))) if name == "cirr" else task
    said = fitted.shortfall(scored(fitted, path))
    assert said.startswith(f"{count} ranking holds too little") if count else said == ""


def test_the_reference_of_fashioniq(tmp_path):
    run = {"dress/0": ["B00AAAAAA1.png", "B00AAAAAA2.png"]}
    path = write(tmp_path / "hits.jsonl", run)
    for exclude in (False, True):
        task = task_of("fashioniq", exclude_reference=exclude)
        assert scored(task, path).values["hit@10"].tolist() == [1, 0, 0]
        assert (
            scored(task, path).values["hit@50"].tolist() == naive.scored(task, run).values["hit@50"].tolist()
        )


def test_constant_scores_do_not_find_the_target_of_genecis(tmp_path):
    """The target is listed first: a stable sort would report 100 %."""
    task = task_of("genecis")
    lines = [
        {"id": query, "hits": [{"id": item, "score": 0.5} for item in [*wanted, *task.among[query], "other"]]}
        for query, wanted in task.qrels.items()
    ]
    for line in lines:
        line["hits"] = list({hit["id"]: hit for hit in line["hits"]}.values())
    path = tmp_path / "hits.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    values = scored(task, path).values
    assert values["hit@1"].tolist() == [0, 0, 0]
    assert values["hit@2"].tolist() == [0, 0, 1]  # of two candidates the target is the second
    assert values["hit@3"].tolist() == [1, 0, 1]


def test_equal_scores_of_beir_are_ordered_by_id(tmp_path):
    path = tmp_path / "hits.jsonl"
    hits = [{"id": name, "score": 0.5} for name in ("doc1", "doc2", "doc9")]
    path.write_text(json.dumps({"id": "q1", "hits": hits}) + "\n")
    task = task_of("beir")
    want = naive.value("nDCG@10", ["doc9", "doc2", "doc1"], task.qrels["q1"])
    assert scored(task, path).values["nDCG@10"].tolist() == pytest.approx([want])


def test_a_trec_run_of_a_protocol(tmp_path):
    path = tmp_path / "x.run"
    path.write_text("0 Q0 000000000011.jpg 1 0.9 tag\n0 Q0 000000000012.jpg 2 0.8 tag\n1 Q0 21 1 0.5 tag\n")
    assert scored(task_of("circo"), path).values["hit(rel=2)@5"].tolist() == [1, 1]
