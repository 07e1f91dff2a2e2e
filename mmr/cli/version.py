"""What `mmr --version --verbose` lists: libraries, BLAS, threads and broken plug-ins."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = (
    "click", "rich", "orjson", "numpy", "pillow", "faiss-cpu", "scipy", "safetensors",
    "torch", "open_clip_torch", "tokenizers", "pillow-heif",
)  # fmt: skip


def facts() -> Iterator[tuple[str, str]]:
    """Yield (name, value) pairs, one a line of the report."""
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for library in LIBRARIES:
        try:
            yield library, version(library)
        except PackageNotFoundError:
            yield library, "not installed"
    yield "blas", _blas()
    yield "processors", f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}"
    yield "blas threads", os.environ.get("OPENBLAS_NUM_THREADS", "the library's own choice")
    yield from _plug_ins()


def _blas() -> str:
    import numpy as np

    found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}"


def _plug_ins() -> Iterator[tuple[str, str]]:
    from mmr.compose.table import plug_ins as compositions
    from mmr.encoders.table import plug_ins as encoders
    from mmr.evaluate.plugins import plug_ins as measures
    from mmr.normalize.table import plug_ins as corrections
    from mmr.rerank.table import plug_ins as rerankers

    for name, problem in (*encoders(), *compositions(), *measures(), *corrections(), *rerankers()):
        yield f"plug-in {name}", problem or "loads"
