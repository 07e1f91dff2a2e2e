"""Stage `measure`: the shipped encoder on sets that it was never trained on, through `mmr eval`.

Each row of the table is a pair of files in `work/measured`, judgements and a run; `mmr eval --ci` reads
them, so that every figure comes with the interval that it gives.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import tarfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmr.encoders.builtin import WEIGHTS, Builtin, load
from mmr.encoders.builtin.text import FloatMatrix, unit
from mmr.encoders.builtin.weights import shipped

from . import languages, raster, sources
from .sources import Drawing

DEPTH = 10  # answers to a question that are looked at
BLOCK = 1024  # questions at a time
STEPS = 20  # of the mixtures of picture and words that are tried


@dataclass
class Row:
    """Questions (n, d) against answers (m, d), and by question what is right and what is not asked for.

    `wanted` holds what is asked of each measure (NaN: nothing); `groups` a question's group, whose mean of
    means is then printed.
    """

    name: str
    asked: FloatMatrix
    answers: FloatMatrix
    right: Sequence[Iterable[int]]
    wanted: dict[str, float]
    groups: Sequence[str] = ()
    hidden: Sequence[int] = ()

    def ranked(self) -> Iterator[list[int]]:
        """Yield the first answers to each question."""
        for start in range(0, len(self.asked), BLOCK):
            scores = self.asked[start : start + BLOCK] @ self.answers.T
            if self.hidden:
                scores[np.arange(len(scores)), self.hidden[start : start + BLOCK]] = -np.inf
            best = np.argpartition(-scores, min(DEPTH, scores.shape[1] - 1), axis=1)[:, :DEPTH]
            order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
            yield from np.take_along_axis(best, order, 1).tolist()


def evaluated(row: Row, folder: Path) -> dict[str, tuple[float, float, float]]:
    """Write a row's files and let `mmr eval` read them: measure → value, low, high (NaN: no interval)."""
    stem = re.sub("[^a-z0-9]+", "-", row.name.lower())
    judged, run, listed = (folder / f"{stem}.{end}" for end in ("qrels", "run", "groups"))
    with judged.open("w") as out:
        for question, answers in enumerate(row.right):
            out.writelines(f"q{question} 0 a{answer} 1\n" for answer in sorted(answers))
    with run.open("w") as out:
        for question, best in enumerate(row.ranked()):
            out.writelines(
                f"q{question} Q0 a{answer} {place + 1} {DEPTH - place} mmr\n"
                for place, answer in enumerate(best)
            )
    command = [sys.executable, "-m", "mmr", "eval", str(judged), str(run), "-m", ",".join(row.wanted)]
    command += ["-q", "--format", "jsonl"]
    if row.groups:
        listed.write_text("".join(f"q{question}\t{group}\n" for question, group in enumerate(row.groups)))
        command += ["--groups", str(listed)]
    else:
        command += ["--ci"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = {}
    for line in done.stdout.splitlines():
        record = json.loads(line)
        if not row.groups or record["group"] == "macro":
            low, high = (float("nan") if record.get(end) is None else record[end] for end in ("low", "high"))
            found[record["measure"]] = (record["value"], low, high)
    return found


def show(row: Row, folder: Path) -> None:
    """Print a row's figures with intervals, what was asked for, and whether it is reached; keep them."""
    size = f"{len(row.asked)} in {len(row.answers)}"
    for measure, (value, low, high) in evaluated(row, folder).items():
        wanted = row.wanted[measure]
        interval = f"[{low:.3f}, {high:.3f}]" if low == low else ""
        verdict = "" if wanted != wanted else f"{wanted:.2f} {'reached' if value >= wanted else 'MISSED'}"
        print(f"{row.name:40} {measure:7} {value:.3f} {interval:16} {verdict:13} {size}", flush=True)
        kept = {"name": row.name, "measure": measure, "value": value, "low": low, "high": high}
        keep(folder, {**kept, "wanted": wanted, "size": size})


def keep(folder: Path, record: dict[str, Any]) -> None:
    """Add a figure to `figures.jsonl`, from which the manual's page is written."""
    known = {name: value for name, value in record.items() if value == value}
    with (folder / "figures.jsonl").open("a", encoding="utf8") as out:
        out.write(json.dumps(known) + "\n")


def _drawn(drawings: Iterable[Drawing]) -> tuple[list[Drawing], list[Image.Image]]:
    """Draw on white at 128 pixels; what cannot be drawn is left out and named."""
    kept, pictures = [], []
    for drawing in drawings:
        try:
            square = raster.rasterise(drawing, 128)
        except (OSError, ValueError, SyntaxError) as problem:
            print(f"left out: {drawing.source} {drawing.key}: {problem}")
            continue
        sheet = Image.new("RGB", square.size, (255, 255, 255))
        sheet.paste(square, mask=square)
        kept.append(drawing)
        pictures.append(sheet)
    return kept, pictures


def by_name(kept: list[Drawing]) -> dict[str, list[int]]:
    """List each name once, with the places of all drawings that have it."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, drawing in enumerate(kept):
        found[drawing.name].append(place)
    return found


DRAWN_ROWS = {
    "openmoji-color": ("emoji, colour, unseen style", 0.15, 0.45),
    "openmoji-black": ("emoji, black line, unseen style", float("nan"), 0.35),
    "bootstrap": ("icons of an unseen family", float("nan"), 0.55),
    "openclipart": ("clip art, new categories", float("nan"), 0.33),
}


def drawings(encoder: Builtin, work: Path, most: int) -> Iterable[Row]:
    """Search the sets of drawings by name, and one style of the emoji by another."""
    found: dict[str, list[Drawing]] = defaultdict(list)
    for drawing in sources.held_out_drawings(work):
        found[drawing.source].append(drawing)
    black: dict[str, FloatMatrix] = {}
    for source, members in found.items():
        name, first, ten = DRAWN_ROWS[source]
        limit = min(most, 1000) if source == "openclipart" else most
        kept, pictures = _drawn(members[:: max(1, len(members) // limit)][:limit])
        rows = encoder.encode_images(pictures)
        names = by_name(kept)
        asked = encoder.encode_texts(list(names))
        yield Row(name, asked, rows, list(names.values()), {"hit@1": first, "hit@10": ten})
        if source == "openmoji-black":
            pairs = zip(kept, rows, strict=True)
            black = {drawing.key.replace("\ufe0f", ""): row for drawing, row in pairs}
    kept, pictures = _drawn(sources.emoji(work / "npm/node_modules", "noto"))
    places = {drawing.key: i for i, drawing in enumerate(kept)}
    both = [key for key in black if key in places]
    yield Row(
        "across styles, black to Noto", np.stack([black[key] for key in both]),
        encoder.encode_images(pictures), [[places[key]] for key in both], {"hit@1": 0.30, "hit@10": 0.60},
    )  # fmt: skip


def _photo_set(folder: Path, name: str) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf8").splitlines()]
    rows = [row for row in rows if row.get("kind", "photo") == "photo"]
    pictures = []
    with tarfile.open(folder / f"{name}.tar") as tar:
        for row in rows:
            file = tar.extractfile(row["file"])
            assert file is not None
            pictures.append(Image.open(io.BytesIO(file.read())).convert("RGB"))
    return rows, pictures


def photographs(encoder: Builtin, folder: Path) -> Iterable[Row]:
    """Search Flickr8k's and COCO's captions, and name pictures by the bare labels of three sets."""
    none = float("nan")
    for name, ten in (("flickr8k_test", 0.22), ("coco_mini", 0.75)):
        rows, pictures = _photo_set(folder, name)
        texts = [(caption, i) for i, row in enumerate(rows) for caption in row["captions"]]
        asked, answers = encoder.encode_texts([text for text, _ in texts]), encoder.encode_images(pictures)
        measures = {"hit@1": none, "hit@10": ten}
        yield Row(f"{name}, text to picture", asked, answers, [[i] for _, i in texts], measures)
    for name, field, wanted in (
        ("pacs700", "label", 0.58), ("clothing10_test", "label", 0.75), ("grocery81", "class", 0.40)
    ):  # fmt: skip
        rows, pictures = _photo_set(folder, name)
        labels = sorted({sources.plain(row[field]) for row in rows})
        asked, answers = encoder.encode_images(pictures), encoder.encode_texts(labels)
        right = [[labels.index(sources.plain(row[field]))] for row in rows]
        yield Row(f"{name}, by label", asked, answers, right, {"hit@1": wanted})
        for part in sorted({row["domain"] for row in rows if "domain" in row}):
            which = [i for i, row in enumerate(rows) if row["domain"] == part]
            yield Row(f"{name}, {part}", asked[which], answers, [right[i] for i in which], {"hit@1": none})


def other_languages(encoder: Builtin, work: Path) -> Iterable[Row]:
    """Find the English name of an emoji by its name in another language."""
    npm = work / "npm/node_modules"
    english = {entry.emoji: entry.name for entry in languages.entries(npm, "en")}
    names = sorted(set(english.values()))
    place, gallery = {name: i for i, name in enumerate(names)}, encoder.encode_texts(names)
    parts: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for language in (*languages.LANGUAGES, *languages.NEVER_SEEN):
        for entry in languages.entries(npm, language):
            if entry.emoji in english:
                part = "held out" if languages.held_out(entry.emoji) else "seen"
                part = language if language in languages.NEVER_SEEN else part
                parts[part].append((language, entry.name, place[english[entry.emoji]]))
    wanted = {"seen": 0.98, "held out": 0.45}
    for part, members in parts.items():
        asked = encoder.encode_texts([name for _, name, _ in members])
        title = "a language never seen" if part in languages.NEVER_SEEN else "names in other languages"
        groups = [language for language, _, _ in members] if part in wanted else []
        measures = {"hit@1": float("nan"), "hit@10": wanted.get(part, float("nan"))}
        yield Row(f"{title}, {part}", asked, gallery, [[at] for _, _, at in members], measures, groups)


def demo(encoder: Builtin, folder: Path) -> Iterable[Row]:
    """Ask the demo gallery its questions (the best answers count) and its edits."""
    if not (folder / "items.jsonl").is_file():
        subprocess.run([sys.executable, "-m", "mmr.demo", folder], check=True)
    items = [json.loads(line) for line in (folder / "items.jsonl").read_text("utf8").splitlines()]
    place = {item["id"]: i for i, item in enumerate(items)}
    pictures = []
    for item in items:
        with Image.open(folder / item["image"]) as file:
            pictures.append(file.convert("RGB"))
    rows = encoder.encode_images(pictures)
    questions = [json.loads(line) for line in (folder / "queries.jsonl").read_text("utf8").splitlines()]
    grades: dict[str, dict[int, int]] = defaultdict(dict)
    for line in (folder / "qrels.tsv").read_text("utf8").splitlines():
        question, _, item, grade = line.split("\t")
        grades[question][place[item]] = int(grade)
    best = [
        [item for item, grade in given.items() if grade == max(given.values())]
        for given in (grades[question["id"]] for question in questions)
    ]
    asked = encoder.encode_texts([question["text"] for question in questions])
    measures = {"hit@1": float("nan"), "hit@10": 0.90}
    yield Row("demo gallery, text to picture", asked, rows, best, measures)
    edits = [json.loads(line) for line in (folder / "edits.jsonl").read_text("utf8").splitlines()]
    references = [place[edit["image"]] for edit in edits]
    words = encoder.encode_texts([edit["text"] for edit in edits])
    targets = [[place[edit["target"]]] for edit in edits]
    yield from _edits("gallery edits", rows, references, words, targets)


def _edits(
    name: str, rows: FloatMatrix, references: list[int], words: FloatMatrix, targets: list[list[int]],
    groups: Sequence[str] = (),
) -> Iterable[Row]:  # fmt: skip
    """Ask by picture alone, by words alone, and by the best of a few sums of both."""

    def row(title: str, share: float) -> Row:
        asked = unit((1 - share) * rows[references] + share * words)
        return Row(f"{name}, {title}", asked, rows, targets, {"hit@1": float("nan")}, groups, references)

    def first(share: float) -> float:
        hits = [best[0] in right for best, right in zip(row("", share).ranked(), targets, strict=True)]
        kinds = np.array(groups or [""] * len(hits))
        return float(np.mean([np.mean(np.array(hits)[kinds == kind]) for kind in sorted(set(kinds))]))

    best = max((step / STEPS for step in range(STEPS + 1)), key=first)
    yield from (row("picture alone", 0), row("words alone", 1), row(f"{best:.2f} words", best))


def emoji_edits(encoder: Builtin, work: Path, table: Path) -> Iterable[Row]:
    """Ask for edited OpenMoji pictures: the test split, the mean over kinds of edit."""
    with table.open(encoding="utf8", newline="") as lines:
        listed = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    edits = [edit for edit in listed if edit["split"] == "test"]
    codes = sorted({edit[f"{end}_hexcode"] for edit in edits for end in ("reference", "target")})
    folder = work / "npm/node_modules/openmoji/color/svg"
    every = [Drawing("openmoji", c, "", (), True, svg=(folder / f"{c}.svg").read_text()) for c in codes]
    rows = encoder.encode_images(_drawn(every)[1])
    place = {code: i for i, code in enumerate(codes)}
    distinct = sorted({edit["modification"] for edit in edits})
    vectors = dict(zip(distinct, encoder.encode_texts(distinct), strict=True))
    yield from _edits(
        "emoji edits", rows, [place[edit["reference_hexcode"]] for edit in edits],
        np.stack([vectors[edit["modification"]] for edit in edits]),
        [[place[edit["target_hexcode"]]] for edit in edits], [edit["kind"] for edit in edits],
    )  # fmt: skip


def costs(encoder: Builtin, work: Path, folder: Path) -> None:
    """Print bytes and times: one text, one drawing, one photograph, drawings in a batch.

    Single times are the least of a few; of a batch the CPU seconds count, as two processors would spend
    them side by side.
    """

    def shown(name: str, value: float, unit: str, wanted: float, reached: bool) -> None:
        verdict = f"{wanted:.0f} {'reached' if reached else 'MISSED'}"
        print(f"{name:40} {value:8.2f} {unit:20} {verdict}", flush=True)
        keep(folder, {"name": name, "value": value, "unit": unit, "wanted": wanted})

    size = shipped(WEIGHTS).stat().st_size / 1e6
    shown("weights", size, "MB", 20, size <= 20)
    _, pictures = _drawn(list(sources.emoji(work / "npm/node_modules", "noto"))[:96])
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).resize((640, 480))
    drawing, photograph = encoder.prepare(pictures[0]), encoder.prepare(noise)
    encoder.encode_prepared([drawing, photograph])
    for name, wanted, work_of in (
        ("a text query", 1, lambda: encoder.encode_texts(["two red cars on a street"])),
        ("one drawing", 12, lambda: encoder.encode_prepared([drawing])),
        ("one photograph", 60, lambda: encoder.encode_prepared([photograph])),
    ):
        spent = 1000 * min(_seconds(work_of, time.perf_counter) for _ in range(20))
        shown(name, spent, "ms", wanted, spent <= wanted)
    spent = min(_seconds(lambda: encoder.encode_images(pictures), time.process_time) for _ in range(3))
    rate = 2 * len(pictures) / spent
    shown("drawings in a batch", rate, "a second on 2 cores", 150, rate >= 150)


def _seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    begun = clock()
    work()
    return clock() - begun


def measure(work: Path, data: Path | None, most: int) -> None:
    """Print every figure; `data` holds pictures/ and emoji/, whose rows are left out without it."""
    encoder, folder = load(), work / "measured"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.jsonl").unlink(missing_ok=True)
    print(f"built-in encoder {encoder.fingerprint}\n")
    for row in drawings(encoder, work, most):
        show(row, folder)
    if data:
        for row in photographs(encoder, data / "pictures"):
            show(row, folder)
    for row in other_languages(encoder, work):
        show(row, folder)
    for row in demo(encoder, folder / "gallery"):
        show(row, folder)
    if data:
        for row in emoji_edits(encoder, work, data / "emoji/compose_pairs.tsv"):
            show(row, folder)
    costs(encoder, work, folder)
