"""The text tower beside an index's catalogue: words become vectors of its model without torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mmr.encoders.tower_file import TowerFile, kept_path
from mmr.errors import BadDataError, BusyError, MissingInputError, UsageError, shown
from mmr.index.catalogue import TOWER, change, translated
from mmr.index.changer import Changer
from mmr.index.segments import Written, file_sha256
from mmr.index.structures import remove
from mmr.stream.files import sync_folder, whole_file
from mmr.stream.records import same_model

if TYPE_CHECKING:
    from mmr.index import AnyIndex


def candidates(index: AnyIndex) -> Iterator[Path]:
    """Files that may hold the text tower of the index's model: its own, then the one in the cache."""
    own = index.tower()
    if own is not None:
        yield own
    if index.meta.model is not None and "#" in index.meta.model:
        kept = kept_path(index.meta.model)
        if kept.is_file():
            yield kept


def adopt(index: Path, file: TowerFile, wait: float = 0.0) -> None:
    """Put a tower beside the catalogue of an index, in the place of one that is there.

    A second name of the same file where the file system allows it, else a copy. Raises `BadDataError` for
    a tower of another model, `BusyError` while another process writes, OSError where the disk is full.
    """
    with Changer(index, wait=wait) as changer:
        changer.open()
        if changer.meta is None or changer.meta.model is None:
            raise UsageError(f"{shown(str(index))} does not name a model", "Put vectors into it first.")
        if not same_model(file.stated.model, changer.meta.model):
            raise BadDataError(f"the text tower is of {file.stated.model}, the index of {changer.meta.model}")
        with open(file.path, "rb") as data:
            size, sha256 = os.fstat(data.fileno()).st_size, file_sha256(data)
        name = f"tower-{sha256[:12]}.safetensors"
        placed(file.path, index / name)
        with translated(index):
            statement = "SELECT name FROM files WHERE segment = ?"
            old = [row[0] for row in changer.connection.execute(statement, (TOWER,))]
            with change(changer.connection):
                changer.connection.execute("DELETE FROM files WHERE segment = ?", (TOWER,))
                changer.add_files(TOWER, [Written(name, size, sha256)])
        remove(changer, [one for one in old if one != name])


def placed(source: Path, target: Path) -> None:
    """Give a file a second name, in the place of what is there; or copy it."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        os.link(source, temporary)
    except OSError:
        with open(source, "rb") as data, whole_file(target) as out:
            shutil.copyfileobj(data, out, 16 << 20)
        return
    temporary.replace(target)
    sync_folder(target.parent)


def take_kept(index: Path, model: str | None) -> TowerFile | None:
    """Adopt the tower that `embed` left in the cache, if the index has none; return it where it was adopted.

    A writer that is in the way is let be: the next run takes it.
    """
    if model is None or "#" not in model or not kept_path(model).is_file():
        return None
    from mmr.index.reader import open_index

    with open_index(index) as opened:
        if opened.tower() is not None:
            return None
    with suppress(BusyError, BadDataError, MissingInputError):
        file = TowerFile(kept_path(model))
        file.verified()
        adopt(index, file)
        return file
    return None
