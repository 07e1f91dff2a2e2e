"""The manifest of an evaluation: what it rests on, and in what two of them differ."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mmr.errors import BadDataError, MissingInputError, shown
from mmr.evaluate.score import Conventions
from mmr.evaluate.scored import Scored

FORM = "mmr-eval-manifest/1"
Manifest = dict[str, Any]


def manifest(
    judgements: Sequence[str], runs: Sequence[Scored], paths: Sequence[str], conventions: Conventions,
    protocol: str | None, models: Mapping[str, Sequence[str]],
) -> Manifest:  # fmt: skip
    """Describe one evaluation: files and their SHA-256, models, conventions, versions, totals.

    Two evaluations of the same files by the same programs give the same manifest: no time is in it. Standard
    input has no hash (null).
    """
    return {
        "form": FORM,
        "protocol": protocol,
        "judgements": {path: digest(path) for path in judgements},
        "runs": {
            run.name: {
                "sha256": digest(path), "ties": run.ties_by, "models": list(models.get(run.name, ())),
                "queries": run.counts._asdict(), "totals": dict(run.totals),
            }
            for run, path in zip(runs, paths, strict=True)
        },
        "conventions": {
            "precision": conventions.precision,
            "over": conventions.over, "judged_only": conventions.judged_only, "gallery": conventions.gallery,
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }  # fmt: skip


PACKAGES = ("mmr", "numpy", "scipy")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def digest(path: str) -> str | None:
    """SHA-256 of a file, or of all files of a folder with their names; None for standard input.

    Raises `MissingInputError` where it cannot be read.
    """
    from pathlib import Path

    if path == "-":
        return None
    whole = hashlib.sha256()
    try:
        if Path(path).is_dir():
            for file in sorted(file for file in Path(path).rglob("*") if file.is_file()):
                whole.update(str(file.relative_to(path)).encode() + b"\0")
                whole.update((digest(str(file)) or "").encode())
        else:
            with open(path, "rb") as stream:
                while part := stream.read(1 << 20):
                    whole.update(part)
    except OSError as error:
        raise MissingInputError(f"{shown(path)}: {error.strerror}", "Check the name.") from error
    return whole.hexdigest()


def written(manifest: Manifest) -> bytes:
    """The manifest as indented JSON, one line a fact, so that `diff` reads it too."""
    import orjson

    return orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_manifest(path: str) -> Manifest | None:
    """Read a manifest; None for a file that is something else. Raises `BadDataError` for a damaged one."""
    import orjson

    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if FORM.encode() not in head:
                return None
            found: Manifest = orjson.loads(head + file.read())
    except OSError:
        return None
    except orjson.JSONDecodeError as error:
        raise BadDataError(f"{shown(path)} is a damaged manifest: {error}", "Write it again.") from None
    return found


def differences(before: Manifest, after: Manifest) -> Iterator[str]:
    """Say in a line each what differs: files, models, conventions, versions, and totals last."""
    yield from _differences("", before, after, skip={"runs"})
    old, new = list(before["runs"].items()), list(after["runs"].items())
    if len(old) != len(new):
        yield f"runs: {len(old)} before, {len(new)} now"
    for (name, run), (other, now) in zip(old, new, strict=False):
        label = f"run {shown(other)}" if name == other else f"run {shown(name)} -> {shown(other)}"
        yield from _differences(label, run, now, skip=set())


def _differences(label: str, old: Any, new: Any, skip: set[str]) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            if name not in skip:
                inner = f"{label}, {name}" if label else name
                yield from _differences(inner, old.get(name), new.get(name), set())
    elif old != new:
        yield f"{label}: {_said(old)} -> {_said(new)}"


def _said(value: Any) -> str:
    """A value of a manifest for people: hashes are cut to twelve digits."""
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    text = str(value)
    return text[:12] if len(text) == 64 else text
