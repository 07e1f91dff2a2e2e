"""The programs and servers of the tests of `programs`, which scorers are too."""

from __future__ import annotations

from tests.programs.conftest import program, serve

__all__ = ["program", "serve"]
