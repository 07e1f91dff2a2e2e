"""Patches of pictures and tokens of words out of an open_clip model, in the space of its one vector.

A patch's vector is what the model's own pooling gives of that patch alone: an average of one; attention over
one key, which is its value; and where a class token is read, the last block with each patch seeing itself
(Zhou et al., Extract Free Dense Labels from CLIP, 2022). A token's is the text tower's output there, behind
the same last norm and projection as the text's own. Whole towers other than these are refused with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.encoders.open_clip_texts import shortened

if TYPE_CHECKING:
    import numpy as np
    import torch


class Patches(NamedTuple):
    """The patches of pictures: rows (n, height * width, d), not normalised, from the upper left."""

    rows: torch.Tensor
    height: int
    width: int


def no_patches(model: Any) -> str:
    """Say why a model has no patches in the space of its vectors; "" where it has."""
    tower = model.visual
    kind = type(tower).__name__
    if kind == "VisionTransformer":
        if tower.proj is None or (tower.attn_pool is None and tower.pool_type not in ("tok", "avg")):
            return "its picture tower does not pool its patches"
        return "its picture tower pools twice by attention" if getattr(tower, "attn_pool_type", "") else ""
    if kind == "ModifiedResNet":
        return ""
    if kind != "TimmModel" or not hasattr(tower.trunk, "forward_head"):
        return f"its picture tower is {kind}, whose patches are not known"
    if "pool" in dict(tower.head.named_children()):
        return "its picture tower pools by attention over the whole picture"
    attends = getattr(tower.trunk, "attn_pool", None) is not None
    if getattr(tower.trunk, "global_pool", "avg") == "token" and not attends:
        return "its picture tower (timm) reads a class token, apart from its patches"
    return ""


def patches(model: Any, pixels: torch.Tensor) -> Patches:
    """Return the patches of pictures (n, 3, height, width) that are ready for the model."""
    tower = model.visual
    kind = type(tower).__name__
    if kind == "VisionTransformer":
        return Patches(_of_transformer(tower, pixels), *tower.grid_size)
    return _of_resnet(tower, pixels) if kind == "ModifiedResNet" else _of_timm(tower, pixels)


def _of_transformer(tower: Any, pixels: torch.Tensor) -> torch.Tensor:
    """The patches of open_clip's own transformer, (n, patches, d)."""
    x = tower._embeds(pixels)
    reads_class = tower.attn_pool is None and tower.pool_type == "tok"
    blocks = list(tower.transformer.resblocks)
    first = tower.transformer.batch_first
    for block in blocks[:-1] if reads_class else blocks:
        x = block(x) if first else block(x.transpose(0, 1)).transpose(0, 1)
    x = x[:, 1:]
    if reads_class:
        alone = x.reshape(-1, 1, x.shape[-1]) if first else x.reshape(1, -1, x.shape[-1])
        x = blocks[-1](alone).reshape(x.shape)
    elif tower.attn_pool is not None:
        x = _attended(tower.attn_pool, x)
    return tower.ln_post(x) @ tower.proj


def _attended(pooler: Any, x: torch.Tensor) -> torch.Tensor:
    """What a pooler by attention gives of each patch alone: its value, whatever is asked for."""
    attention = pooler.attn
    weight, bias = attention.v_proj_weight, attention.in_proj_bias
    if weight is None:
        weight = attention.in_proj_weight[-attention.embed_dim :]
    value = pooler.ln_k(x) @ weight.T
    return attention.out_proj(value if bias is None else value + bias[-attention.embed_dim :])


def _of_resnet(tower: Any, pixels: torch.Tensor) -> Patches:
    """The patches of CLIP's ResNet: the values of its attention pool."""
    x = tower.layer4(tower.layer3(tower.layer2(tower.layer1(tower.stem(pixels)))))
    height, width = x.shape[2:]
    pool = tower.attnpool
    x = x.flatten(2).transpose(1, 2)
    x = x + pool.positional_embedding[1:].to(x.dtype)
    return Patches(pool.c_proj(pool.v_proj(x)), height, width)


def _of_timm(tower: Any, pixels: torch.Tensor) -> Patches:
    """The patches of a model of timm: its own head over each place alone."""
    trunk = tower.trunk
    x = trunk.forward_features(pixels)
    count = len(x)
    if x.ndim == 4:
        last = getattr(trunk, "output_fmt", "NCHW") == "NHWC"
        x = x if last else x.permute(0, 2, 3, 1)
        height, width = x.shape[1:3]
        alone = x.reshape(-1, 1, 1, x.shape[-1])
        alone = alone if last else alone.permute(0, 3, 1, 2)
    else:
        height, width = trunk.patch_embed.grid_size
        before = getattr(trunk, "num_prefix_tokens", 0)
        x = x[:, before:].reshape(-1, 1, x.shape[-1])
        unread = 0 if _reads_prefix(trunk) else before
        alone = x.expand(-1, 1 + unread, -1)  # the pool leaves the first ones out
    rows = tower.head(trunk.forward_head(alone))
    return Patches(rows.reshape(count, height * width, -1), height, width)


