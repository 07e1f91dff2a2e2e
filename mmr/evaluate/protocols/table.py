"""The table of protocols: a row each. Nothing here imports a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmr.evaluate.protocols.task import Options, Task


class Row(NamedTuple):
    """One protocol.

    loads     "module:function": f(paths, options) -> Task
    files     the annotation files that it reads
    figures   what it reports
    options   which of `images`, `exclude_reference` and `split` it takes
    submits   whether it writes what the benchmark's server accepts
    """

    name: str
    summary: str
    loads: str
    files: str
    figures: str
    options: tuple[str, ...] = ("images",)
    submits: bool = False
    source: str = ""


AT = "mmr.evaluate.protocols."
RSUM = "hit@1, hit@5, hit@10 each way, rsum"

PROTOCOLS: tuple[Row, ...] = (
    Row("coco-5k", "COCO captions, 5,000 pictures, both directions", AT + "coco:five_thousand",
        "dataset_coco.json [*_caption_to_image.json *_image_to_caption.json]",
        RSUM + "; of ECCV's and CxC's maps also Rprec and AP_R (mAP@R)",
        source="Karpathy and Fei-Fei 2015; Chun et al. 2022 (ECCV Caption); Parekh et al. 2021 (CxC)"),
    Row("coco-1k", "COCO captions, five folds of 1,000 pictures", AT + "coco:one_thousand",
        "dataset_coco.json", RSUM + ", means over folds", source="Karpathy and Fei-Fei 2015"),
    Row("flickr30k", "Flickr30K captions, 1,000 pictures, both directions", AT + "coco:flickr",
        "dataset_flickr30k.json", RSUM, source="Karpathy and Fei-Fei 2015"),
    Row("cirr", "a picture and words, among real-life pictures", AT + "cirr:read",
        "cap.rc2.val.json [split.rc2.val.json]",
        "hit@1, hit@5, hit@10, hit@50; R_subset@1, R_subset@2, R_subset@3; Avg", submits=True,
        source="Liu et al. 2021"),
    Row("fashioniq", "a garment and words, galleries of the split files", AT + "fashioniq:original",
        "cap.{dress,shirt,toptee}.val.json [split.*.val.json]", "hit@10, hit@50 a category and their mean",
        ("images", "exclude_reference"), source="Wu et al. 2021"),
    Row("fashioniq-union", "the same, galleries of references and targets", AT + "fashioniq:union",
        "cap.{dress,shirt,toptee}.val.json", "hit@10, hit@50 a category and their mean",
        ("images", "exclude_reference"), source="Wu et al. 2021; the smaller galleries of later papers"),
    Row("circo", "a picture and words, several right answers, in COCO unlabeled", AT + "circo:read",
        "val.json", "AP(norm=min)@5,10,25,50 of all truths, hit(rel=2)@5,10,25,50 of the target; by aspect",
        submits=True, source="Baldrati et al. 2023"),
    Row("genecis", "focus on or change an attribute or an object", AT + "genecis:read",
        "{focus,change}_{attribute,object}.json", "hit@1, hit@2, hit@3 a file, mean hit@1",
        source="Vaze et al. 2023"),
    Row("inquire-fullrank", "naturalists' questions, all of iNat24", AT + "inquire:fullrank",
        "inquire_queries_test.csv inquire_annotations.csv", "AP(norm=min)@50, nDCG@50, RR@50", (),
        source="Vendrow et al. 2024"),
    Row("inquire-rerank", "naturalists' questions, a hundred pictures each", AT + "inquire:rerank",
        "CANDIDATES [inquire_queries_test.csv]", "AP, nDCG, RR", source="Vendrow et al. 2024"),
    Row("mbeir", "ten data sets, pictures and words on both sides", AT + "mbeir:read",
        "mbeir_*_qrels.txt [queries and candidates, JSONL]",
        "hit@5, hit@10 of Fashion200K and FashionIQ; a data set and task, and their mean",
        source="Wei et al. 2024, UniIR"),
    Row("beir", "a folder of texts and queries", AT + "beir:read", "FOLDER", "nDCG@10, R@100, AP@100",
        ("split",), source="Thakur et al. 2021"),
    Row("rop-easy", "revisited Oxford or Paris, easy", AT + "revisited:easy",
        "gnd_roxford5k.pkl | gnd_rparis6k.pkl", "AP(norm=trapezoid), mP@1, mP@5, mP@10",
        source="Radenović et al. 2018"),
    Row("rop-medium", "revisited Oxford or Paris, medium", AT + "revisited:medium",
        "gnd_roxford5k.pkl | gnd_rparis6k.pkl", "AP(norm=trapezoid), mP@1, mP@5, mP@10",
        source="Radenović et al. 2018"),
    Row("rop-hard", "revisited Oxford or Paris, hard", AT + "revisited:hard",
        "gnd_roxford5k.pkl | gnd_rparis6k.pkl", "AP(norm=trapezoid), mP@1, mP@5, mP@10",
        source="Radenović et al. 2018"),
    Row("babel-imagenet", "ImageNet's pictures, classes in 92 languages and English", AT + "babel:read",
        "babel_imagenet.json LABELS", "hit@1 a language, mean over languages", source="Geigle et al. 2024"),
)  # fmt: skip


def row(name: str) -> Row:
    """The row of a protocol. Raises `UsageError` that lists what there is."""
    found = next((one for one in PROTOCOLS if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in PROTOCOLS)
        raise UsageError(f"there is no protocol {shown(name)}", f"There are {names}.")
    return found


def read(name: str, paths: Sequence[str], options: Options) -> Task:
    """Read a benchmark's annotation files (also gzip, also a folder that holds them) as a task.

    Raises `UsageError` for an option that the protocol does not take, `BadDataError` for files that are none
    of its own, `MissingInputError` for those that are not there.
    """
    found = row(name)
    for option, default in options._field_defaults.items():
        if getattr(options, option) != default and option not in found.options:
            raise UsageError(f"{name} takes no --{option.replace('_', '-')}", "Leave it out.")
    module, _, function = found.loads.partition(":")
    load = cast("Callable[[Sequence[str], Options], Task]", getattr(import_module(module), function))
    return load(paths, options)
