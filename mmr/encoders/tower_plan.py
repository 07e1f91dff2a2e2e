"""What an open_clip model's towers are, read from the modules that torch runs; no guess from a name.

A tower is plain when every part of it is one that `mmr.encoders.tower` computes. Anything else raises
`NotPlain` with the reason, and torch stays in charge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmr.encoders.tower import ImageShape, TextShape
from mmr.errors import UnavailableError

if TYPE_CHECKING:
    import torch

APART = ("visual.", "logit_scale", "logit_bias")  # of a model without a text module of its own


class NotPlain(UnavailableError):  # noqa: N818 - a tower is not plain; nothing is broken
    """A tower that only torch can run; `what` is the reason."""


def text_shape(model: torch.nn.Module) -> TextShape:
    """Return what the text tower of a CLIP, SigLIP or MobileCLIP model is; raises `NotPlain`."""
    import torch

    tower: Any = getattr(model, "text", model)
    if not hasattr(tower, "token_embedding") or not hasattr(tower, "ln_final"):
        raise NotPlain("its text tower is one of Hugging Face")
    if getattr(tower, "cls_emb", None) is not None:
        raise NotPlain("its text tower appends a class token (CoCa)")
    if getattr(tower, "use_pad_mask", False):
        raise NotPlain("its text tower masks padding")
    layers, heads, hidden, activation, epsilon = blocks(tower.transformer)
    table, positions = tower.token_embedding.weight, tower.positional_embedding
    project = tower.text_projection
    if project is None:
        kind, dim = "none", table.shape[1]
    elif isinstance(project, torch.nn.Linear):
        kind, dim = "linear" if project.bias is None else "linear+bias", project.out_features
    else:
        kind, dim = "matrix", project.shape[1]
    if norm_epsilon(tower.ln_final) != epsilon:
        raise NotPlain("its norms differ")
    pooling = getattr(tower, "text_pool_type", getattr(tower, "pool_type", "none"))
    if pooling not in ("argmax", "eos", "last", "first"):
        raise NotPlain(f"its text tower pools by {pooling!r}")
    return TextShape(
        width=table.shape[1], heads=heads, layers=layers, hidden=hidden, context=positions.shape[0],
        vocabulary=table.shape[0], dim=int(dim), activation=activation, epsilon=epsilon,
        mask=mask_of(tower.attn_mask), pooling=pooling,
        end=int(getattr(tower, "text_eos_id", getattr(tower, "eos_id", -1))), projection=kind,
    )  # fmt: skip


def image_shape(model: torch.nn.Module) -> ImageShape:
    """Return what the image tower is; raises `NotPlain` for timm's, ResNets and pooling by attention."""
    import torch
    from open_clip.transformer import VisionTransformer

    tower: Any = getattr(model, "visual", None)
    if type(tower) is not VisionTransformer:
        raise NotPlain(f"its image tower is {type(tower).__name__}")
    if tower.attn_pool is not None or tower.pool_type not in ("tok", "avg") or tower.proj is None:
        raise NotPlain("its image tower pools by attention")
    sides, patches = set(tower.image_size), set(tower.patch_size)
    if len(sides) != 1 or len(patches) != 1:
        raise NotPlain("its pictures are not square")
    layers, heads, hidden, activation, epsilon = blocks(tower.transformer)
    before = not isinstance(tower.ln_pre, torch.nn.Identity)
    if {norm_epsilon(tower.ln_post), norm_epsilon(tower.ln_pre) if before else epsilon} != {epsilon}:
        raise NotPlain("its norms differ")
    return ImageShape(
        width=tower.conv1.out_channels, heads=heads, layers=layers, hidden=hidden, side=sides.pop(),
        patch=patches.pop(), dim=tower.proj.shape[1], activation=activation, epsilon=epsilon,
        norm_before=before, pooling=tower.pool_type, norm_after=bool(tower.final_ln_after_pool),
    )  # fmt: skip


def blocks(transformer: Any) -> tuple[int, int, int, str, float]:
    """Return layers, heads, hidden width, activation and epsilon that all blocks share."""
    import torch
    from open_clip.transformer import ResidualAttentionBlock

    found = set()
    for block in transformer.resblocks:
        plain = type(block) is ResidualAttentionBlock and not hasattr(block, "ln_1_kv")
        scaled = plain and not (
            isinstance(block.ls_1, torch.nn.Identity) and isinstance(block.ls_2, torch.nn.Identity)
        )
        attention: Any = getattr(block, "attn", None)
        if not plain or scaled or type(attention) is not torch.nn.MultiheadAttention:
            raise NotPlain("its blocks have parts of their own (norms or scales inside)")
        epsilons = {norm_epsilon(block.ln_1), norm_epsilon(block.ln_2)}
        hidden = block.mlp.c_fc.out_features
        found.add((attention.num_heads, hidden, activation_of(block.mlp.gelu), *epsilons))
    if len(found) != 1 or len(shared := found.pop()) != 4:
        raise NotPlain("its blocks differ")
    heads, hidden, activation, epsilon = shared
    return len(transformer.resblocks), heads, hidden, activation, epsilon


def activation_of(layer: Any) -> str:
    """The name of an activation, by the class that computes it."""
    import torch
    from open_clip.transformer import QuickGELU

    if type(layer) is QuickGELU:
        return "quick_gelu"
    if type(layer) is torch.nn.GELU:
        return "gelu_tanh" if layer.approximate == "tanh" else "gelu"
    raise NotPlain(f"its activation is {type(layer).__name__}")


def norm_epsilon(norm: Any) -> float:
    """What a layer norm adds to the variance; raises `NotPlain` for another norm."""
    import torch

    if not isinstance(norm, torch.nn.LayerNorm) or norm.weight is None or norm.bias is None:
        raise NotPlain(f"it has a norm of its own: {type(norm).__name__}")
    return float(norm.eps)


def mask_of(mask: torch.Tensor | None) -> str:
    """The kind of a mask: "causal" or "none"."""
    from mmr.encoders.open_clip_texts import is_causal

    if mask is None:
        return "none"
    if not is_causal(mask):
        raise NotPlain("its attention mask is of its own kind")
    return "causal"


def text_state(model: torch.nn.Module) -> dict[str, Any]:
    """The tensors (NumPy, float32, contiguous) of the text tower by name, under `text.`."""
    tower: Any = getattr(model, "text", model)
    apart = () if hasattr(model, "text") else APART
    return {
        f"text.{name}": tensor.detach().float().cpu().contiguous().numpy()
        for name, tensor in tower.state_dict().items()
        if not name.startswith(apart)
    }
