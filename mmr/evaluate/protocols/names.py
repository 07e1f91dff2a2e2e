"""How the ids of hits are matched with a benchmark's: a picture is known by its file's name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

from mmr.errors import BadDataError, BadItem, MissingInputError, shown
from mmr.pictures.walk import SUFFIXES

NUMBER = re.compile(r"(?:COCO_\w+_)?(\d+)", re.ASCII)


def same(name: str) -> str:
    """Ids are the benchmark's own."""
    return name


def stem(name: str) -> str:
    """The name of a picture's file without folders and ending; other ids as they are.

    >>> stem("pics/dev/dev-1-0-img0.png"), stem("a.tar#x/b.JPG"), stem("v1.2")
    ('dev-1-0-img0', 'b', 'v1.2')
    """
    last = name.rpartition(".tar#")[2].rpartition("/")[2]
    base, _, ending = last.rpartition(".")
    return base if base and ending.lower() in SUFFIXES else last


def number(name: str) -> str:
    """The number that a file's name is, without leading zeros: COCO's ids; other names as they are.

    >>> number("val2014/COCO_val2014_000000391895.jpg"), number("caption/770337"), number("x7")
    ('391895', '770337', 'x7')
    """
    base = stem(name)
    found = NUMBER.fullmatch(base)
    return str(int(found[1])) if found else base


def kind_and_number(name: str) -> str:
    """COCO's ids with what they name, for pictures and captions have the same numbers.

    >>> kind_and_number("val2014/COCO_val2014_000000391895.jpg"), kind_and_number("caption/770337")
    ('image/391895', 'caption/770337')
    """
    return name if name.startswith("caption/") else f"image/{number(name)}"


class Tails:
    """Finds annotated paths in the ids of hits: folders may stand before them, endings may differ.

    known  paths as annotated, without their endings
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = set(known)
        names = Counter(path.rpartition("/")[2] for path in self._known)
        self._alone = {
            path.rpartition("/")[2]: path for path in self._known if names[path.rpartition("/")[2]] == 1
        }

    def __call__(self, name: str) -> str:
        """The known path that ends the id, the only one of a bare file name; else the id's own path."""
        path = without_ending(name.rpartition(".tar#")[2])
        rest = path
        while rest not in self._known:
            _, slash, rest = rest.partition("/")
            if not slash:
                return self._alone.get(path, path)
        return rest


def without_ending(path: str) -> str:
    """A path without the ending of a picture's file.

    >>> without_ending("train/a.b/x.JPG"), without_ending("train/a.b/x")
    ('train/a.b/x', 'train/a.b/x')
    """
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{stem(name)}"


class Pictures:
    """Where a benchmark's pictures are, so that written queries name them as the index does.

    folder   what `mmr embed` was given; None leaves the paths of the annotation files
    renamed  a path's id in the benchmark
    """

    def __init__(self, folder: str | None, renamed: Callable[[str], str]) -> None:
        self._folder = folder
        self._renamed = renamed
        self._found: dict[str, str] | None = None

    def path(self, name: str, usual: str) -> str:
        """The path of a picture: the file in the folder whose name fits, or without a folder the usual one.

        Raises `BadDataError` when the folder has no such picture, or two, `MissingInputError` when it cannot
        be listed.
        """
        if self._folder is None:
            return usual
        if self._found is None:
            self._found = self._walked(self._folder)
        if name not in self._found:
            raise BadDataError(
                f"{shown(self._folder)} has no picture {shown(name)} ({shown(usual)})",
                "Name the folder that holds the benchmark's pictures with --images.",
            )
        return self._found[name]

    def _walked(self, folder: str) -> dict[str, str]:
        from mmr.pictures.walk import Walk

        def refuse(item: BadItem) -> None:
            raise MissingInputError(f"{item.where}: {item.what}", item.fix)

        found: dict[str, str] = {}
        for picture in Walk(reject=refuse).find([folder]):
            name = self._renamed(picture.path)
            if name in found:
                raise BadDataError(
                    f"{shown(picture.path)} and {shown(found[name])} are both {shown(name)}",
                    "Name the folder that holds each of the benchmark's pictures once.",
                )
            found[name] = picture.path
        return found

    def both(self, name: str, usual: str) -> list[str]:
        """The id and the path of a picture: one of them is what an index knows it by."""
        path = self.path(name, usual)
        return [name] if path == name else [name, path]
