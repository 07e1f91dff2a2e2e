"""Changes of vectors put on both sides of a search, for tests and benchmarks on real vectors."""

from __future__ import annotations

import numpy as np

from mmr.normalize.bank import Bank, digest
from mmr.normalize.table import loaded, vector_row
from mmr.normalize.vector_fit import fit_banks, fit_set
from mmr.stream.records import Record


def records(rows, kind):
    return [Record({"id": str(i), kind: "x", "vector": row}) for i, row in enumerate(rows)]


def bank_of(rows):
    return Bank(rows, np.zeros(len(rows), np.uint64), None, "", "bank", digest(rows))


def changed(name, values, asked, gallery, bank, other, known=None):
    """The scores of queries with the gallery after a change.

    known  items that a set holds beside the bank's queries; without them the gallery
    """
    known = gallery if known is None else known
    method = loaded(vector_row(name).loads)()
    if name in ("invgc", "localadj"):
        change = fit_banks(name, values, bank_of(bank), bank_of(other))
        places = (0, 0)
        queries = asked.astype(np.float64)
    else:
        change = fit_set(name, values, [("q", records(bank, "text")), ("g", records(known, "image"))])
        places = (change.groups.index("text"), change.groups.index("image"))
        queries = apply(method, asked, places[0], change)
    return queries @ apply(method, gallery, places[1], change).T


def apply(method, rows, place, change):
    return method.apply(rows.astype(np.float64), np.full(len(rows), place), change.arrays, change.values)
