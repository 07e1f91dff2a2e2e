"""Stage `text`: fit the table of word pieces and its small network to the teacher's vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mmr.encoders.builtin.weights import FloatArray

from . import packing, teacher

HIDDEN = 512


class TextTower(nn.Module):  # type: ignore[misc]
    """Sum of piece vectors, unit length times 4, plus a residual network; the same as `..words`."""

    def __init__(self, table: FloatArray) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag.from_pretrained(torch.from_numpy(table), freeze=False, mode="sum")
        self.inner = nn.Linear(table.shape[1], HIDDEN)
        self.outer = nn.Linear(HIDDEN, table.shape[1])
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, pieces: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        """Turn piece numbers (all texts in a row) and their starts (n,) into unit rows (n, 256)."""
        summed = 4 * functional.normalize(self.table(pieces, starts))
        inner = functional.gelu(self.inner(summed), approximate="tanh")
        return functional.normalize(summed + self.outer(inner))


def tokenise(texts: list[str]) -> tuple[list[list[int]], list[str]]:
    """Cut texts into the teacher's pieces, numbered anew by a vocabulary of those that occur."""
    tokenizer = teacher.tokenizer()
    special = set(tokenizer.all_special_ids)
    rows: list[list[int]] = []
    for start in range(0, len(texts), 10_000):
        rows += tokenizer(
            texts[start : start + 10_000], add_special_tokens=False, truncation=True, max_length=62
        )["input_ids"]
    counts = np.bincount(np.concatenate([np.asarray(row, np.int64) for row in rows]))
    kept = [int(i) for i in np.flatnonzero(counts) if int(i) not in special]
    number = {old: new for new, old in enumerate(kept)}
    words = tokenizer.convert_ids_to_tokens(kept)
    return [[number[i] for i in row if i in number] for row in rows], words


def first_table(rows: list[list[int]], vectors: FloatArray, size: int) -> FloatArray:
    """Start each piece at the mean target of the texts that hold it, weighted by rarity and shortness."""
    table = np.zeros((size, vectors.shape[1]), np.float32)
    weight = np.zeros(size, np.float32)
    counts = np.zeros(size, np.float64)
    for row, vector in zip(rows, vectors, strict=True):
        if row:
            share = np.float32(1 / len(row) ** 2)
            table[row] += share * vector
            weight[row] += share
            counts[row] += 1
    rarity = 1e-3 / (1e-3 + counts / counts.sum())
    start: FloatArray = (table / np.maximum(weight, 1e-9)[:, None] * rarity[:, None]).astype(np.float32)
    return start


def _batch(rows: list[list[int]], which: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = [len(rows[i]) for i in which]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    pieces = np.concatenate([np.asarray(rows[i], np.int64) for i in which])
    return torch.from_numpy(pieces), torch.from_numpy(starts.astype(np.int64))


def fit(
    rows: list[list[int]], vectors: FloatArray, size: int, passes: int = 8, batch: int = 2048
) -> TextTower:
    """Fit the tower; loss = 1 - cosine, plus 5 times the squared error of similarities in the batch."""
    torch.manual_seed(0)
    tower = TextTower(first_table(rows, vectors, size))
    usable = np.array([i for i, row in enumerate(rows) if row])
    targets = torch.from_numpy(vectors)
    optimiser = torch.optim.Adam(tower.parameters(), lr=2e-3)
    steps = passes * (len(usable) // batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(1 - step / steps, 0.01))
    rng = np.random.default_rng(0)
    for step in range(steps):
        if step % (len(usable) // batch) == 0:
            order = rng.permutation(usable)
        at = (step % (len(usable) // batch)) * batch
        which = order[at : at + batch].tolist()
        made, target = tower(*_batch(rows, which)), targets[which]
        cosine = (made * target).sum(1).mean()
        half = batch // 2
        pairs = functional.mse_loss(made[:half] @ made[:half].T, target[:half] @ target[:half].T)
        optimiser.zero_grad(set_to_none=True)
        (1 - cosine + 5 * pairs).backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"text: step {step} of {steps}, cosine {cosine.item():.4f}", flush=True)
    return tower


def quantise_rows(table: FloatArray) -> tuple[packing.Stored, packing.Stored]:
    """Round a matrix to int8 with one float16 scale a row: (n, d) → (n, d) int8, (n,) float16."""
    scale = np.maximum(np.abs(table).max(1) / 127, 6e-8).astype(np.float16)
    rounded = np.rint(table / scale.astype(np.float32)[:, None])
    return np.clip(rounded, -127, 127).astype(np.int8), scale


def save(tower: TextTower, words: list[str], work: Path) -> None:
    """Write the tower to `work/text.safetensors` and the vocabulary, one piece a line, beside it."""
    table, scale = quantise_rows(tower.table.weight.detach().numpy())
    tensors: dict[str, packing.Stored] = {"text.table": table, "text.scale": scale}
    for name, layer in (("inner", tower.inner), ("outer", tower.outer)):
        tensors[f"text.{name}.weight"] = layer.weight.detach().numpy().T.astype(np.float16)
        tensors[f"text.{name}.bias"] = layer.bias.detach().numpy()
    (work / "vocabulary.txt").write_text("\n".join(words) + "\n", encoding="utf8")
    packing.write(tensors, {}, work / "text.safetensors")
