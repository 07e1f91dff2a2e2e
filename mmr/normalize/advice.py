"""Settings that are known to hurt, said with what was measured."""

from __future__ import annotations

from collections.abc import Mapping

from mmr.normalize.table import Row

SMALL, THOUSANDS = 100, 1000


def advice(row: Row, params: Mapping[str, float], bank: int, shipped: bool = False) -> list[str]:
    """Return sentences on settings that lost recall where they were measured.

    bank     how many queries it has
    shipped  whether they are the words that ship with mmr

    The figures are changes of R@1, text to picture, five random halves: Flickr8k captions over 538 pictures
    (CLIP ViT-B/32), fashion descriptions over 563.
    """
    said = []
    if bank < SMALL:
        queries = "query" if bank == 1 else "queries"
        said.append(f"a bank of {bank:,} {queries} is small: 250 gained 3.8 points of R@1 with nnn on "
                    "Flickr8k, and thousands are better.")  # fmt: skip
    if shipped and not (row.name == "nnn" and params["alpha"] <= 0.25):
        said.append("the words that ship are not your own queries: with them nnn --alpha .25 --neighbours 8 "
                    "did best where measured, in the languages of the queries (words:en).")  # fmt: skip
    if params.get("beta", 0) >= 50 and bank < THOUSANDS:
        said.append(f"beta {params['beta']:g} fits itself to a bank of {bank:,}: with 250 queries beta 20 "
                    "gained 2.4 points of R@1, 50 lost 1.4, 100 lost 7.8.")  # fmt: skip
    if params.get("gallery_beta", 0) >= 10:
        said.append("gallery_beta 20 lost 24.1 points of R@1; keep it near 1.")
    if row.name == "gc" and params["alpha"] >= 1:
        said.append("alpha 1 lost 3.9 points of R@1 on fashion; .25 to .5 were safe.")
    if row.name == "nnn" and params["neighbours"] > bank:
        said.append(f"{params['neighbours']:,.0f} neighbours are the whole bank of {bank:,}, which is gc.")
    if row.name == "nnn" and params["alpha"] >= 0.75 and params["neighbours"] >= 128:
        said.append("alpha .75 with 128 neighbours lost 0.4 points of R@1 on fashion; .5 with 16 gained "
                    "1.2.")  # fmt: skip
    if row.name == "nnn" and params["alpha"] > 1:
        said.append("alpha above 1 takes off more than the bank scored; .25 to .75 were measured to help.")
    if row.name == "zscore":
        said.append("zscore lost 5.0 points of R@1 on Flickr8k and 3.5 on fashion, though it flattens hubs.")
    if row.name in ("sinkhorn", "dbsn") and bank < THOUSANDS:
        said.append(
            f"{row.name} fits itself to a bank of {bank:,}: with 250 queries it lost 6.4 points of R@1."
        )
    return said
