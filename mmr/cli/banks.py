"""Banks by name: a file of vectors, or the words that ship with mmr, embedded by the index's model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mmr.cli.report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from mmr.cli.encoders import Encoders
    from mmr.index import AnyIndex
    from mmr.normalize.bank import Bank
    from mmr.stream.records import Record

Embed = Callable[[Iterable["Record"]], Iterator["Record"]]
Source = tuple[str, list["Record"]]
AT_ONCE = 256  # records between two words of progress


def embedder(encoders: Encoders, templates: tuple[str, ...]) -> Embed:
    """A function that gives vectors to words and pictures, as `mmr query` does; a bad one is an error."""

    def embed(records: Iterable[Record]) -> Iterator[Record]:
        from mmr.compose.weighted import weighted
        from mmr.embed.item import Wanted
        from mmr.embed.pipeline import embed_records
        from mmr.errors import raise_item

        asked = list(records)
        encoder = encoders.of(any("image" in record for record in asked))
        made = Wanted(compose=weighted, templates=templates, facts=False)
        return embed_records(asked, encoder, made, reject=raise_item)

    return embed


def read(bank: str, index: AnyIndex, model: str | None, embed: Embed, templates: tuple[str, ...],
         report: Report) -> Bank:  # fmt: skip
    """Read a bank: `words` and `words:en,de` are what ships, anything else is a file of vectors.

    model  what vectors without a model are of, or None
    """
    from mmr.normalize.bank import read_bank
    from mmr.normalize.words import named

    languages = named(bank)
    if languages is not None:
        return _words(languages, index, embed, templates, report)
    found = read_bank(bank)
    stated = found.model or model or ("no stated model" if index.meta.model else None)
    return found._replace(model=stated)


def check_apart(bank: Bank, index: AnyIndex) -> None:
    """Raise `BadDataError` where pictures of a bank are items of the index, by digest or path."""
    from mmr.errors import BadDataError, shown

    same = index.count_named(bank.pictures)
    if same:
        raise BadDataError(
            f"{same:,} items of {shown(index.path.name)} are pictures of the bank {shown(bank.name)}, by "
            "digest or path: they alone would be pushed down",
            "Take others, or fit with --force.",
        )


def _words(
    languages: list[str], index: AnyIndex, embed: Embed, templates: tuple[str, ...], report: Report
) -> Bank:
    """The words that ship, embedded with the model of the index; their vectors are kept in the cache."""
    import numpy as np

    from mmr.normalize.bank import SHIPPED, bank_of_words
    from mmr.normalize.words import everyday
    from mmr.stream.records import Record

    texts = everyday(languages)
    cache = _cache(index, texts, templates)
    rows = _kept(cache, (len(texts), index.meta.dim))
    if rows is None:
        asked = [Record({"id": f"w{i}", "text": text}) for i, text in enumerate(texts)]
        with report.progress("words", len(texts)) as advance:
            found = []
            for start in range(0, len(asked), 256):
                found += [record["vector"] for record in embed(asked[start : start + 256])]
                advance(len(asked[start : start + 256]))
        rows = np.stack(found).astype(np.float32)
        _keep(cache, rows)
    return bank_of_words(texts, rows, index.meta.model, f"{SHIPPED} ({', '.join(languages)})")


def both(
    bank: str, model: str, target_model: str | None, index: str | None, templates: tuple[str, ...],
    report: Report,
) -> tuple[Source, Source]:  # fmt: skip
    """Words (or pictures) of a bank, embedded by two models, paired by id.

    target_model, index  name the second; where both do they must agree
    """
    from contextlib import ExitStack

    from mmr.cli.encoders import Encoders
    from mmr.index import open_any
    from mmr.normalize.words import everyday, named
    from mmr.stream.records import Place, Record

    languages = named(bank)
    if languages is None:
        asked, name = _bare(bank), "stdin" if bank == "-" else bank.rpartition("/")[2]
    else:
        name = f"the words of mmr ({', '.join(languages)})"
        asked = [Record({"id": f"w{i}", "text": text}, Place(name, i + 1))
                 for i, text in enumerate(everyday(languages))]  # fmt: skip
    found: list[Source] = []
    with ExitStack() as stack:
        opened: AnyIndex | None = None
        if index is not None:
            opened = open_any(index)
            stack.push(opened)
        encoders = (Encoders(None, model, "auto", "auto", None, report, stack),
                    Encoders(opened, target_model, "auto", "auto", None, report, stack))  # fmt: skip
        for one in encoders:
            embed = embedder(one, templates)
            with report.progress("items", len(asked)) as advance:
                rows: list[Record] = []
                for start in range(0, len(asked), AT_ONCE):
                    rows += embed([Record(record, record.place) for record in asked[start : start + AT_ONCE]])
                    advance(len(rows) - start)
            found.append((name, rows))
    return found[0], found[1]


def _bare(bank: str) -> list[Record]:
    """The words and pictures of a file, without the vectors that they may have."""
    from mmr.errors import raise_item
    from mmr.stream.read import read_records
    from mmr.stream.records import Record

    names = ("id", "text", "image", "base")
    return [Record({name: record[name] for name in names if name in record}, record.place)
            for record in read_records([bank], reject=raise_item)]  # fmt: skip


def _cache(index: AnyIndex, texts: list[str], templates: tuple[str, ...]) -> Path | None:
    """Where the vectors are kept: by the model's fingerprint, the texts and the templates."""
    from hashlib import sha256

    from mmr.encoders.weights import cache_folder
    from mmr.index.check import tower_kind

    if index.meta.model is None or "#" not in index.meta.model:
        return None
    about = [index.meta.model.rpartition("#")[2], tower_kind(index), *templates, "", *texts]
    name = sha256("\n".join(about).encode()).hexdigest()[:32]
    return cache_folder() / "banks" / f"{name}.npy"


def _kept(path: Path | None, shape: tuple[int, int]) -> Any:
    """The vectors that an earlier run left; None where there are none of that shape."""
    import numpy as np

    if path is None or not path.is_file():
        return None
    with suppress(ValueError, OSError, EOFError):
        rows = np.load(path, allow_pickle=False)
        if rows.shape == shape and rows.dtype == np.float32 and np.isfinite(rows).all():
            return rows
    return None


def _keep(path: Path | None, rows: Any) -> None:
    """Leave the vectors for the next run; a cache that cannot be written is done without."""
    import numpy as np

    from mmr.errors import OutputError
    from mmr.stream.files import whole_file

    if path is not None:
        with suppress(OSError, OutputError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                np.save(file, rows, allow_pickle=False)
