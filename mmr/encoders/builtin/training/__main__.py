"""Command line of the training: each stage reads what the stages before it left in the work folder."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

HELP = """\
Make the weights of the built-in encoder.

Stages, in order (a stage that was stopped goes on where it was):
  fetch        icon, emoji and clip-art sets and WordNet, by npm and apt-get (1 GB)
  text         the teacher's vectors of 570,000 texts, then the table of word pieces (15 min)
  languages    the table of words that are not English (5 min)
  draw         every drawing as pixels (4 min)
  samples      pictures with captions, and their early features (22 s a shard of 4,096)
  tune         the drawing tower (4 ms a sample; ends early when the checked loss no longer falls)
  photographs  the gate and the class vectors (2 min)
  export       weights.safetensors and vocabulary.txt into the package
  measure      search sets that were never trained on
"""


def _fetch(options: argparse.Namespace) -> None:
    from .fetch import fetch

    fetch(options.work)


def _text(options: argparse.Namespace) -> None:
    import numpy as np

    from . import corpus, table, teacher

    listed, vectors = options.work / "texts.txt", options.work / "teacher.npy"
    if not listed.is_file():
        listed.write_text("\n".join(corpus.collect(options.work, options.templates)), encoding="utf8")
    texts = listed.read_text(encoding="utf8").split("\n")
    if not vectors.is_file():
        teacher.encode(texts, vectors)
    found = np.load(vectors)
    targets = teacher.project(found, *teacher.fit_axes(found))
    rows, words = table.tokenise(texts)
    table.save(table.fit(rows, targets, len(words), options.passes), words, options.work)


def _languages(options: argparse.Namespace) -> None:
    from . import languages

    languages.run(options.work, options.language_passes)


def _draw(options: argparse.Namespace) -> None:
    from . import raster, sources

    raster.draw_all(sources.training_drawings(options.work), options.work / "drawn")


def _samples(options: argparse.Namespace) -> None:
    from . import shards

    shards.make(options.work, options.photographs, options.shards)


def _tune(options: argparse.Namespace) -> None:
    from . import tune

    tune.run(options.work, options.head_steps, options.steps, options.minutes)


def _photographs(options: argparse.Namespace) -> None:
    from . import photographs

    if options.photographs is None:
        raise SystemExit("the stage 'photographs' needs --photographs DIR")
    photographs.run(options.work, options.photographs)


def _export(options: argparse.Namespace) -> None:
    from .export import export

    export(options.work, options.out)


def _measure(options: argparse.Namespace) -> None:
    from .measure import measure

    measure(options.work, options.photographs.parent if options.photographs else None, options.most)


STAGES: dict[str, Callable[[argparse.Namespace], None]] = {
    "fetch": _fetch, "text": _text, "languages": _languages, "draw": _draw, "samples": _samples,
    "tune": _tune, "photographs": _photographs, "export": _export, "measure": _measure,
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Build the parser; the stages' modules are imported when they run."""
    made = argparse.ArgumentParser(
        prog="python -m mmr.encoders.builtin.training",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("stage", choices=[*STAGES, "all"], nargs="+", metavar="STAGE", help="or: all")
    made.add_argument("--work", type=Path, default=Path("builtin-training"), help="work folder [%(default)s]")
    made.add_argument("--out", type=Path, default=Path(__file__).parent.parent, help="where export writes")
    made.add_argument(
        "--photographs", type=Path, help="folder with grocery81_train and clothing10_train (.tar, .jsonl)"
    )
    made.add_argument("--threads", type=int, default=1, help="threads of torch [%(default)s]")
    made.add_argument(
        "--templates", type=int, default=120_000, help="made-up captions of each kind [%(default)s]"
    )
    made.add_argument("--passes", type=int, default=8, help="passes over the texts [%(default)s]")
    made.add_argument(
        "--language-passes",
        type=int,
        default=6,
        help="passes over the names in other languages [%(default)s]",
    )
    made.add_argument("--shards", type=int, default=100, help="shards of 4,096 samples [%(default)s]")
    made.add_argument("--head-steps", type=int, default=600, help="batches for the head alone [%(default)s]")
    made.add_argument("--steps", type=int, default=5000, help="batches for head and blocks [%(default)s]")
    made.add_argument("--minutes", type=float, default=math.inf, help="end tuning by then, softly")
    made.add_argument("--most", type=int, default=5000, help="pictures of each measured set [%(default)s]")
    return made


def main() -> None:
    """Run the named stages in their order."""
    options = parser().parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.stage != ["fetch"]:
        import torch

        torch.set_num_threads(options.threads)
    for name, stage in STAGES.items():
        if name in options.stage or "all" in options.stage:
            stage(options)


if __name__ == "__main__":
    main()
