"""Babel-ImageNet: ImageNet's pictures, named by the classes of one language at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from mmr.errors import BadDataError, UsageError, shown
from mmr.evaluate.protocols.files import expanded, load_bytes, parse_json, put, unknown_file
from mmr.evaluate.protocols.names import Pictures, stem
from mmr.evaluate.protocols.task import Figure, Options, Query, Task, across, by_part
from mmr.evaluate.scored import Scored

MEASURES = ("hit@1",)
T = TypeVar("T")
Classes = Mapping[str, Mapping[int, str]]


def read(paths: Sequence[str], options: Options) -> Task:
    """Read the classes of all languages, and which class each picture is of.

    babel_imagenet.json  {language: [[class numbers, ascending], [names]]}
    labels               lines of a file's name and its class number, `ILSVRC2012_val_00000001.JPEG 65`,
                         or JSON {file: number}

    A question is a picture in a language, `DE/ILSVRC2012_val_00000001`, its answers that language's classes,
    `DE/65`: only pictures of classes that the language has are asked. The figure is hit@1, top-1 accuracy, a
    language, and its mean over languages. Questions are made when they are looked at: two million in all.
    """
    classes: dict[str, dict[int, str]] = {}
    pictures: dict[str, tuple[str, int]] = {}
    for path in expanded(paths, ("babel_imagenet.json", "*val*.txt", "labels*")):
        data = load_bytes(path)
        parsed = parse_json(data, path) if data.lstrip().startswith(b"{") else None
        if parsed is None:
            _labels(path, data, pictures)
        elif not isinstance(parsed, dict) or not parsed:
            raise unknown_file(path, "babel-imagenet", "babel_imagenet.json and labels")
        elif all(type(number) is int for number in parsed.values()):
            for file, number in parsed.items():
                put(pictures, stem(file), (file, number), shown(path))
        else:
            classes |= {language: _classes(path, language, pair) for language, pair in parsed.items()}
    if not classes or not pictures:
        raise UsageError(
            "babel-imagenet needs the classes of languages and the labels of pictures",
            "Name babel_imagenet.json and a file of lines `ILSVRC2012_val_00000001.JPEG 65`.",
        )
    return _task(classes, pictures, options)


def _classes(path: str, language: str, pair: Any) -> dict[int, str]:
    lists = isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, list) and one for one in pair)
    if not lists or len(pair[0]) != len(pair[1]) or not _plain(*pair):
        raise BadDataError(
            f"{shown(path)}: {shown(language)} is not a list of class numbers and one of names",
            "Is it whole?",
        )
    return dict(zip(pair[0], pair[1], strict=True))


def _plain(numbers: Sequence[Any], names: Sequence[Any]) -> bool:
    return all(type(number) is int for number in numbers) and all(isinstance(name, str) for name in names)


def _labels(path: str, data: bytes, pictures: dict[str, tuple[str, int]]) -> None:
    for number, line in enumerate(data.splitlines(), 1):
        if line.isspace() or not line:
            continue
        columns = line.decode(errors="replace").rsplit(None, 1)
        where = f"{shown(path)} line {number}"
        if len(columns) != 2 or not columns[1].isdecimal():
            raise BadDataError(f"{where}: not a file's name and a class number", "Write `NAME.JPEG 65`.")
        put(pictures, stem(columns[0]), (columns[0], int(columns[1])), where)


class _Questions(Mapping[str, T], Generic[T]):
    """Every picture in every language that has its class, `DE/name`; values are made when asked for."""

    def __init__(
        self, classes: Classes, pictures: Mapping[str, tuple[str, int]], value: Callable[[str, int], T]
    ) -> None:
        self._classes = classes
        self._pictures = pictures
        self._value = value
        numbers = [number for _, number in pictures.values()]
        self._length = sum(number in known for known in classes.values() for number in numbers)

    def __getitem__(self, query: str) -> T:
        language, _, name = query.partition("/")
        number = self._pictures[name][1]
        if number not in self._classes[language]:
            raise KeyError(query)
        return self._value(language, number)

    def __iter__(self) -> Iterator[str]:
        for language, known in self._classes.items():
            for name, (_, number) in self._pictures.items():
                if number in known:
                    yield f"{language}/{name}"

    def __len__(self) -> int:
        return self._length


def _task(classes: Classes, pictures: Mapping[str, tuple[str, int]], options: Options) -> Task:
    galleries = {language: {f"{language}/{n}" for n in known} for language, known in classes.items()}
    part = _Questions(classes, pictures, lambda language, _: language)
    return Task(
        said="gallery: the classes of the query's language; hit@1 (top-1 accuracy) each, and their mean",
        qrels=_Questions(classes, pictures, lambda language, number: {f"{language}/{number}": 1}),
        measures=MEASURES, part=part, fields={"lang": part},
        figures=lambda scored: _figures(scored, part),
        queries=lambda: _queries(classes, pictures, options),
        items=lambda: _items(classes),
        among=_Questions(classes, pictures, lambda language, _: galleries[language]), only=True,
        narrow=lambda there: _task({one: classes[one] for one in classes if one in there}, pictures, options),
    )  # fmt: skip


def _figures(scored: Scored, part: Mapping[str, str]) -> list[Figure]:
    figures = by_part(scored, part, MEASURES)
    return figures + (across(figures) if len(figures) > 1 else [])


def _queries(classes: Classes, pictures: Mapping[str, tuple[str, int]], options: Options) -> Iterator[Query]:
    files = Pictures(options.images, stem)
    for language, known in classes.items():
        for name, (file, number) in pictures.items():
            if number in known:
                yield {"id": f"{language}/{name}", "image": files.path(name, file), "lang": language}


def _items(classes: Classes) -> Iterator[Query]:
    for language, known in classes.items():
        for number, name in known.items():
            yield {"id": f"{language}/{number}", "text": name, "lang": language}
