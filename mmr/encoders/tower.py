"""Text towers and plain ViT image towers of open_clip, in NumPy: tokens or pixels in, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from mmr.encoders.transformer import ACTIVATIONS, Block, Floats, Matrix, Norm, run
from mmr.errors import BadDataError, shown

Tokens = npt.NDArray[np.int64]
MASKS = ("causal", "none")
POOLINGS = ("argmax", "eos", "last", "first")
PROJECTIONS = ("matrix", "linear", "linear+bias", "none")
SCALE = ".scale"  # beside an int8 matrix: a number a row
TEXTS = 32  # at a time: 77 tokens of width 768 are then 30 MB in the widest layer
PICTURES = 8
MOST_LAYERS = 256  # the deepest of open_clip has 56; a file that says more is not believed


class Source(Protocol):
    """Where tensors come from."""

    def names(self) -> list[str]: ...

    def shape(self, name: str) -> tuple[int, ...]: ...

    def get(self, name: str) -> np.ndarray: ...


class Stated:
    """What every description of a tower can do."""

    @classmethod
    def read(cls, stated: Mapping[str, Any]) -> Self:
        """Build from what a file states; raises `BadDataError` for a key too many, too few, or of a type."""
        known = {field.name: field.type for field in fields(cls)}  # type: ignore[arg-type]
        strange = sorted(set(stated) ^ set(known))
        if strange:
            raise BadDataError(f"the tower states other things than this mmr knows: {shown(strange[0])}")
        kinds = {"int": int, "float": float, "str": str, "bool": bool}
        for name, kind in known.items():
            if type(stated[name]) is not kinds[str(kind)]:
                raise BadDataError(f"the tower's {name} is {shown(repr(stated[name]), 40)}")
        return cls(**stated)


@dataclass(frozen=True, slots=True)
class TextShape(Stated):
    """What a text tower is, as read from the modules that open_clip built.

    context     positions; vocabulary, rows of the token table; hidden, width of the perceptrons
    dim         d, the length of a vector
    activation  "gelu", "gelu_tanh" or "quick_gelu"
    mask        "causal" or "none"
    pooling     which position is the text's: "argmax" of its tokens, the first "eos", "last", "first"
    end         the eos token
    projection  "matrix" (w, d), "linear" (d, w), "linear+bias", or "none"
    """

    width: int
    heads: int
    layers: int
    hidden: int
    context: int
    vocabulary: int
    dim: int
    activation: str
    epsilon: float
    mask: str
    pooling: str
    end: int
    projection: str


@dataclass(frozen=True, slots=True)
class ImageShape(Stated):
    """What a plain ViT image tower is; `side` and `patch` in pixels, others as in `TextShape`.

    norm_before  a layer norm stands before the blocks
    pooling      "tok" (the class token) or "avg" (the mean of the patches)
    norm_after   the final norm comes after pooling
    """

    width: int
    heads: int
    layers: int
    hidden: int
    side: int
    patch: int
    dim: int
    activation: str
    epsilon: float
    norm_before: bool
    pooling: str
    norm_after: bool


def text_tensors(shape: TextShape, prefix: str) -> dict[str, tuple[int, ...]]:
    """All tensors of a text tower and their shapes, by name."""
    wide, dim = shape.width, shape.dim
    found = {
        f"{prefix}token_embedding.weight": (shape.vocabulary, wide),
        f"{prefix}positional_embedding": (shape.context, wide),
        f"{prefix}ln_final.weight": (wide,), f"{prefix}ln_final.bias": (wide,),
        **block_tensors(shape, prefix),
    }  # fmt: skip
    if shape.projection == "matrix":
        found[f"{prefix}text_projection"] = (wide, dim)
    elif shape.projection.startswith("linear"):
        found[f"{prefix}text_projection.weight"] = (dim, wide)
        if shape.projection == "linear+bias":
            found[f"{prefix}text_projection.bias"] = (dim,)
    return found


def image_tensors(shape: ImageShape, prefix: str) -> dict[str, tuple[int, ...]]:
    """All tensors of an image tower and their shapes, by name."""
    wide, grid = shape.width, shape.side // shape.patch
    found = {
        f"{prefix}conv1.weight": (wide, 3, shape.patch, shape.patch),
        f"{prefix}class_embedding": (wide,), f"{prefix}positional_embedding": (grid * grid + 1, wide),
        f"{prefix}ln_post.weight": (wide,), f"{prefix}ln_post.bias": (wide,),
        f"{prefix}proj": (wide, shape.dim),
        **block_tensors(shape, prefix),
    }  # fmt: skip
    if shape.norm_before:
        found |= {f"{prefix}ln_pre.weight": (wide,), f"{prefix}ln_pre.bias": (wide,)}
    return found


def block_tensors(shape: TextShape | ImageShape, prefix: str) -> dict[str, tuple[int, ...]]:
    """The tensors of the blocks and their shapes, by name."""
    wide, hidden = shape.width, shape.hidden
    found: dict[str, tuple[int, ...]] = {}
    for number in range(shape.layers):
        at = f"{prefix}transformer.resblocks.{number}."
        found |= {
            f"{at}ln_1.weight": (wide,), f"{at}ln_1.bias": (wide,),
            f"{at}attn.in_proj_weight": (3 * wide, wide), f"{at}attn.in_proj_bias": (3 * wide,),
            f"{at}attn.out_proj.weight": (wide, wide), f"{at}attn.out_proj.bias": (wide,),
            f"{at}ln_2.weight": (wide,), f"{at}ln_2.bias": (wide,),
            f"{at}mlp.c_fc.weight": (hidden, wide), f"{at}mlp.c_fc.bias": (hidden,),
            f"{at}mlp.c_proj.weight": (wide, hidden), f"{at}mlp.c_proj.bias": (wide,),
        }  # fmt: skip
    return found


class Reader:
    """Tensors of one tower in a source, under a prefix; every shape is checked when it is made.

    Raises `BadDataError` for a tensor that is missing, one that the tower would leave unread, or a shape
    that is not the one the tower states.
    """

    def __init__(self, source: Source, wanted: Mapping[str, tuple[int, ...]], prefix: str) -> None:
        self._source, self._prefix = source, prefix
        here = {name for name in source.names() if name.startswith(prefix)}
        self._scaled = {name for name in wanted if f"{name}{SCALE}" in here}
        strange = here - set(wanted) - {f"{name}{SCALE}" for name in self._scaled}
        if strange:
            raise BadDataError(f"the tower holds a tensor that would go unread: {shown(min(strange))}")
        for name, shape in wanted.items():
            found = source.shape(name)
            if found != shape:
                raise BadDataError(f"the tower's {name} has the shape {found}, and {shape} is stated")

    def array(self, name: str) -> Floats:
        """One tensor as float32; a mapped view where it is stored so."""
        return self._source.get(self._prefix + name).astype(np.float32, copy=False)

    def matrix(self, name: str) -> Matrix:
        """One matrix as it is stored, with its scale where it has one."""
        name = self._prefix + name
        if name in self._scaled:
            return Matrix(self._source.get(name), self._source.get(f"{name}{SCALE}"))
        return Matrix(self._source.get(name))

    def norm(self, name: str, epsilon: float) -> Norm:
        """One layer norm."""
        return Norm(self.array(f"{name}.weight"), self.array(f"{name}.bias"), epsilon)

    def block(self, number: int, epsilon: float) -> Block:
        """One residual block."""
        at = f"transformer.resblocks.{number}."
        return Block(
            self.norm(f"{at}ln_1", epsilon),
            self.matrix(f"{at}attn.in_proj_weight"), self.array(f"{at}attn.in_proj_bias"),
            self.matrix(f"{at}attn.out_proj.weight"), self.array(f"{at}attn.out_proj.bias"),
            self.norm(f"{at}ln_2", epsilon),
            self.matrix(f"{at}mlp.c_fc.weight"), self.array(f"{at}mlp.c_fc.bias"),
            self.matrix(f"{at}mlp.c_proj.weight"), self.array(f"{at}mlp.c_proj.bias"),
        )  # fmt: skip


class TextTower:
    """Tokens to vectors. Raises `BadDataError` for tensors that are not those of `shape`."""

    def __init__(self, shape: TextShape, source: Source, prefix: str = "text.") -> None:
        check_choice("activation", shape.activation, ACTIVATIONS)
        check_choice("mask", shape.mask, MASKS)
        check_choice("pooling", shape.pooling, POOLINGS)
        check_choice("projection", shape.projection, PROJECTIONS)
        check_heads(shape)
        if shape.projection == "none" and shape.dim != shape.width:
            raise BadDataError(f"the tower has no projection from {shape.width} to {shape.dim} channels")
        self.shape = shape
        self._bend = ACTIVATIONS[shape.activation]
        reader = Reader(source, text_tensors(shape, prefix), prefix)
        self._table = reader.matrix("token_embedding.weight")
        self._positions = reader.array("positional_embedding")
        self._blocks = [reader.block(number, shape.epsilon) for number in range(shape.layers)]
        self._last = reader.norm("ln_final", shape.epsilon)
        self._project = projection(reader, shape)

    def encode(self, tokens: Tokens) -> Floats:
        """Return (n, d) float32 of tokens (n, context), not brought to unit length.

        Texts are sorted by length and run 32 at a time. Under a causal mask, and where the vector is read
        at the end token, what stands behind that token cannot reach it: a batch is cut there. Any other
        tower runs all positions.
        """
        if tokens.ndim != 2 or tokens.shape[1] != self.shape.context:
            raise ValueError(f"tokens of shape {tokens.shape}; (n, {self.shape.context}) is needed")
        rows = self._pooled(tokens)
        out = np.empty((len(tokens), self.shape.dim), np.float32)
        cuts = self.shape.mask == "causal" and self.shape.pooling in ("argmax", "eos")
        order = np.argsort(rows, kind="stable")
        for start in range(0, len(order), TEXTS):
            chosen = order[start : start + TEXTS]
            length = int(rows[chosen].max()) + 1 if cuts else tokens.shape[1]
            out[chosen] = self._forward(tokens[chosen, :length], rows[chosen])
        return out

    def _pooled(self, tokens: Tokens) -> Tokens:
        """The position (n,) at which each text's vector is read."""
        rows: Tokens
        if self.shape.pooling == "argmax":
            rows = tokens.argmax(axis=1)
        elif self.shape.pooling == "eos":
            rows = (tokens == self.shape.end).argmax(axis=1)
        else:
            last = tokens.shape[1] - 1 if self.shape.pooling == "last" else 0
            rows = np.full(len(tokens), last, np.int64)
        return rows

    def _forward(self, tokens: Tokens, rows: Tokens) -> Floats:
        x = self._table.values[tokens].astype(np.float32, copy=False)
        if self._table.scale is not None:
            x *= self._table.scale[tokens][..., None]
        x += self._positions[: tokens.shape[1]]
        x = run(x, self._blocks, self.shape.heads, self.shape.mask == "causal", self._bend, rows)
        return self._project(self._last.applied(x))


