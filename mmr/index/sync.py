"""Make an index follow a stream that names everything under some roots: upsert, then delete what is gone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mmr.errors import BadDataError, BadItem, Reject, StreamError, UsageError, shown
from mmr.index import catalogue
from mmr.index.address import is_address
from mmr.index.bases import absolute
from mmr.index.catalogue import translated
from mmr.index.changer import Counts
from mmr.index.content import Fields
from mmr.index.intake import Tick
from mmr.index.items import SAME_AS_ID
from mmr.index.write import Upserter

if TYPE_CHECKING:
    from mmr.index.corrected import Corrector
    from mmr.index.plan import Asked

NOT_DELETED = "Nothing was deleted; what came was stored."

Read = Callable[[Reject], Iterable[Fields]]
Going = Callable[[str], None]
Key = TypeVar("Key")


def sync(
    path: str | os.PathLike[str], read: Read, *, reject: Reject, model: str | None = None,
    kind: str | None = None, wait: float = 0.0, dry_run: bool = False, max_delete: float = 0.5,
    going: Going | None = None, tick: Tick | None = None, corrector: Corrector | None = None,
    asked: Asked | None = None,
) -> Counts:  # fmt: skip
    """Upsert a stream, then delete the items whose pictures lie under its roots and were not named.

    read        gives the records, eof records included, and reports those that cannot be read
    max_delete  the share (0 to 1) of the items under the roots that may go
    going       is told the id of every item that goes, before anything is refused
    corrector   reads the correction that the index holds, where it holds one
    asked       what the user says of memory and recall, and who is told of plans

    The deletions are one last transaction; till then every id and path of the stream is held. Raises
    `StreamError` for a stream that does not end with an eof record whose count fits, `UsageError` for an eof
    without roots or of one shard, and `BadDataError` where a root is suddenly empty or more than `max_delete`
    would go; nothing is deleted then.
    """
    if is_address(path):
        from mmr.index.remote_write import sync as follow

        return follow(os.fspath(path), read, reject=reject, model=model, kind=kind, dry_run=dry_run,
                      max_delete=max_delete, going=going, tick=tick)  # fmt: skip
    watch = Watch(reject)
    with Upserter(Path(path), reject, model=model, kind=kind, wait=wait, dry_run=dry_run,
                  corrector=corrector, asked=asked) as changer:  # fmt: skip
        changer.take(watch.records(read(watch.reject)), tick)
        watch.finish()
        if catalogue.exists(Path(path)) and changer.open() and changer.meta is not None:
            with translated(changer.path):
                found = gone_of(_paths(changer), watch)
            found.tell(going)
            refuse(found, max_delete, str(changer.path), 0 if changer.dry_run else changer.counts.new)
            changer.delete_places(found.keys)
        changer.settle()
    return changer.counts


class Watch:
    """Notes what a stream names, and whether it came whole.

    ids, paths  every id and every picture's absolute path that the stream named
    roots       the absolute paths that it walked, of all its eof records
    """

    def __init__(self, reject: Reject) -> None:
        self._reject = reject
        self._since_eof = 0
        self.ids: set[str] = set()
        self.paths: set[str] = set()
        self.roots: list[str] = []
        self.ends = 0

    def reject(self, item: BadItem) -> None:
        """Report a record that could not be read; where it says who it is, it still counts as named."""
        record = item.record or {}
        if isinstance(record.get("id"), str) or isinstance(record.get("image"), str):
            self._name(record)
        self._reject(item)

    def records(self, stream: Iterable[Fields]) -> Iterator[Fields]:
        """Pass on the records of a stream without its eof records, which are checked."""
        for record in stream:
            if record.get("eof") is True:
                self._end(record)
            else:
                self._name(record)
                yield record

    def _name(self, record: Fields) -> None:
        self._since_eof += 1
        name, image, base = record.get("id"), record.get("image"), record.get("base")
        if isinstance(name, str):
            self.ids.add(name)
        if isinstance(image, str):
            path = absolute(base if isinstance(base, str) else None, image)
            if path is not None:
                self.paths.add(path)

    def _end(self, record: Fields) -> None:
        roots, items = record.get("roots"), record.get("items")
        if not isinstance(roots, list) or not roots or not all(map(_is_absolute, roots)):
            raise UsageError(
                "--sync needs a stream that says which folders it walked, and this one's eof has no roots",
                "Make it with `mmr embed --skip-indexed INDEX FOLDER...` or `mmr embed --eof FOLDER...`.",
            )
        if items != self._since_eof:
            raise StreamError(
                f"the stream says that it has {shown(str(items))} items, and {self._since_eof:,} were read",
                NOT_DELETED,
            )
        if "shard" in record:
            part = shown(str(record["shard"]))
            raise UsageError(
                f"the stream is shard {part} of its items, and says nothing of the others",
                f"{NOT_DELETED} Leave out --sync for shards; when all are in, "
                "`mmr embed --skip-indexed INDEX FOLDER... | mmr index INDEX --sync` deletes what is gone.",
            )
        self.roots += [absolute("/", root) or root for root in roots]
        self._since_eof = 0
        self.ends += 1

    def finish(self) -> None:
        """Raise `StreamError` when the stream broke off before its eof record."""
        if self.ends == 0 or self._since_eof:
            after = f" after the last {self._since_eof:,} records" if self._since_eof else ""
            raise StreamError(f"the stream broke off: it has no eof record{after}", NOT_DELETED)


def _is_absolute(root: Any) -> bool:
    return isinstance(root, str) and root.startswith("/")


class Found(Generic[Key]):
    """Items under the roots: how many each root has, how many of them go, and which (their keys and ids)."""

    def __init__(self) -> None:
        self.held: Counter[str] = Counter()
        self.gone: Counter[str] = Counter()
        self.keys: list[Key] = []
        self.names: list[str] = []
        self.total = 0

    def tell(self, going: Going | None) -> None:
        """Tell the id of every item that goes."""
        if going is not None:
            for name in self.names:
                going(name)


def _paths(changer: Upserter) -> Iterator[tuple[int, str, str | None]]:
    """The place, the id and the picture's absolute path of every item that has a picture."""
    statement = "SELECT place, id, image, base FROM items WHERE image IS NOT NULL ORDER BY place"
    rows: Iterable[Sequence[Any]] = changer.connection.execute(statement)
    for key, name, image, base in rows:
        yield key, name, changer.bases.path(base, name if image == SAME_AS_ID else image)


