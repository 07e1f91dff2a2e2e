"""`mmr --version`: one line for programs, and with --verbose what a bug report needs."""

from __future__ import annotations

import pytest

from mmr import __version__


def test_the_version_is_one_line(sh):
    done = sh("mmr --version")
    assert (done.lines, done.stderr, done.status) == ([f"mmr {__version__}"], "", 0)


@pytest.mark.parametrize("line", ["mmr --version --verbose", "mmr --verbose --version"])
def test_verbose_names_libraries_blas_threads_and_plug_ins(sh, line, tmp_path):
    (tmp_path / "broken-1.dist-info").mkdir()
    (tmp_path / "broken-1.dist-info" / "METADATA").write_text("Name: broken\nVersion: 1\n")
    (tmp_path / "broken-1.dist-info" / "entry_points.txt").write_text(
        "[mmr.encoders]\nbroken = nowhere:thing\n"
    )
    done = sh(f'export PYTHONPATH="$PYTHONPATH:{tmp_path}"; {line}')
    said = dict(text.split(None, 1) for text in done.lines)
    assert done.status == 0 and said["mmr"] == __version__
    assert {"numpy", "faiss-cpu", "processors"} <= set(said)
    plug_in = next(text for text in done.lines if text.startswith("plug-in"))
    assert "broken" in plug_in and "nowhere" in plug_in
