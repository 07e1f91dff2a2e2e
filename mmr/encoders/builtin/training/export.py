"""Stage `export`: gather the towers, round them, and write the two files that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmr.encoders.builtin.architecture import SHARED_BLOCKS
from mmr.encoders.builtin.weights import FloatArray, Weights, fingerprint

from . import network, packing

RULES = "wordpiece uncased, emoji by name, at most 512 pieces"
LIMIT = 20_000_000  # bytes; the project's limit for the file


def _split(published: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Name the published network's tensors by tower: shared first blocks, `photo` for the rest."""
    out = {}
    for name, array in published.items():
        front = name.split(".")[0]
        early = front == "stem" or (front.isdigit() and int(front) < SHARED_BLOCKS)
        out[f"{'shared' if early else 'photo'}.{name}"] = array
    return out


def export(work: Path, folder: Path) -> None:
    """Write `weights.safetensors` and `vocabulary.txt` into `folder`.

    Reads text, languages, draw and photographs (.safetensors) and vocabulary.txt from `work`. Raises
    ValueError when the file would be larger than 20 MB.
    """
    text, languages = Weights(work / "text.safetensors"), Weights(work / "languages.safetensors")
    tensors: dict[str, packing.Stored] = {
        name: table.tensor(name) for table in (text, languages) for name in table.names()
    }
    made: dict[str, FloatArray] = _split(network.folded())
    draw, photographs = Weights(work / "draw.safetensors"), Weights(work / "photographs.safetensors")
    made.update({f"draw.{name}": draw.tensor(name) for name in draw.names()})
    made.update({name: photographs.tensor(name) for name in photographs.names()})
    for kind in ("weight", "bias"):
        added = made.pop(f"added.{kind}")
        made[f"photo.classifier.{kind}"] = np.concatenate([made[f"photo.classifier.{kind}"], added], axis=-1)
    for name, array in made.items():
        tensors.update(packing.stored(name, array))
    vocabulary = (work / "vocabulary.txt").read_bytes()
    metadata = {"rules": RULES, "dim": str(text.tensor("text.table").shape[1]), "format": "np"}
    path = work / "weights.safetensors"
    packing.write(tensors, metadata, path)
    metadata["fingerprint"] = fingerprint(Weights(path), vocabulary)
    packing.write(tensors, metadata, path)
    size = path.stat().st_size
    if size > LIMIT:
        raise ValueError(f"the weights take {size} bytes; at most {LIMIT} may ship")
    (folder / "vocabulary.txt").write_bytes(vocabulary)
    part = folder / "weights.part"
    part.write_bytes(path.read_bytes())
    part.rename(folder / "weights.safetensors")
    print(f"export: {size} bytes, fingerprint {metadata['fingerprint']}")