def gone_of(items: Iterable[tuple[Key, str, str | None]], watch: Watch) -> Found[Key]:
    """Find the items under the roots, and those that the stream did not name.

    items  key, id and the picture's absolute path of each
    """
    found: Found[Key] = Found()
    roots = [(root, under(root)) for root in dict.fromkeys(watch.roots)]
    for key, name, path in items:
        if path is None:
            continue
        mine = [root for root, starts in roots if path == root or path.startswith(starts)]
        if not mine:
            continue
        found.total += 1
        found.held.update(mine)
        if path not in watch.paths and name not in watch.ids:
            found.gone.update(mine)
            found.keys.append(key)
            found.names.append(name)
    return found


def under(root: str) -> tuple[str, ...]:
    """The beginnings of paths that lie under a root: below a folder, or inside a tar.

    >>> under("/pics"), under("/a.tar")
    (('/pics/',), ('/a.tar/', '/a.tar#'))
    """
    below = root if root.endswith("/") else root + "/"
    return (below, f"{root}#") if root.endswith(".tar") else (below,)


def refuse(found: Found[Any], max_delete: float, index: str, new: int) -> None:
    """Raise `BadDataError` where so much would go that something else is probably wrong.

    new  items that the stream has just brought
    """
    going = len(found.keys)
    if not going or max_delete >= 1:
        return
    name = shown(index)
    fix = f"{NOT_DELETED} --dry-run lists the items; if they are really gone, say --max-delete 1."
    for root, held in found.held.items():
        if found.gone[root] == held:
            raise BadDataError(
                f"{name} has {held:,} items under {shown(root)}, and the stream named none of them", fix
            )
    before = found.total - new
    if going > max_delete * before:
        raise BadDataError(
            f"{going:,} of the {before:,} items that {name} had under the roots would go, "
            f"more than the share {max_delete:g} that --max-delete allows", fix,
        )  # fmt: skip
