"""Binary preference: judged items alone, relevant above non-relevant."""

from __future__ import annotations

import numpy as np

from mmr.evaluate.judged import Floats, Judged
from mmr.evaluate.measures.places import running, share


def bpref(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): (1/R) sum over retrieved relevant items of 1 - min(n_d, R) / min(N, R), 0 to 1.

    n_d  judged non-relevant items above the item;  N  those of the judgements, retrieved or not

    Buckley and Voorhees 2004 as in trec_eval. Judged non-relevant is 0 <= rel < level; negative judgements
    and unjudged items are skipped. An item with nothing non-relevant above it adds 1, also where N = 0 (ranx
    gives NaN there). R = 0 gives 0. Has no closed form for averaged ties.
    """
    row = judged.row
    relevant = judged.relevant(rel)
    against = judged.per_query((judged.pool >= 0) & (judged.pool < rel), judged.pool_start)
    above = running(judged, (judged.rel >= 0) & (judged.rel < rel))
    lost = share(np.minimum(above, relevant[row]), np.minimum(against, relevant)[row])
    return share(judged.per_query((judged.rel >= rel) * (1 - lost)), relevant)
