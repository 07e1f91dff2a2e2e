"""Find pictures: files, folders and tars, in one order that does not depend on the file system."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import translate
from typing import NamedTuple

from mmr.errors import BadItem, Reject, shown
from mmr.pictures.read import Member, members, reason, unreadable
from mmr.stream.records import normal_path

SUFFIXES = frozenset((
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "webp", "avif", "heic", "heif", "hif", "bmp", "dib",
    "tif", "tiff", "jp2", "j2k", "jpx", "ppm", "pgm", "pbm", "pnm", "ico", "tga", "qoi", "pcx", "psd", "svg",
    "svgz",
))  # fmt: skip
COMMON = frozenset((".jpg", ".png", ".JPG", ".PNG", "jpeg", "webp"))
KIND, REGULAR = 0o170000, 0o100000  # of st_mode


class Found(NamedTuple):
    """A picture that a walk came across.

    path      as given and normalised; of a tar's member `shard.tar#member.jpg`
    absolute  the same from the root of the file system
    size      bytes, or None where the file could not be asked (reading it says why)
    mtime     seconds since 1970
    place     where a tar holds it
    """

    path: str
    absolute: str
    size: int | None
    mtime: float
    place: Member | None = None


class Walk:
    """Finds pictures: `find` yields them in the order of its paths, and within a folder by name.

    include       globs; with any, only names that match one count, and the ending does not matter
    exclude       globs of names, or of whole paths where they hold a slash; a folder's name cuts it off
    skip_folders  absolute paths of folders to leave out

    Names that start with a dot, and folders `*.mmr`, are left out unless they are named. A link to
    a file counts as a file; a linked folder is walked once, and only when no walked folder holds it anyway.
    What cannot be listed goes to `reject`, and `failed` becomes true: then the walk has not seen everything.

    While it goes on: `roots`, the absolute paths of folders and tars that were named; `left_out`, how many
    files had endings of no picture, by ending.
    """

    def __init__(
        self, *, include: Sequence[str] = (), exclude: Sequence[str] = (),
        skip_folders: Iterable[str] = (), reject: Reject,
    ) -> None:  # fmt: skip
        self._include = _matcher(include)
        self._exclude = _matcher(exclude)
        self._globs = bool(include or exclude)
        self._skip = frozenset(skip_folders)
        self._reject = reject
        self._here = os.getcwd()
        self._seen: set[tuple[int, int]] = set()
        self._real_roots: list[str] = []
        self.failed = False
        self.roots: list[str] = []
        self.left_out: Counter[str] = Counter()

    def find(self, paths: Iterable[str]) -> Iterator[Found]:
        """Yield the pictures of files, folders (with all below them) and tars, also tars in folders."""
        for given in paths:
            path = normal_path(given)
            if self._writable(path):
                yield from self._named(path)
            else:
                self.failed = True

    def _named(self, path: str) -> Iterator[Found]:
        """A path that the user named: it counts whatever its ending is."""
        absolute = self.absolute(path)
        try:
            state = os.stat(path)
        except OSError as error:
            if os.path.lexists(path) or ".tar#" in path.lower():
                yield Found(path, absolute, None, 0.0)
            else:
                self._fail(unreadable(path, *reason(error)))
            return
        if self._unwanted(
            path, os.path.basename(path), always=stat.S_ISDIR(state.st_mode) or path.lower().endswith(".tar")
        ):
            return
        if stat.S_ISDIR(state.st_mode):
            if os.path.exists(os.path.join(path, "catalogue.sqlite")):
                fix = f"`mmr index {shown(path)} --dump` gives its records"
                self._fail(unreadable(path, "is an index, not a folder of pictures", fix))
                return
            self.roots.append(absolute)
            self._real_roots.append(os.path.realpath(path))
            self._seen.add((state.st_dev, state.st_ino))
            yield from self._below(path, absolute)
        elif path.lower().endswith(".tar") and stat.S_ISREG(state.st_mode):
            self.roots.append(absolute)
            yield from self._tar(path, absolute)
        else:
            yield Found(path, absolute, state.st_size, state.st_mtime)

    def absolute(self, path: str) -> str:
        """Return a path from the root of the file system, as the index writes it: links are not followed."""
        return os.path.normpath(os.path.join(self._here, path))

    def _below(self, top: str, absolute: str) -> Iterator[Found]:
        """Everything below a folder; a stack, so that no depth is too deep.

        Its loop runs once a file: what costs a call there costs a tenth of all work on unchanged folders.
        """
        stack = [(self._listed(top), "" if top == "." else top.rstrip("/") + "/", absolute.rstrip("/") + "/")]
        while stack:
            entries, prefix, start = stack[-1]
            for key, entry in entries:
                if key[-1] == "/":
                    name = key[:-1]
                    if self._enters(entry, prefix + name, start + name):
                        stack.append((self._listed(prefix + name), prefix + key, start + key))
                        break
                    continue
                path = prefix + key
                if (self._globs or key[-4:] not in COMMON or not key.isascii()) and not self._counts(
                    key, path
                ):
                    continue
                try:
                    state = entry.stat()
                except OSError:
                    yield Found(path, start + key, None, 0.0)
                    continue
                if state.st_mode & KIND != REGULAR:
                    yield Found(path, start + key, None, 0.0)
                elif key[-4:].lower() == ".tar":
                    yield from self._tar(path, start + key)
                else:
                    yield Found(path, start + key, state.st_size, state.st_mtime)
            else:
                stack.pop()

    def _listed(self, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """The entries of a folder by the bytes of their paths: a folder's name ends in a slash."""
        entries: dict[str, os.DirEntry[str]] = {}
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    try:
                        is_folder = entry.is_dir()
                    except OSError:  # a link that leads round in a circle
                        is_folder = False
                    entries[entry.name + "/" if is_folder else entry.name] = entry
        except OSError as error:
            self._fail(unreadable(folder, *reason(error)))
        return iter([(key, entries[key]) for key in sorted(entries) if key[0] != "."])

    def _enters(self, entry: os.DirEntry[str], path: str, absolute: str) -> bool:
        """Whether a folder inside a folder is walked."""
        left_out = entry.name.endswith(".mmr") or absolute in self._skip
        if left_out or self._unwanted(path, entry.name, always=True) or not self._writable(path):
            return False
        if entry.is_symlink():
            real = os.path.realpath(path)
            for root in self._real_roots:
                below = real[len(root) :] if (real + "/").startswith(root.rstrip("/") + "/") else None
                if below is not None and "/." not in below and ".mmr/" not in below + "/":
                    return False
        try:
            state = entry.stat()
        except OSError as error:
            self._fail(unreadable(path, *reason(error)))
            return False
        identity = (state.st_dev, state.st_ino)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True

    def _counts(self, name: str, path: str, inside: bool = False) -> bool:
        """Whether a file in a folder, or `inside` a tar, is one that is wanted."""
        if self._include is None:
            ending = name.rpartition(".")[2].lower()
            if ending not in SUFFIXES and (ending != "tar" or inside):
                self.left_out["." + ending if "." in name else "no ending"] += 1
                return False
        tar = not inside and name[-4:].lower() == ".tar"
        if self._globs and self._unwanted(path, name, always=tar):
            return False
        return name.isascii() or self._writable(path)

    def _writable(self, path: str) -> bool:
        """Whether a stream can hold the path; one that it cannot is reported."""
        try:
            path.encode()
        except UnicodeEncodeError:
            self._reject(unreadable(path, "its name is not UTF-8, as names in a stream must be", "rename it"))
            return False
        return True

    def _unwanted(self, path: str, name: str, always: bool = False) -> bool:
        """Whether the globs leave a name out; with `always` (a folder, a tar) only `exclude` can."""
        if self._exclude is not None and self._exclude(name, path):
            return True
        return self._include is not None and not always and not self._include(name, path)

    def _tar(self, path: str, absolute: str) -> Iterator[Found]:
        """The pictures in a tar, in its order; nothing is unpacked."""
        import tarfile

        try:
            with tarfile.open(path, "r:") as tar:
                for name, place, problem in members(tar):
                    whole = f"{path}#{name}"
                    if "/." in f"/{name}" or not self._counts(os.path.basename(name), whole, inside=True):
                        continue
                    if problem:
                        self._reject(unreadable(whole, problem))
                    else:
                        yield Found(whole, f"{absolute}#{name}", place.size, place.mtime, place)
        except tarfile.TarError as error:
            what = f"cannot be read to its end as a tar ({shown(str(error))})"
            self._fail(unreadable(path, what, "a compressed tar must be unpacked first"))
        except OSError as error:
            self._fail(unreadable(path, *reason(error)))

    def _fail(self, item: BadItem) -> None:
        self.failed = True
        self._reject(item)


def _matcher(globs: Sequence[str]) -> Callable[[str, str], bool] | None:
    """Make a test of (name, path) that one of the globs matches; None of no globs."""
    if not globs:
        return None
    names = [translate(glob) for glob in globs if "/" not in glob]
    paths = [translate(normal_path(glob)) for glob in globs if "/" in glob]
    name_matches = re.compile("|".join(names) or "(?!)").match
    path_matches = re.compile("|".join(paths) or "(?!)").match
    return lambda name, path: bool(name_matches(name) or path_matches(path))
