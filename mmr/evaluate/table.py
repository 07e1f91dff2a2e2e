"""The table of measures: a row each. Nothing here imports more than the standard library."""

from __future__ import annotations

from typing import NamedTuple

Value = int | float | str


class Param(NamedTuple):
    """A parameter of a measure: a number from `low` to `high`, one word of `choices`, or any word.

    default  None means that the user must write it; its type is the parameter's (int, float, else str)
    """

    name: str
    default: Value | None
    note: str
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        """What may be written: "0 to 0.9999", "linear|exp2", "1 and more", "WORD"."""
        if self.choices:
            return "|".join(self.choices)
        if not isinstance(self.default, int | float):
            return "WORD"
        return f"{self.low:g} and more" if self.high == MANY else f"{self.low:g} to {self.high:g}"


class Row(NamedTuple):
    """One measure.

    loads    "module:function": f(judged, k, **params) -> (q,) float64, or a float where total is "pooled";
             without k where cutoff is "no"
    cutoff   "no", "may" or "must": whether it is written with @k
    total    how values of queries become one: "mean", "median", "median_floor" (the median rounded down),
             "sum" or "pooled"
    needs    "", "scores" (of every hit), "gallery" (its size), "among" (candidates a query)
    average  whether it is defined for `--ties average`
    fixed    "param=value" that is not defined for it all the same
    uncut    "param=value" that takes no cut-off
    """

    name: str
    summary: str
    loads: str
    params: tuple[Param, ...] = ()
    cutoff: str = "may"
    total: str = "mean"
    needs: str = ""
    average: bool = False
    fixed: tuple[str, ...] = ()
    uncut: tuple[str, ...] = ()
    lower_is_better: bool = False
    source: str = ""

    @property
    def form(self) -> str:
        """How it is written, parameters with their defaults: "nDCG(gain=linear)[@k]"."""
        return self._written([p.range if p.default is None else str(p.default) for p in self.params])

    @property
    def usage(self) -> str:
        """How it may be written, the default of a choice first: "nDCG(gain=linear|exp2)[@k]"."""
        shown = [p.range if p.choices or p.default is None else str(p.default) for p in self.params]
        return self._written(shown)

    def _written(self, values: list[str]) -> str:
        inside = ",".join(f"{p.name}={value}" for p, value in zip(self.params, values, strict=True))
        cut = {"no": "", "may": "[@k]", "must": "@k"}[self.cutoff]
        return f"{self.name}{f'({inside})' if inside else ''}{cut}"


MANY = 1_000_000
REL = Param("rel", 1, "what counts as relevant: at least this judgement", 1, MANY)
GAIN = Param("gain", "linear", "the judgement itself, or 2 to its power less 1", choices=("linear", "exp2"))
P = Param("p", 0.8, "the chance that the reader goes on to the next place", 0, 0.9999)

HERE = "mmr.evaluate.measures"

