"""Stage `draw`: every drawing as pixels, once, in two memory-mapped arrays.

`coloured.npy` is (n, 112, 112, 4) uint8 (red, green, blue, alpha); `plain.npy`, for icons of one
colour, is (n, 112, 112) uint8, the alpha alone. `drawings.jsonl` says which row is what.
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .sources import Drawing

SIDE = 112


def rasterise(drawing: Drawing, side: int = SIDE) -> Image.Image:
    """Draw one svg or open one PNG as a square RGBA picture with the whole drawing in its middle.

    Raises OSError, ValueError or SyntaxError when it cannot be drawn, or has too many pixels.
    """
    if drawing.png:
        try:
            with Image.open(drawing.png) as file:
                picture = file.convert("RGBA")
        except Image.DecompressionBombError as problem:
            raise ValueError(str(problem)) from None
    else:
        svg = drawing.svg.replace("currentColor", "#000000")
        data = bytes(importlib.import_module("resvg_py").svg_to_bytes(svg_string=svg, width=side))
        picture = Image.open(io.BytesIO(data)).convert("RGBA")
    picture.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    square = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def ink(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Say how dark each pixel of a black drawing is on white paper: (h, w, 4) → (h, w)."""
    light = pixels[:, :, :3].astype(np.float32).mean(2) / 255
    dark: npt.NDArray[np.uint8] = np.rint(pixels[:, :, 3] * (1 - light)).astype(np.uint8)
    return dark


def draw_all(drawings: Iterable[Drawing], folder: Path) -> None:
    """Draw everything into `folder`; a drawing that cannot be drawn is left out and named.

    A folder that is finished stays as it is.
    """
    if (folder / "drawings.jsonl").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    everything = list(drawings)
    shapes = {True: (SIDE, SIDE, 4), False: (SIDE, SIDE)}
    files = {True: folder / "coloured.npy", False: folder / "plain.npy"}
    arrays = {
        kind: np.lib.format.open_memmap(
            files[kind], "w+", np.uint8, (sum(d.coloured is kind for d in everything), *shapes[kind])
        )
        for kind in (True, False)
    }
    used = {True: 0, False: 0}
    part = folder / "drawings.part"
    with part.open("w", encoding="utf8") as rows:
        for number, drawing in enumerate(everything):
            try:
                pixels = np.asarray(rasterise(drawing))
            except (OSError, ValueError, SyntaxError) as problem:
                print(f"draw: {drawing.source} {drawing.key}: {problem}", flush=True)
                continue
            if pixels[:, :, 3].max() == 0:
                continue
            row = used[drawing.coloured]
            used[drawing.coloured] += 1
            arrays[drawing.coloured][row] = pixels if drawing.coloured else ink(pixels)
            record: dict[str, Any] = {
                "source": drawing.source, "key": drawing.key, "name": drawing.name, "words": drawing.words,
                "coloured": drawing.coloured, "row": row,
            }  # fmt: skip
            rows.write(json.dumps(record, ensure_ascii=False) + "\n")
            if number % 5000 == 0:
                print(f"draw: {number} of {len(everything)}", flush=True)
    for array in arrays.values():
        array.flush()
    part.rename(folder / "drawings.jsonl")
