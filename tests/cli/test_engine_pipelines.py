"""The golden cases again, with addresses of engines in the place of folders: the same words, the same ids.

What is compared is what the golden case expects, with the address shown as the folder's name. A folder lists
its items in the order in which they came, an engine by id: cases of lists are compared as sorted lines.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.test_golden import EXPECTED, GOLDEN, plain, run
from tests.index import milvus_server, pg_server

USUAL = (
    "embed-sync-takes-away-what-is-gone", "fit-nnn", "index-other-model", "query-among", "query-exclude",
    "rerank-superglobal",
)  # fmt: skip
MORE = (
    "compose-and-rerank", "compose-query", "index-delete", "embed-again-skips-what-is-indexed",
    "embed-find-print0", "embed-id-stem",
    "embed-index-query", "embed-npy-on-a-pipe", "embed-shard-does-not-sync",
    "embed-skip-indexed-without-an-index", "embed-sync-of-an-empty-root", "fit-bank-is-the-gallery",
    "fit-sweep", "index-again-nothing-changes", "index-bad-lines", "index-delete-dry-run", "index-dump-merge",
    "index-duplicate-ids", "index-get", "index-hnsw", "index-list", "index-missing-file", "index-stdin",
    "index-strict", "index-sync-without-eof", "index-sync-without-roots", "index-upsert", "index-wrong-flags",
    "normalize-apply", "query-base64", "query-where",
    "normalize-apply-new-item", "normalize-export", "query-all-items", "query-bad-lines",
    "query-exclude-self", "query-from-file", "query-from-tsv", "query-min-score", "query-no-model",
    "query-other-model", "query-table-no-terminal", "query-ties", "query-trec", "query-with-vectors",
    "rerank-diversify", "rerank-duplicates", "rerank-explain", "rerank-extract",
    "rerank-hit-that-the-index-lacks", "rerank-other-model", "rerank-research", "show-hits",
)  # fmt: skip
LISTED = re.compile(r"--list|--dump|--all-items")
FOLDER = re.compile(r"\b(\w+)\.mmr\b")
Addressed = Callable[[str], str]


@contextmanager
def _milvus(folder: Path) -> Iterator[Addressed]:
    server = milvus_server.Server(folder)
    try:
        yield server.address
    finally:
        server.kill()


@contextmanager
def _postgresql(folder: Path) -> Iterator[Addressed]:
    with pg_server.server() as server:
        yield server.address


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Addressed]]:
    """The servers that are asked for, each started once."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        running: dict[str, Addressed] = {}

        def of(engine: str) -> Addressed:
            if engine not in running:
                start = {"milvus": _milvus, "postgresql": _postgresql}[engine]
                running[engine] = stack.enter_context(start(tmp_path_factory.mktemp(engine)))
            return running[engine]

        yield of


NOW = {
    "postgresql": USUAL,
    "milvus": ("rerank-superglobal",),
}
CASES = [
    pytest.param(name, engine, marks=() if name in NOW[engine] else pytest.mark.soak)
    for engine in NOW
    for name in (*USUAL, *MORE)
]


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_the_same_comes_out(name, engine, tmp_path, servers) -> None:
    addressed = servers(engine)
    case, folder = GOLDEN / name, tmp_path / "case"
    shutil.copytree(case, folder, ignore=shutil.ignore_patterns("cmd", "in", *EXPECTED))
    names: dict[str, str] = {}

    def address(found: re.Match[str]) -> str:
        stem = found[1]
        names[stem] = addressed(f"{name}_{stem}".replace("-", "_"))
        return f"'{names[stem]}'"

    line = FOLDER.sub(address, (case / "cmd").read_text())
    if "pics" in names:
        run(f"mmr index -q '{names['pics']}' {GOLDEN / 'pics.jsonl'}", folder, b"", check=True)
    stdin = (case / "in").read_bytes() if (case / "in").exists() else b""
    done = run(line, folder, stdin)
    found = [plain(text, folder) for text in (done.stdout, done.stderr)]
    for stem, one in names.items():
        found = [text.replace(one.replace(":@", "@"), f"{stem}.mmr") for text in found]
    expected = [(case / file).read_text() for file in EXPECTED]
    if LISTED.search(line):
        found, expected = (
            ["\n".join(sorted(text.split("\n"))) for text in texts] for texts in (found, expected)
        )
        found += [f"\n{done.returncode}"]
    else:
        found += [f"{done.returncode}\n"]
    assert found == expected
