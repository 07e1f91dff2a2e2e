"""The gallery that the demo and the tests search: pictures drawn by code, with captions, questions and edits.

`python -m mmr.demo DIR` writes it; the same Pillow gives the same bytes on every run.
"""

from __future__ import annotations

from pathlib import Path


def draw(directory: Path) -> int:
    """Draw the gallery into a folder and return the number of pictures.

    Raises OSError where the folder cannot be written.
    """
    from mmr.demo import gallery

    return gallery.draw(directory)
