"""Text towers as the commands use them: who leaves one, who takes one, and what is said about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmr.errors import BadDataError, MmrError, UnavailableError, UsageError, shown

if TYPE_CHECKING:
    from mmr.cli.report import Report
    from mmr.encoders import Encoder
    from mmr.index import AnyIndex, Index

PREFIX = "open_clip:"
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def few_threads(wanted: int | None = None) -> None:
    """Give NumPy one thread, or as many as wanted; call it before NumPy is imported.

    Starting more costs 50 ms and, beside other work, makes one short text slower, not faster. Where the
    user's environment says how many there are, that holds.
    """
    if not any(os.environ.get(name) for name in THREADS):
        os.environ.update(dict.fromkeys(THREADS, str(wanted or 1)))


def megabytes(path: Path) -> str:
    """The size of a file in words."""
    return f"{max(1, round(path.stat().st_size / 1e6)):,} MB"


def is_model_of(index: AnyIndex, model: str | None) -> bool:
    """Whether --model names the model that the index was built with, or nothing."""
    from mmr.encoders import resolve

    known = (index.meta.model or "").rpartition("#")
    if model is None:
        return True
    return model == index.meta.model if "#" in model else resolve(model) == known[0]


def without_torch(index: AnyIndex, report: Report, pictures: bool = False) -> Encoder | None:
    """An encoder of the index's model whose words need no torch; None where there is no sound tower.

    pictures  it must take pictures too: None where the model's picture tower is not at hand

    A tower that cannot be used is named in one line, with what makes another.
    """
    if index.meta.model is None or not index.meta.model.startswith(PREFIX):
        return None
    from mmr.encoders.tower_encoder import PictureTowerEncoder, TowerEncoder
    from mmr.encoders.tower_file import TowerFile
    from mmr.index.tower import candidates

    for path in candidates(index):
        try:
            file = TowerFile(path)
            if not pictures:
                return TowerEncoder(file, index.meta.model)
            found = file.pictures() if file.stated.kind == "fp32" else None
            if found is not None:
                return PictureTowerEncoder(file, index.meta.model, found)
        except (MmrError, OSError) as error:
            why = error.what if isinstance(error, MmrError) else f"{shown(str(path))}: {error.strerror}"
            cure = f"`mmr index {shown(str(index.path))} --export-tower fp32` makes it anew"
            report.say(f"{why}; it is not used ({cure}).")
    return None


def keep(encoder: Any, report: Report, answered: bool = False) -> None:
    """Export the text tower of a loaded open_clip model to the cache, and say so in one line.

    answered  words were embedded for want of a tower; where it stays so, the line says why
    """
    if not encoder.spec.startswith(PREFIX):
        return
    from mmr.encoders import model_name
    from mmr.encoders.tower_export import export
    from mmr.encoders.tower_file import kept_path
    from mmr.encoders.tower_plan import NotPlain

    model = model_name(encoder)
    if kept_path(model).is_file():
        return
    try:
        path = export(encoder, model)
    except NotPlain as error:
        if answered:
            report.note(f"torch answers words for {shown(encoder.spec)}: {error.what}.")
        return
    except (MmrError, OSError, RuntimeError, MemoryError) as error:
        why = error.what if isinstance(error, MmrError) else shown(str(error) or type(error).__name__)
        report.note(f"the text tower of {shown(encoder.spec)} was not kept: {why}.")
        return
    report.note(f"its text tower ({megabytes(path)}) is kept in {shown(str(path.parent))}: "
                f"{'the next query' if answered else 'queries'} with words will not need torch.")  # fmt: skip


def take(index: str, report: Report) -> None:
    """Put the tower that `embed` left in the cache beside an index that has none."""
    from mmr.index import open_index
    from mmr.index.tower import take_kept

    with open_index(index) as opened:
        model = opened.meta.model
    if model is None or not model.startswith(PREFIX):
        return
    try:
        file = take_kept(Path(index), model)
    except OSError as error:
        report.say(f"the text tower was not put into {shown(index)}: {error.strerror}")
        return
    if file is not None:
        report.note(f"the text tower ({megabytes(file.path)}) lies in {shown(index)}: "
                    "queries with words need no torch.")  # fmt: skip


def export(index: str, kind: str, wait: float, report: Report) -> None:
    """Put a text tower of a kind into an index; torch is loaded where no fp32 tower is at hand."""
    import tempfile

    from mmr.encoders.tower_export import quantised
    from mmr.encoders.tower_file import TowerFile
    from mmr.index import open_index
    from mmr.index.tower import adopt

    with open_index(index) as opened:
        exact = _exact(opened)
    if kind == "fp32":
        size = megabytes(exact.path)
        adopt(Path(index), exact, wait)
        report.note(f"the text tower in {shown(index)} is fp32, {size}.")
        return
    with tempfile.TemporaryDirectory(prefix="mmr-") as folder:
        path = Path(folder, "tower.safetensors")
        loss = quantised(exact, path)
        size = f"{megabytes(path)} instead of {megabytes(exact.path)}"
        adopt(Path(index), TowerFile(path), wait)
    report.note(f"the text tower in {shown(index)} is int8, {size}; cosine to fp32 over {loss.texts} texts: "
                f"median {loss.median:.6f}, least {loss.least:.6f}.")  # fmt: skip


def _exact(index: Index) -> Any:
    """A sound fp32 tower of the index's model: its own, that of the cache, or one that torch exports now."""
    from mmr.encoders import load, model_name
    from mmr.encoders.tower_export import export as exported
    from mmr.encoders.tower_file import TowerFile, kept_path
    from mmr.index.tower import candidates
    from mmr.stream.records import check_model

    model = index.meta.model
    if model is None or not model.startswith(PREFIX):
        what = f"{shown(str(index.path))} has vectors of {shown(model or 'no stated model')}"
        raise UsageError(what, "Text towers are those of open_clip's models.")
    for path in candidates(index):
        try:
            file = TowerFile(path)
            file.sound()
        except (BadDataError, OSError):
            if path == kept_path(model):
                path.unlink(missing_ok=True)
            continue
        if file.stated.kind == "fp32":
            return file
    encoder: Any = load(model.rpartition("#")[0], device="cpu", precision="fp32", named_by=index.path.name)
    check_model(model, model_name(encoder), expected_by=index.path.name, found_by=encoder.spec,
                fix="Use the weights that built the index.")  # fmt: skip
    try:
        return TowerFile(exported(encoder, model))
    except UnavailableError as error:
        what = f"the text tower of {shown(encoder.spec)} cannot be exported: {error.what}"
        raise UnavailableError(what, "Torch answers its words.") from error
