"""Weights of open_clip on disk: where they are, how they come here, and their hash."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmr.errors import MissingInputError, UnavailableError, shown

PROBE_SECONDS = 5.0
OFFLINE = "Go online, or name a file (`--model open_clip:MODEL@FILE`), or use `--model builtin`."


def locate(table_row: dict[str, Any], spec: str) -> Path:
    """Return the file of one row of open_clip's table of weights, downloading it when it is not here.

    The caches are looked at first, without the network. Raises `UnavailableError` in a few seconds when
    the weights are in none of them and the server does not answer.
    """
    place = table_row.get("hf_hub", "")
    if place:
        repository, _, filename = place.rpartition("/")
        return from_hub(repository, names(filename), spec)
    return from_address(table_row["url"], spec)


def names(filename: str) -> list[str]:
    """The names under which a repository may keep its weights, safetensors first; "" is the default."""
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

    if not filename:
        return [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]
    safe = [str(Path(filename).with_suffix(".safetensors"))] if filename.endswith((".bin", ".pth")) else []
    return [*safe, filename]


def from_hub(repository: str, filenames: list[str], spec: str) -> Path:
    """Return the first of `filenames` that the cache, else huggingface.co, holds for `repository`."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    for filename in filenames:
        here = try_to_load_from_cache(repository, filename)
        if isinstance(here, str):
            return Path(here)
    where = f"{hub()}/{repository}"
    if constants.HF_HUB_OFFLINE:
        raise missing(spec, where, "HF_HUB_OFFLINE is set")
    require_server(hub(), spec, where)
    if sys.stderr is None or not sys.stderr.isatty():
        disable_progress_bars()
    for filename in filenames:
        try:
            return Path(hf_hub_download(repository, filename))
        except LocalEntryNotFoundError as error:
            raise missing(spec, where, first_line(error)) from error
        except EntryNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise missing(spec, where, first_line(error)) from error
    raise missing(spec, where, f"it has none of {', '.join(filenames)}")


def hub() -> str:
    """The address of the hub, or of the mirror that $HF_ENDPOINT names."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def from_address(address: str, spec: str) -> Path:
    """Return the file that open_clip keeps for `address` in ~/.cache/clip, downloading it when needed."""
    from open_clip import download_pretrained_from_url

    here = Path("~/.cache/clip").expanduser() / address.rpartition("/")[2]
    if not here.is_file():
        require_server("/".join(address.split("/")[:3]), spec, address)
    try:
        return Path(download_pretrained_from_url(address))
    except (OSError, RuntimeError) as error:
        raise missing(spec, address, first_line(error)) from error


def require_server(endpoint: str, spec: str, where: str, part: str = "weights") -> None:
    """Raise `UnavailableError` unless `endpoint` answers anything at all within five seconds."""
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise missing(spec, where, first_line(error), part) from error


def missing(spec: str, where: str, reason: str, part: str = "weights") -> UnavailableError:
    """The error for a part of a model that is neither here nor within reach."""
    what = f"{spec} lacks its {part}: they are not on this machine, and {where} cannot be read: {reason}"
    return UnavailableError(what, OFFLINE)


def first_line(error: BaseException) -> str:
    """The first line of what an error says, safe for a terminal; of an error of the system, its words."""
    inner = getattr(error, "reason", error)
    words = str(getattr(inner, "strerror", None) or inner) or type(error).__name__
    return shown(words.splitlines()[0])


def named_file(name: str) -> Path:
    """Return the absolute path of a file of weights; raises `MissingInputError` when it is none."""
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise MissingInputError(f"no weights at {shown(name)}", "Name a file of weights after the @.")
    return path


def file_hash(path: Path) -> str:
    """The SHA-256 of a file in hex, read again only when its size or time has changed.

    Remembered in $XDG_CACHE_HOME/mmr/weights; where that cannot be written, it is computed each time.
    """
    import hashlib

    file = path.resolve()
    status = file.stat()
    now = {"path": str(file), "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    note = cache_folder() / "weights" / f"{hashlib.sha256(os.fsencode(file)).hexdigest()[:32]}.json"
    with suppress(OSError, ValueError, AttributeError, TypeError):
        noted = json.loads(note.read_bytes())
        known = noted.pop("sha256", None)
        if noted == now and isinstance(known, str):
            return known
    with open(file, "rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        temporary = note.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({**now, "sha256": digest}))
        temporary.replace(note)
    return digest


def cache_folder() -> Path:
    """The folder in which mmr keeps what it can compute again."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "mmr"
