"""The table of encoders: one row a kind, the short names, and what is at hand on this machine."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mmr import plugins
from mmr.errors import UnavailableError, UsageError, shown

GROUP = "mmr.encoders"
DEFAULT = "builtin"
WORDS_BY_TORCH = ("coca_", "mt5-", "nllb-clip-", "roberta-", "xlm-roberta-")  # no plain text tower
LIST_COMMAND = "`mmr embed --list-models` lists the models."


class Row(NamedTuple):
    """One kind of encoder.

    name     the whole spec ("builtin"), or a prefix that ends in a colon ("open_clip:")
    loads    "module:function"; called as function(spec, **options), returns an Encoder
    summary  one line for the list
    form     how a spec of this row is written
    options  which of device, precision and threads the function takes
    needs    the extra of the package that it needs, "" for none
    by_user  only a user may name it: a spec that was read from an index runs no program
    """

    name: str
    loads: str
    summary: str
    form: str
    options: tuple[str, ...] = ()
    needs: str = ""
    by_user: bool = False

    def serves(self, spec: str) -> bool:
        """Whether `spec` is of this row."""
        return spec.startswith(self.name) if self.name.endswith(":") else spec == self.name


class Short(NamedTuple):
    """A short name: the spec it stands for, where its weights come from and how much that is.

    repository  on huggingface.co; the folder of its cache tells whether the weights are here
    megabytes   of the download (float32 weights, 1 MB = 10**6 bytes)
    dim         length of a vector
    """

    name: str
    spec: str
    repository: str
    megabytes: int
    dim: int
    summary: str


class Model(NamedTuple):
    """One line of the list of models: what to type, the spec or its form, whether it is here ("state")."""

    name: str
    spec: str
    state: str
    dim: int | None
    megabytes: int | None
    summary: str


ROWS = (
    Row("builtin", "mmr.encoders.builtin:load", "Small, ships with mmr, needs no network.", "builtin",
        ("threads",)),
    Row(
        "open_clip:", "mmr.encoders.open_clip:load",
        "Any model of open_clip, from its table or from a file; words always take torch where MODEL begins "
        f"with {', '.join(WORDS_BY_TORCH)}.",
        "open_clip:MODEL/PRETRAINED or open_clip:MODEL@FILE.safetensors",
        ("device", "precision", "threads"), "clip",
    ),
    Row("cmd:", "mmr.encoders.command:load", "A program of yours that speaks JSONL.",
        "cmd:PROGRAM [ARGUMENT]...", by_user=True),
)  # fmt: skip

SHORT = (
    Short("clip", "open_clip:ViT-B-32/laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
          605, 512, "Photographs; the usual choice."),
    Short("clip-large", "open_clip:ViT-L-14/datacomp_xl_s13b_b90k",
          "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 1711, 768, "Better; 12 times the arithmetic of clip."),
    Short("siglip", "open_clip:ViT-B-16-SigLIP2/webli", "timm/ViT-B-16-SigLIP2",
          1501, 768, "Many languages, finer detail; also needs `pip install transformers`."),
    Short("mobileclip", "open_clip:MobileCLIP2-S2/dfndr2b", "timm/MobileCLIP2-S2-OpenCLIP",
          398, 512, "Small and fast for its quality; Apple's research licence."),
)  # fmt: skip


def resolve(model: str | None) -> str:
    """Return the spec that `model` names: a short name, a spec, or None for $MMR_MODEL, else builtin.

    Raises `UsageError` with the nearest name when no row serves it. A row that a plug-in adds counts;
    plug-ins are looked up only where the table does not know the name.
    """
    name = (model or os.environ.get("MMR_MODEL") or DEFAULT).strip()
    spec = next((short.spec for short in SHORT if short.name == name), name)
    find(spec)
    return spec


def find(spec: str) -> Row:
    """Return the row that serves `spec`; raises `UsageError` with the nearest name when none does."""
    row = next((row for row in ROWS if row.serves(spec)), None)
    row = row or next((row for row, _ in plugged() if isinstance(row, Row) and row.serves(spec)), None)
    if row is None:
        raise unknown(spec)
    if row.name.endswith(":") and not spec.removeprefix(row.name).strip():
        raise UsageError(f"the model {shown(spec)!r} is only a prefix", f"Write {row.form}.")
    return row


def unknown(spec: str) -> UsageError:
    """The error for a spec that no row serves, with the nearest name and any plug-in that is broken."""
    from difflib import get_close_matches

    names = [short.name for short in SHORT] + [row.name for row in ROWS]
    names += [row.name for row, _ in plugged() if isinstance(row, Row)]
    near = get_close_matches(spec, names, n=1) or get_close_matches(spec.split(":")[0] + ":", names, n=1)
    what = f"no such model {shown(spec)!r}"
    if near:
        what += f"; did you mean {near[0]!r}?"
    stem = spec.split(":")[0]
    problem = next((problem for name, problem in plug_ins() if problem and name.rstrip(":") == stem), "")
    if problem:
        what += f"\n  The plug-in {stem!r} cannot be used: {problem}"
    return UsageError(what, LIST_COMMAND)


@cache
def plugged() -> tuple[tuple[Row | str, str], ...]:
    """What entry points of the group `mmr.encoders` add: (row, "") or (name, why it cannot be used)."""

    def taken(name: str) -> bool:
        return any(name.startswith(own.name) or own.name.startswith(name) for own in ROWS)

    return plugins.plugged(GROUP, Row, lambda row: row.name, taken)


def plug_ins() -> Iterator[tuple[str, str]]:
    """Yield every encoder that a plug-in adds: its name, and "" or why it cannot be used."""
    for row, problem in plugged():
        yield (row.name if isinstance(row, Row) else row, problem)


def loader(row: Row) -> object:
    """Import what a row names; raises `UnavailableError` with the reason when that fails."""
    module, _, attribute = row.loads.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        fix = f"Run `pip install 'mmr[{row.needs}]'`." if row.needs else "Install it again, or use another."
        what = f"the encoder {row.name!r} cannot be loaded: {shown(str(error))}"
        raise UnavailableError(what, fix) from error


def list_models() -> list[Model]:
    """Every model that has a name here, and where it stands; imports no model library.

    The state is "built in", "cached here", "needs a download", "needs mmr[clip]", "at hand" (of a prefix),
    "plug-in", or for a broken plug-in "broken: ..." with its reason.
    """
    models = [Model("builtin", "builtin", "built in", None, 0, ROWS[0].summary)]
    for short in SHORT:
        models.append(Model(short.name, short.spec, state(short), short.dim, short.megabytes, short.summary))
    for row in ROWS[1:]:
        ready = "at hand" if not row.needs or installed() else f"needs mmr[{row.needs}]"
        models.append(Model(row.name, row.form, ready, None, None, row.summary))
    for added, problem in plugged():
        if isinstance(added, Row):
            models.append(Model(added.name, added.form, "plug-in", None, None, added.summary))
        else:
            models.append(Model(added, added, f"broken: {problem}", None, None, ""))
    return models


def state(short: Short) -> str:
    """Where the weights of a short name stand: "cached here" or "needs a download"; or what to install."""
    if not installed():
        return "needs mmr[clip]"
    return "cached here" if cached(short.repository) else "needs a download"


def installed() -> bool:
    """Whether the extra `clip` is there; nothing of it is imported."""
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("torch", "open_clip"))


def cached(repository: str) -> bool:
    """Whether the Hugging Face cache holds weights of `repository` ("owner/name")."""
    snapshots = cache_folder() / f"models--{repository.replace('/', '--')}" / "snapshots"
    return any(
        path.exists()
        for pattern in ("*.safetensors", "*.bin", "*.pt", "*.pth")
        for path in snapshots.glob(f"*/{pattern}")
    )


def cache_folder() -> Path:
    """The folder in which huggingface_hub keeps what it has downloaded."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name]).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "hub"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "huggingface" / "hub"
