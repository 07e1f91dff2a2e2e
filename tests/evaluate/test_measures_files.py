"""From files to figures: random TREC files are measured as pytrec_eval measures the same dictionaries."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.evaluate.grammar import parse
from mmr.evaluate.join import empty_block, judged_blocks
from mmr.evaluate.judged import concatenated
from mmr.evaluate.qrels import read_qrels

WORDS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=6).filter(
    lambda word: not word.startswith(("#", "{", "[", "\ufeff"))
)
SCORE = st.sampled_from(
    ["1", "1.0", "1.000000001", "1e3", "-0", "0.5", "inf", "-inf", "16777217", "16777216"]
)
SCORES = SCORE | st.floats(-10, 10).map(repr)
NAMES = {
    "map": "AP", "map_cut_3": "AP@3", "recip_rank": "RR", "ndcg": "nDCG", "ndcg_cut_2": "nDCG@2",
    "P_2": "P@2", "recall_2": "R@2", "success_1": "hit@1", "Rprec": "Rprec", "bpref": "bpref",
    "num_ret": "NumRet",
}  # fmt: skip


@st.composite
def tasks(draw):
    """A run of queries, some without judgements, and judgements of queries, some without a ranking.

    No id begins as a comment does, or as JSON, which tells that format from TREC's.
    """
    docs = draw(st.lists(WORDS, min_size=2, max_size=12, unique=True))
    queries = draw(st.lists(WORDS, min_size=1, max_size=5, unique=True))
    ids = st.sampled_from(docs)
    run = {q: draw(st.dictionaries(ids, SCORES, min_size=1)) for q in draw(st.sets(st.sampled_from(queries)))}
    qrels = {
        q: draw(st.dictionaries(ids, st.integers(-1, 3), min_size=1).filter(lambda r: max(r.values()) >= 0))
        for q in draw(st.sets(st.sampled_from(queries), min_size=1))
    }
    return run, qrels, draw(st.randoms(use_true_random=False))


def write(folder: Path, run, qrels, shuffle: random.Random) -> tuple[str, str]:
    """Both files: the lines of a query in any order, ranks that mean nothing, blanks or tabs between."""
    gap = shuffle.choice([" ", "\t", "  "])
    lines = []
    for query, hits in run.items():
        own = [gap.join((query, "Q0", doc, "7", score, "tag")) for doc, score in hits.items()]
        shuffle.shuffle(own)
        lines += own
    pairs = ((query, doc, rel) for query, rels in qrels.items() for doc, rel in rels.items())
    judgements = [gap.join((query, "0", doc, str(rel))) for query, doc, rel in pairs]
    shuffle.shuffle(judgements)
    files = folder / "run.trec", folder / "qrels.txt"
    for file, text in zip(files, (lines, judgements), strict=True):
        file.write_bytes("".join(f"{line}\n" for line in text).encode())
    return str(files[0]), str(files[1])


@settings(max_examples=150, deadline=None)
@given(tasks(), st.integers(1, 2))
def test_pytrec_eval_agrees_from_files(tmp_path_factory, task, level):
    run, qrels, shuffle = task
    run_file, qrels_file = write(tmp_path_factory.mktemp("task"), run, qrels, shuffle)
    judgements = read_qrels(qrels_file)
    blocks = list(judged_blocks(run_file, judgements)) if run else []
    found = {query for block in blocks for query in block.queries}
    assert found == run.keys() & qrels.keys()
    missing = [query for query in judgements.queries if query not in found]
    block = concatenated([*blocks, empty_block(judgements, missing)])
    assert sorted(block.queries) == sorted(qrels)
    floats = {query: {doc: float(score) for doc, score in hits.items()} for query, hits in run.items()}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, set(NAMES), relevance_level=level).evaluate(floats)
    for name, text in NAMES.items():
        (measure,) = parse(text)
        if any(param.name == "rel" for param in measure.row.params):
            (measure,) = parse(
                text.replace("@", f"(rel={level})@") if "@" in text else f"{text}(rel={level})"
            )
        for query, value in zip(block.queries, measure.values(block), strict=True):
            expected = theirs[query][name] if query in theirs else 0
            assert value == pytest.approx(expected, rel=1e-12, abs=1e-12), (name, query)
