"""Inverted softmax over a bank of queries (IS), gated (DIS), and over two banks (DualIS, DualDIS)."""

from __future__ import annotations

from mmr.arrays.affine import Affine
from mmr.arrays.reduce import log_mean_exp
from mmr.normalize.hubs import is_hub, thresholds
from mmr.normalize.method import Array, Banks, Blocks, Columns, Learned, Method, Params


class Is(Method):
    """s - log(mean over the bank of exp(beta * cosine)) / beta: the logarithm of the inverted softmax.

    "Offline bilingual word vectors", Smith et al. 2017; "Cross Modal Retrieval with Querybank Normalisation",
    Bogolin et al. 2022, equation 3. exp(beta s) / mean(exp(beta B)) is exp(beta * this score), so that the
    order is the same and the score stays in the range of cosines, without overflow.
    """

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """The soft mean of the cosines with the bank."""
        beta = params["beta"]
        return {"soft": log_mean_exp(vectors @ banks.queries.T, beta) / beta}

    def affine(self, columns: Columns, params: Params) -> Affine | None:
        """Scale 1."""
        soft = columns["soft"]
        return Affine(soft * 0 + 1, -soft)


class Dis(Is):
    """IS where the best item of the query comes first for some query of the bank, else the score as it is.

    Bogolin et al. 2022, section 3.3: the activation set holds the first `hubs` items of each bank query.
    """

    def learn(self, blocks: Blocks, banks: Banks, params: Params) -> Learned:
        """What it takes to be in the activation set."""
        return {"least": thresholds(blocks, banks.queries, int(params["hubs"]))}

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """The soft mean, and whether the item is in the activation set."""
        scores, beta = vectors @ banks.queries.T, params["beta"]
        return {"soft": log_mean_exp(scores, beta) / beta, "hub": is_hub(scores, learned["least"])}

    def affine(self, columns: Columns, params: Params) -> Affine | None:
        """None: the gate is a query's."""
        return None

    def corrected(
        self, scores: Array, columns: Columns, learned: Learned, params: Params, query: Array | None
    ) -> Array:
        """The gate looks at the first hit."""
        return scores - columns["soft"] if columns["hub"][0] else scores * 1.0

    def most(
        self, score: float, columns: Columns, first: Columns, learned: Learned, params: Params,
        query: Array | None,
    ) -> float:  # fmt: skip
        """The score itself where the gate is closed."""
        return score - float(columns["soft"].min()) if first["hub"][0] else score


class DualIs(Method):
    """s - (log mean exp(b * cosine, bank of queries) + log mean exp(c * cosine, bank of items)) / (b + c).

    "Balance Act: Mitigating Hubness in Cross-Modal Retrieval with Query and Gallery Banks", Wang et al. 2023,
    equation 9, in the log domain; b is beta, c gallery_beta.
    """

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """Both soft means, each weighted with its share of beta."""
        queries, gallery = _products(vectors, banks)
        return _shares(queries, gallery, params)

    def affine(self, columns: Columns, params: Params) -> Affine | None:
        """Scale 1."""
        soft = columns["soft"] + columns["gallery_soft"]
        return Affine(soft * 0 + 1, -soft)


class DualDis(DualIs):
    """DualIS with a gate a bank: a factor is left out where the query's best item is no hub of that bank.

    Wang et al. 2023, equation 11. A factor that is left out is beta * s, and not s as in the published code,
    so that scores of gated and other queries compare.
    """

    def learn(self, blocks: Blocks, banks: Banks, params: Params) -> Learned:
        """What it takes to be in each activation set."""
        assert banks.gallery is not None
        hubs = int(params["hubs"])
        return {
            "least": thresholds(blocks, banks.queries, hubs),
            "gallery_least": thresholds(blocks, banks.gallery, hubs),
        }

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """Both soft means, and whether the item is in each activation set."""
        queries, gallery = _products(vectors, banks)
        return {
            **_shares(queries, gallery, params),
            "hub": is_hub(queries, learned["least"]),
            "gallery_hub": is_hub(gallery, learned["gallery_least"]),
        }

    def affine(self, columns: Columns, params: Params) -> Affine | None:
        """None: the gates are a query's."""
        return None

    def corrected(
        self, scores: Array, columns: Columns, learned: Learned, params: Params, query: Array | None
    ) -> Array:
        """The gates look at the first hit."""
        queries = columns["hub"][0] * columns["soft"]
        found: Array = scores - queries - columns["gallery_hub"][0] * columns["gallery_soft"]
        return found

    def most(
        self, score: float, columns: Columns, first: Columns, learned: Learned, params: Params,
        query: Array | None,
    ) -> float:  # fmt: skip
        """Over what the open gates take off."""
        off = first["hub"][0] * columns["soft"] + first["gallery_hub"][0] * columns["gallery_soft"]
        return score - float(off.min())


def _products(vectors: Array, banks: Banks) -> tuple[Array, Array]:
    assert banks.gallery is not None
    return vectors @ banks.queries.T, vectors @ banks.gallery.T


def _shares(queries: Array, gallery: Array, params: Params) -> dict[str, Array]:
    beta, other = params["beta"], params["gallery_beta"]
    return {
        "soft": log_mean_exp(queries, beta) / (beta + other),
        "gallery_soft": log_mean_exp(gallery, other) / (beta + other),
    }