class ImageTower:
    """Pixels to vectors. Raises `BadDataError` for tensors that are not those of `shape`."""

    def __init__(self, shape: ImageShape, source: Source, prefix: str = "visual.") -> None:
        check_choice("activation", shape.activation, ACTIVATIONS)
        check_choice("pooling", shape.pooling, ("tok", "avg"))
        check_heads(shape)
        if not 0 < shape.patch <= shape.side:
            raise BadDataError(f"the tower states pictures of {shape.side} in patches of {shape.patch}")
        self.shape = shape
        self._bend = ACTIVATIONS[shape.activation]
        reader = Reader(source, image_tensors(shape, prefix), prefix)
        self._patches = Matrix(reader.array("conv1.weight").reshape(shape.width, -1))
        self._class = reader.array("class_embedding")
        self._positions = reader.array("positional_embedding")
        self._first = reader.norm("ln_pre", shape.epsilon) if shape.norm_before else None
        self._blocks = [reader.block(number, shape.epsilon) for number in range(shape.layers)]
        self._last = reader.norm("ln_post", shape.epsilon)
        self._out = reader.array("proj")

    def encode(self, pixels: Floats) -> Floats:
        """Return (n, d) float32 of normalised pixels (n, side, side, 3), not brought to unit length."""
        parts = [self._forward(pixels[start : start + PICTURES]) for start in range(0, len(pixels), PICTURES)]
        return np.concatenate(parts) if parts else np.empty((0, self.shape.dim), np.float32)

    def _forward(self, pixels: Floats) -> Floats:
        n, patch, grid = len(pixels), self.shape.patch, self.shape.side // self.shape.patch
        pixels = pixels[:, : grid * patch, : grid * patch]
        cut = pixels.reshape(n, grid, patch, grid, patch, 3).transpose(0, 1, 3, 5, 2, 4)
        x = np.empty((n, grid * grid + 1, self.shape.width), np.float32)
        x[:, 0] = self._class
        x[:, 1:] = self._patches.applied(cut.reshape(n, grid * grid, -1), None)
        x += self._positions
        if self._first is not None:
            x = self._first.applied(x)
        first = np.zeros(n, np.int64) if self.shape.pooling == "tok" else None
        x = run(x, self._blocks, self.shape.heads, False, self._bend, first)
        if first is None:
            if not self.shape.norm_after:
                x = self._last.applied(x)
            x = x[:, 1:].mean(axis=1)
        if first is not None or self.shape.norm_after:
            x = self._last.applied(x)
        return x @ self._out


def projection(reader: Reader, shape: TextShape) -> Callable[[Floats], Floats]:
    """What turns pooled channels (n, w) into vectors (n, d)."""
    if shape.projection == "none":
        return lambda x: x
    if shape.projection == "matrix":
        matrix = reader.array("text_projection")
        return lambda x: x @ matrix
    weight = reader.matrix("text_projection.weight")
    bias = reader.array("text_projection.bias") if shape.projection == "linear+bias" else None
    return lambda x: weight.applied(x, bias)


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise `BadDataError` where a tower states something that is not known here."""
    if value not in choices:
        raise BadDataError(f"the tower's {name} is {shown(value)!r}, which this mmr does not know")


def check_heads(shape: TextShape | ImageShape) -> None:
    """Raise `BadDataError` where the numbers of a tower cannot be true together."""
    numbers = (shape.width, shape.heads, shape.layers, shape.hidden, shape.dim)
    if min(numbers) < 1 or shape.width % shape.heads:
        raise BadDataError(f"the tower states {shape.width} channels and {shape.heads} heads")
    if shape.layers > MOST_LAYERS:
        raise BadDataError(f"the tower states {shape.layers:,} layers")
