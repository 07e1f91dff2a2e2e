"""Lists of hits with vectors that the tests of this room share, and the frame around one method."""

from __future__ import annotations

import numpy as np

from mmr.errors import raise_item
from mmr.rerank.apply import reranked
from mmr.rerank.method import Tools
from mmr.rerank.table import find
from mmr.stream.records import Record

T = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]])
Q = np.array([0.96, 0.28])


def unit(seed: int, *shape: int, dtype=np.float64):
    """Random vectors with a common direction, so that cosines are mostly above 0."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(shape) + 1.5 * np.eye(shape[-1])[0]
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(dtype)


def record(query, vectors, name="q", **fields):
    """A query with all of `vectors` as hits, by cosine; hits carry their vectors."""
    query, vectors = np.asarray(query, np.float32), np.asarray(vectors, np.float32)
    scores = (vectors.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    hits = [{"id": f"x{i}", "score": float(score), "vector": vector}
            for i, (score, vector) in enumerate(zip(scores, vectors, strict=True), 1)]  # fmt: skip
    hits.sort(key=lambda hit: (hit["score"], hit["id"]), reverse=True)
    return Record({"id": name, "vector": query, "hits": hits, **fields})


def rerank(records, name, *, reject=raise_item, tools=None, depth=None, k=None, explain=False, **values):
    """The records, reranked."""
    single = isinstance(records, Record)
    row = find(name)
    found = list(reranked([records] if single else records, row, values, reject=reject, depth=depth, k=k,
                          tools=tools or Tools(note=lambda line: None), explain=explain))  # fmt: skip
    return found[0] if single else found


def ids(found):
    return [hit["id"] for hit in found["hits"]]


def scores(found):
    return [float(hit["score"]) for hit in found["hits"]]
