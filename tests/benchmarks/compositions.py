"""Composed queries measured from the command line: compose, query, eval, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import program_environment

CUTS = (1, 5, 10)


def shell(line: str, folder: Path) -> str:
    """What a line of bash writes; a status other than 0 is an error."""
    import subprocess

    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, env=program_environment(),
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def bind(folder: Path, **sources: str) -> None:
    """Embed fields of q.jsonl into its bindings, with the model of pics.mmr: t_c="text:edited"."""
    binds = " ".join(f"--bind {name}={source}" for name, source in sources.items())
    line = f"mmr embed q.jsonl {binds} -q --queries --model-of pics.mmr --vector-format base64 > b.jsonl"
    shell(f"{line} && mv b.jsonl q.jsonl", folder)


def hits(composition: str, folder: Path, more: str = "", depth: int = 10) -> None:
    """Write into hits.jsonl what a composition of q.jsonl finds in pics.mmr."""
    shell(
        f"mmr compose {composition} --from q.jsonl {more} --vector-format base64 | "
        f"mmr query pics.mmr -q -k {depth} --fields id --vector-format base64 > hits.jsonl",
        folder,
    )


def measured(qrels: str, folder: Path, more: str = "") -> list[dict[str, Any]]:
    """What `mmr eval` says of hits.jsonl: hit@1, hit@5, hit@10, one record a figure."""
    wanted = ",".join(f"hit@{k}" for k in CUTS)
    lines = shell(f"mmr eval {qrels} hits.jsonl -q -m '{wanted}' --format jsonl {more}", folder)
    return [json.loads(line) for line in lines.splitlines()]


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Write records as JSONL."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
