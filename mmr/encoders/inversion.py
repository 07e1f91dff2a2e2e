"""Textual inversion: token embeddings that make a text tower say what a picture's vector is.

Optimization-based textual inversion, with the defaults of Mistretta et al. 2025 ("Cross the Gap: Exposing
the Intra-modal Misalignment in CLIP via Modality Inversion"); those of Baldrati et al. 2023 (SEARLE) are in
`SEARLE`, without its loss on phrases of a language model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.encoders.inject import check_slot, embedding_of, encoded, placed
from mmr.encoders.protocol import Cuts, Encoder, Injects, Runs
from mmr.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

SPREAD = 0.02  # standard deviation of the first embeddings
BATCH = 64


@dataclass(frozen=True)
class Inversion:
    """How token embeddings are learned.

    steps, rate, decay  of AdamW
    tokens     how many embeddings stand for a picture
    ema        what is kept of the running mean at each step, which is then the result; 0 takes the last
    templates  texts with `{}`; of several one is drawn for each step
    seed       of the first embeddings, which are the same for every picture, and of the draws
    """

    steps: int = 150
    rate: float = 0.02
    decay: float = 0.01
    tokens: int = 1
    ema: float = 0.0
    templates: tuple[str, ...] = ("a photo of {}",)
    seed: int = 0

    def __post_init__(self) -> None:
        for template in self.templates:
            check_slot(template)


SEARLE = Inversion(steps=350, ema=0.99)


class Inverted(NamedTuple):
    """Embeddings (n, tokens, width) float32, and each picture's loss before and after: 1 - cosine, (n,)."""

    words: np.ndarray
    before: np.ndarray
    after: np.ndarray


def invert(model: Any, tokenizer: Any, targets: torch.Tensor, how: Inversion, shortened: Any) -> Inverted:
    """Learn the embeddings whose text comes nearest to each of `targets` (n, d), unit vectors.

    A picture's result does not depend on what else is in the batch, but for rounding.
    """
    import torch

    device = targets.device
    texts = [placed(tokenizer, [template], how.tokens) for template in how.templates]
    texts = [type(one)(one.tokens.to(device), one.places.to(device)) for one in texts]
    width = embedding_of(model).embedding_dim
    draw = torch.Generator().manual_seed(how.seed)
    first = torch.randn((1, how.tokens, width), generator=draw) * SPREAD
    words = first.repeat(len(targets), 1, 1).to(device).requires_grad_()
    mean = words.detach().clone()
    optimiser = torch.optim.AdamW([words], lr=how.rate, weight_decay=how.decay)

    def losses(at: torch.Tensor, which: int) -> torch.Tensor:
        rows = len(targets)
        text = type(texts[0])(*(part.expand(rows, -1) for part in texts[which]))
        out = torch.nn.functional.normalize(encoded(model, text, at, shortened).float(), dim=-1)
        return 1 - (out * targets).sum(dim=-1)

    with torch.enable_grad():
        for step in range(how.steps):
            which = int(torch.randint(len(texts), (), generator=draw)) if len(texts) > 1 else 0
            loss = losses(words, which)
            if step == 0:
                before = loss.detach()
            (words.grad,) = torch.autograd.grad(loss.sum(), [words])
            optimiser.step()
            mean = how.ema * mean + (1 - how.ema) * words.detach()
    with torch.no_grad():
        after = losses(mean, 0)
    return Inverted(*(part.float().cpu().numpy() for part in (mean, before, after)))


class Inverting:
    """An encoder whose vectors of pictures come out of its text tower, for search of pictures by pictures."""

    def __init__(self, encoder: Encoder, how: Inversion) -> None:
        self._encoder = encoder
        self._injects = injecting(encoder)
        self._how = how
        self.spec, self.dim, self.fingerprint = encoder.spec, encoder.dim, encoder.fingerprint
        computes = f"{encoder.runs}, " if isinstance(encoder, Runs) else ""
        self.runs = f"{computes}inverted in {how.steps} steps"

    @property
    def cut(self) -> int:
        """How many texts were longer than the model reads."""
        return self._encoder.cut if isinstance(self._encoder, Cuts) else 0

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Return (n, d) float32, as the encoder itself does."""
        return self._encoder.encode_texts(texts)

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Return (n, d) float32, the vector of each picture's text: templates averaged."""
        return self._texts(self._encoder.encode_images(images))

    def prepare(self, image: Image.Image) -> Any:
        """Resize and crop one picture as the encoder does."""
        return self._injects.prepare(image)

    def encode_prepared(self, prepared: Sequence[Any]) -> np.ndarray:
        """Return (n, d) float32 of pictures that `prepare` has made ready."""
        return self._texts(self._injects.encode_prepared(prepared))

    def _texts(self, vectors: np.ndarray) -> np.ndarray:
        import numpy as np

        from mmr.arrays.unit import unit

        words = self._injects.invert(vectors, self._how).words
        made = [self._injects.inject([text] * len(words), words) for text in self._how.templates]
        return made[0] if len(made) == 1 else unit(np.stack(made).mean(axis=0, dtype=np.float64))


def injecting(encoder: Encoder) -> Injects:
    """The encoder, if it takes token embeddings; raises `UsageError` if it does not."""
    if isinstance(encoder, Injects):
        return encoder
    what = f"{encoder.spec} takes no token embeddings, so a picture cannot be inverted through it"
    raise UsageError(what, "Use a model of open_clip: --model clip.")