MEASURES: tuple[Row, ...] = (
    Row("P", "share of the first k that is relevant", f"{HERE}.precision:precision", (REL,), "must",
        average=True, source="trec_eval P"),
    Row("R", "share of the relevant items that is among the first k", f"{HERE}.precision:recall", (REL,),
        "must", average=True, source="trec_eval recall, BEIR Recall"),
    Row("R_cap", "relevant items among the first k, of the min(k, R) that fit",
        f"{HERE}.precision:recall_capped", (REL,), "must", average=True, source="BEIR R_cap"),
    Row("hit", "1 if any of the first k is relevant: Recall@K of the image-text papers", f"{HERE}.found:hit",
        (REL,), "must", average=True, source="trec_eval success, CIRR, FashionIQ, M-BEIR"),
    Row("all", "1 if every relevant item is among the first k", f"{HERE}.found:every", (REL,), "must",
        average=True, source="multi-hop retrieval: all evidence found"),
    Row("RR", "1 / the place of the first relevant item", f"{HERE}.first:reciprocal_rank", (REL,),
        average=True, source="trec_eval recip_rank; its mean is MRR"),
    Row("AP", "precision at each relevant item, averaged", f"{HERE}.average_precision:average_precision",
        (REL, Param("norm", "rel", "what is divided by: R, min(k, R), the relevant ones found; trapezoid"
                    " takes out junk", choices=("rel", "min", "ret", "trapezoid"))),
        average=True, fixed=("norm=ret", "norm=trapezoid"), uncut=("norm=trapezoid",),
        source="trec_eval map (rel), CIRCO, INQUIRE (min), torchmetrics (ret), revisited Oxford (trapezoid)"),
    Row("AP_R", "AP of the first R places, divided by R: mAP@R", f"{HERE}.average_precision:at_r", (REL,),
        "no", average=True, source="Musgrave et al. 2020; ECCV Caption"),
    Row("mP", "precision once junk is out, at the last positive or at k", f"{HERE}.revisited:precision",
        (REL,), "must", source="Radenović et al. 2018, revisited Oxford and Paris"),
    Row("nDCG", "discounted gain, of the highest that the judgements allow", f"{HERE}.gain:ndcg", (GAIN,),
        average=True, source="trec_eval ndcg; Järvelin and Kekäläinen 2002, Burges et al. 2005 (exp2)"),
    Row("DCG", "gain, discounted by log2(place + 1)", f"{HERE}.gain:dcg", (GAIN,), average=True,
        source="Järvelin and Kekäläinen 2002"),
    Row("Rprec", "share of the first R that is relevant", f"{HERE}.precision:r_precision", (REL,), "no",
        average=True, source="trec_eval Rprec"),
    Row("bpref", "judged items alone: relevant above non-relevant", f"{HERE}.bpref:bpref", (REL,), "no",
        source="Buckley and Voorhees 2004; trec_eval bpref"),
    Row("RBP", "gain of a reader who goes on with chance p", f"{HERE}.rbp:rbp",
        (REL, P, Param("gain", "binary", "1 from rel on, or judgement / top", choices=("binary", "graded")),
         Param("top", 0, "highest judgement of the scale; 0: of the query's own", 0, MANY)),
        average=True, source="Moffat and Zobel 2008"),
    Row("RBP_residual", "how much RBP could grow by what is not judged", f"{HERE}.rbp:residual", (P,),
        average=True, lower_is_better=True, source="Moffat and Zobel 2008"),
    Row("Judged", "share of the first k that has a judgement", f"{HERE}.precision:judged_share",
        average=True, source="ir_measures Judged"),
    Row("MedR", "median place of the first relevant item", f"{HERE}.first:first_rank", (REL,), "no",
        "median", "gallery", lower_is_better=True, source="image-text retrieval"),
    Row("MedR_floor", "MedR, rounded down as VSE++ and its heirs do", f"{HERE}.first:first_rank", (REL,),
        "no", "median_floor", "gallery", lower_is_better=True, source="Faghri et al. 2018, VSE++"),
    Row("MeanR", "mean place of the first relevant item", f"{HERE}.first:first_rank", (REL,), "no",
        needs="gallery", average=True, lower_is_better=True, source="image-text retrieval"),
    Row("rsum", "100 (hit@1 + hit@5 + hit@10) of one direction", f"{HERE}.found:rsum", (REL,), "no",
        average=True, source="image-text retrieval; papers add both directions"),
    Row("R_subset", "hit@k when a query ranks its own candidates alone", f"{HERE}.found:subset_hit", (REL,),
        "must", needs="among", average=True, source="CIRR Recall_subset"),
    Row("CIRR_avg", "(hit@5 + R_subset@1) / 2", f"{HERE}.found:cirr_average", (REL,), "no",
        needs="among", average=True, source="CIRR Avg"),
    Row("SetP", "share of all that was retrieved that is relevant", f"{HERE}.sets:set_precision", (REL,),
        "no", average=True, source="trec_eval set_P"),
    Row("SetR", "share of the relevant items that was retrieved", f"{HERE}.sets:set_recall", (REL,), "no",
        average=True, source="trec_eval set_recall"),
    Row("SetF", "(1 + beta) SetP SetR / (SetR + beta SetP)", f"{HERE}.sets:set_f",
        (REL, Param("beta", 1.0, "weight of recall, as trec_eval writes it", 0.0001, MANY)), "no",
        average=True, source="trec_eval set_F"),
    Row("NumRet", "items retrieved; the sum over queries", f"{HERE}.sets:retrieved", (), "no", "sum",
        average=True, source="trec_eval num_ret"),
    Row("NumRel", "relevant items judged; the sum over queries", f"{HERE}.sets:relevant", (REL,), "no",
        "sum", average=True, source="trec_eval num_rel"),
    Row("NumRelRet", "relevant items retrieved; the sum over queries", f"{HERE}.sets:found", (REL,), "no",
        "sum", average=True, source="trec_eval num_rel_ret"),
    Row("AUC", "chance that a relevant hit scores above another, over all queries", f"{HERE}.roc:auc", (REL,),
        "no", "pooled", "scores", average=True, source="Mann-Whitney, ties half; scikit-learn roc_auc_score"),
    Row("AUC_query", "the same chance among each query's own hits", f"{HERE}.roc:auc_per_query", (REL,), "no",
        needs="scores", average=True, source="mean over queries with hits of both kinds"),
    Row("EER", "error rate where false accepts and false rejects are equal", f"{HERE}.roc:eer", (REL,), "no",
        "pooled", "scores", average=True, lower_is_better=True,
        source="verification; a line between neighbouring points"),
    Row("TAR", "share of relevant hits accepted where a share far of the others is", f"{HERE}.roc:tar",
        (REL, Param("far", 0.1, "share of hits that are not relevant and may be accepted", 1e-9, 1)), "no",
        "pooled", "scores", average=True, source="face recognition; no interpolation"),
    Row("ECE", "how far scores, read as chances, are from the share that is relevant",
        f"{HERE}.calibration:ece", (REL, Param("bins", 10, "bins of equal width over 0 to 1", 1, 1000)),
        total="pooled", needs="scores", lower_is_better=True, source="Naeini et al. 2015, Guo et al. 2017"),
    Row("MRV", "how much an item's place varies over the queries that ask for it, such as languages",
        f"{HERE}.languages:mrv",
        (REL, Param("of", None, "the field of the queries that names the instance"),
         Param("form", "var", "mean variance, as the name says, or mean standard deviation, as the code has",
               choices=("var", "std"))),
        "no", "pooled", "gallery", lower_is_better=True,
        source="Nie et al. 2024, 1-to-K contrastive learning (CCRK)"),
)  # fmt: skip

ALIASES = {
    "Precision": "P", "Success": "hit", "MRR": "RR", "MAP": "AP", "NDCG": "nDCG", "RPrec": "Rprec",
    "Bpref": "bpref", "BPref": "bpref", "map": "AP", "map_cut": "AP", "ndcg": "nDCG", "ndcg_cut": "nDCG",
    "recip_rank": "RR", "success": "hit", "set_P": "SetP", "set_recall": "SetR", "set_F": "SetF",
    "num_ret": "NumRet", "num_rel": "NumRel", "num_rel_ret": "NumRelRet",
}  # fmt: skip

CUT_WITH_UNDERSCORE = {"P": "P", "recall": "R", "success": "hit", "map_cut": "AP", "ndcg_cut": "nDCG"}

AMBIGUOUS = {
    "recall": "R@k is the share of the relevant items found, hit@k whether any was (the image-text papers'"
    " Recall@K)",
    "map": "AP@k divides by R as trec_eval does, AP(norm=min)@k by min(k, R) as CIRCO does; AP_R is mAP@R",
}