def _reads_prefix(trunk: Any) -> bool:
    return bool(getattr(trunk, "pool_include_prefix", False))


def no_words(model: Any, tokenizer: Any) -> str:
    """Say why a model has no tokens of words in the space of its vectors; "" where it has."""
    tower = getattr(model, "text", model)
    if not hasattr(tower, "token_embedding") or not hasattr(tower, "ln_final"):
        return "its text tower is one of Hugging Face, whose pooled output alone is projected"
    if getattr(tower, "cls_emb", None) is not None:
        return "its text tower reads a class token, and its other tokens are for writing captions (CoCa)"
    known = hasattr(tokenizer, "eot_token_id") or hasattr(
        getattr(tokenizer, "tokenizer", None), "eos_token_id"
    )
    return "" if known else f"its tokenizer is {type(tokenizer).__name__}, whose padding is not known"


def real(tokenizer: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Tell which tokens (n, length) are of words: neither start, end nor class, nor padding; bool."""
    import torch

    if hasattr(tokenizer, "eot_token_id"):
        end = (tokens == tokenizer.eot_token_id).int().argmax(dim=-1, keepdim=True)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return (places > 0) & (places < end)
    inner = tokenizer.tokenizer
    names = ("bos", "eos", "cls", "sep", "pad")
    special = [getattr(inner, f"{name}_token_id", None) for name in names]
    special += [0] if getattr(tokenizer, "strip_sep_token", False) else []
    known = torch.tensor([one for one in special if one is not None], device=tokens.device)
    return ~torch.isin(tokens, known)


def words(model: Any, tokenizer: Any, tokens: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """Return the vectors (total, d), not normalised, of the tokens of words, and how many each text has."""
    import torch

    of_words = real(tokenizer, tokens)
    with shortened(model, tokens) as cut:
        tower = getattr(model, "text", model)
        if hasattr(tower, "_embeds"):
            x, mask = tower._embeds(cut)
        else:
            kind = tower.transformer.get_cast_dtype()
            x, mask = tower.token_embedding(cut).to(kind), tower.attn_mask
            x = x + tower.positional_embedding.to(kind)
        x = tower.ln_final(tower.transformer(x, attn_mask=mask))
    of_words = of_words[:, : x.shape[1]]
    rows, project = x[of_words], tower.text_projection
    if isinstance(project, torch.nn.Linear):
        rows = project(rows)
    elif project is not None:
        rows = rows @ project
    return rows, of_words.sum(dim=1).tolist()


def boxes(
    grid: tuple[int, int], size: tuple[int, int], side: tuple[int, int], mode: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each patch shows of a picture (n, 4), and which patches show none of it.

    grid  rows and columns of patches
    size  width and height of the picture
    side  width and height of what the model sees
    mode  how the one becomes the other: "squash", "shortest" (the middle is cut out), "longest" (filled up)

    Boxes are left, top, right and bottom as shares of the picture, cut at its edges.
    """
    import numpy as np

    scales = [wide / full for wide, full in zip(side, size, strict=True)]
    scale = max(scales) if mode == "shortest" else min(scales)
    seen = [1.0, 1.0] if mode == "squash" else [w / (f * scale) for w, f in zip(side, size, strict=True)]
    edges = []
    for share, count in zip(seen, reversed(grid), strict=True):
        edges.append(np.clip(0.5 + share * (np.arange(count + 1) / count - 0.5), 0, 1))
    across, down = edges
    left, top = np.meshgrid(across[:-1], down[:-1])
    right, bottom = np.meshgrid(across[1:], down[1:])
    found = np.stack([left, top, right, bottom], axis=-1).reshape(-1, 4)
    empty = (found[:, 2] <= found[:, 0]) | (found[:, 3] <= found[:, 1])
    return found, empty


def sizes_of(config: dict[str, Any]) -> tuple[tuple[int, int], str]:
    """Width and height of what a model sees, and how a picture becomes it."""
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else size[-2:]
    return (int(width), int(height)), str(config["resize_mode"])


def split(rows: np.ndarray, counts: Sequence[int]) -> list[np.ndarray]:
    """Cut rows (total, d) into those of each item."""
    import numpy as np

    return np.split(rows, np.cumsum(counts[:-1])) if len(counts) else []
