"""Texts as open_clip's tokens: which are too long, and a batch cut where that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def too_long(tokenizer: Any, texts: Sequence[str], tokens: torch.Tensor) -> int:
    """How many texts have more tokens than `tokens` (n, length) holds: they differ with room for another."""
    length = tokens.shape[1]
    some = [row for row, text in enumerate(texts) if len(text.encode(errors="replace")) > length - 2]
    if not some:
        return 0
    longer = tokenizer([texts[row] for row in some], context_length=length + 1)
    same = (longer[:, :-1] == tokens[some]).all(dim=1) | (longer[:, 1:] == tokens[some]).all(dim=1)
    return int((~same).sum())


@contextmanager
def shortened(model: Any, tokens: torch.Tensor) -> Iterator[torch.Tensor]:
    """Cut a batch of texts behind its last pooled token, and the model's positions and mask with it.

    Exact where the mask is causal and the vector is read at the end-of-text token: nothing behind that
    token reaches it. Any other text tower gets the tokens as they are.
    """
    import torch

    tower = getattr(model, "text", model)
    pool = getattr(tower, "text_pool_type", getattr(tower, "pool_type", None))
    end = getattr(tower, "text_eos_id", getattr(tower, "eos_id", None))
    mask = getattr(tower, "attn_mask", None)
    if pool == "argmax":
        pooled = tokens.argmax(dim=-1)
    elif pool == "eos":
        pooled = (tokens == end).int().argmax(dim=-1)
    else:
        mask = None
    if mask is None or getattr(tower, "cls_emb", None) is not None or not is_causal(mask):
        yield tokens
        return
    length = int(pooled.max()) + 1
    positions = tower.positional_embedding
    tower.positional_embedding = torch.nn.Parameter(positions[:length], requires_grad=False)
    tower.attn_mask = mask[:length, :length]
    try:
        yield tokens[:, :length]
    finally:
        tower.positional_embedding, tower.attn_mask = positions, mask


def is_causal(mask: torch.Tensor) -> bool:
    """Whether an additive mask (n, n) hides from each position what stands behind it, and nothing else."""
    import torch

    return bool(torch.equal(mask, torch.full_like(mask, float("-inf")).triu_(1)))
