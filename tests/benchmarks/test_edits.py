"""Real edits with the built-in encoder: R@1, R@5 and R@10 of each preset that applies, with intervals.

The demo's edits need nothing; those of emoji the folder `shared` and the npm package openmoji 17.0.0:
`npm install --ignore-scripts openmoji@17.0.0`, then OPENMOJI=node_modules/openmoji and resvg_py.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.compositions import bind, hits, measured, shell, write_lines
from tests.conftest import ROOT, SHARED

FIGURES = ROOT / "man" / "edits.jsonl"
TABLE = SHARED / "data" / "emoji" / "compose_pairs.tsv"
SIDE = 128
WORDS = (
    "image", "text", "sum", "weighted", "weighted --a 0.8", "slerp", "slerp --a 0.8", "sketch", "product",
)  # fmt: skip
CAPTIONS = ("cirevl", "pdv-t", "pdv-i", "pdv-f", "pdv-f --ai 1 --at 1 --b 0.6", "seize")
WAYS = {
    "picture and modification": WORDS,
    "captions, the edit joined to them": CAPTIONS,
    "captions, the edit as it should be": CAPTIONS,
}


KINDS = {"weighted": list(WAYS)[:1], "pdv-f": list(WAYS)[2:]}


def by_kind(name: str, composition: str, way: str, folder: Path, group: str) -> list[dict[str, Any]]:
    """A row a kind of edit, of the hits that are there."""
    kinds: dict[str, dict[str, Any]] = {}
    for one in measured("qrels", folder, f"--group-by {group} --ci"):
        if one["group"] not in ("macro", "micro"):
            kinds.setdefault(one["group"], {})[one["measure"]] = one
    return [
        {"set": name, "way": way, "composition": composition, "kind": kind,
         "queries": found["hit@1"]["queries"],
         **{f"hit@{k}": round(100 * found[f"hit@{k}"]["value"], 1) for k in (1, 5, 10)},
         "low": round(100 * found["hit@1"]["low"], 1), "high": round(100 * found["hit@1"]["high"], 1)}
        for kind, found in kinds.items()
    ]  # fmt: skip


def compare(name: str, queries: list[dict[str, Any]], folder: Path, group: str) -> list[dict[str, Any]]:
    """A row a composition: its figures over all queries, and the mean over the kinds of edit."""
    rows = []
    for way, compositions in WAYS.items():
        field = "joined" if "joined" in way else "wanted"
        write_lines(folder / "q.jsonl", [
            {"edited": query[field], **{k: v for k, v in query.items() if k not in ("joined", "wanted")}}
            for query in queries
        ])  # fmt: skip
        bind(folder, t_m="text:text", t_r="text:caption", t_c="text:edited")
        for composition in compositions:
            hits(composition, folder, "--index pics.mmr")
            whole = {one["measure"]: one for one in measured("qrels", folder, "--ci")}
            kinds = {one["measure"]: one["value"] for one in measured("qrels", folder, f"--group-by {group}")
                     if one["group"] == "macro"}  # fmt: skip
            rows.append({
                "set": name, "way": way, "composition": composition,
                **{f"hit@{k}": round(100 * whole[f"hit@{k}"]["value"], 1) for k in (1, 5, 10)},
                "low": round(100 * whole["hit@1"]["low"], 1), "high": round(100 * whole["hit@1"]["high"], 1),
                "kinds@1": round(100 * kinds["hit@1"], 1),
            })  # fmt: skip
            print(rows[-1])
            if way in KINDS.get(composition, ()):
                rows += by_kind(name, composition, way, folder, group)
    return rows


def keep(name: str, rows: list[dict[str, Any]]) -> None:
    """Put a set's rows in the place of its old ones."""
    old = [json.loads(line) for line in FIGURES.read_text().splitlines()] if FIGURES.exists() else []
    write_lines(
        FIGURES, sorted([row for row in old if row["set"] != name] + rows, key=lambda row: row["set"])
    )


@pytest.mark.bench
def test_edits_of_the_demo(tmp_path):
    from mmr.demo import draw

    count = draw(tmp_path)
    edits = [json.loads(line) for line in (tmp_path / "edits.jsonl").read_text().splitlines()]
    shell("mmr embed pictures -q | mmr index pics.mmr -q", tmp_path)
    queries = [
        {"joined": f"{edit['caption']}, {edit['text']}", "wanted": edit["target_caption"],
         **{k: v for k, v in edit.items() if k != "target_caption"}}
        for edit in edits
    ]  # fmt: skip
    (tmp_path / "qrels").write_text((tmp_path / "edits.qrels").read_text())
    name = f"the demo's edits, {len(edits)} among {count} pictures"
    keep(name, compare(name, queries, tmp_path, "edit"))


def drawn(package: Path, codes: list[str], folder: Path) -> None:
    """Draw emoji as PNG on white."""
    import io

    from PIL import Image

    resvg = pytest.importorskip("resvg_py", reason="needs resvg_py, of the extra `train`")
    folder.mkdir()
    for code in codes:
        svg = (package / "color" / "svg" / f"{code}.svg").read_text()
        data = bytes(resvg.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE, background="white"))
        Image.open(io.BytesIO(data)).convert("RGB").save(folder / f"{code}.png")


@pytest.mark.bench
def test_edits_of_emoji(tmp_path):
    if not TABLE.is_file():
        pytest.skip("needs the folder `shared` beside the repository")
    package = Path(os.environ.get("OPENMOJI", "node_modules/openmoji"))
    if not package.is_dir():
        pytest.skip("needs the npm package openmoji: OPENMOJI names its folder")
    with TABLE.open(encoding="utf8", newline="") as lines:
        listed = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    edits = [edit for edit in listed if edit["split"] == "test"]
    codes = sorted({edit[f"{end}_hexcode"] for edit in edits for end in ("reference", "target")})
    drawn(package, codes, tmp_path / "pics")
    shell("mmr embed pics -q | mmr index pics.mmr -q", tmp_path)
    queries, truth = [], []
    for number, edit in enumerate(edits):
        image, words, caption = (
            f"pics/{edit['reference_hexcode']}.png",
            edit["modification"],
            edit["reference_name"],
        )
        queries.append({"id": str(number), "image": image, "text": words, "caption": caption,
                        "joined": f"{caption}, {words}", "wanted": edit["target_name"],
                        "exclude": [image], "kind": edit["kind"]})  # fmt: skip
        truth.append(f"{number}\t0\tpics/{edit['target_hexcode']}.png\t1\n")
    (tmp_path / "qrels").write_text("".join(truth))
    name = f"edits of emoji, {len(edits):,} among {len(codes)} pictures"
    keep(name, compare(name, queries, tmp_path, "kind"))
