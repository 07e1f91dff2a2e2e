"""Token embeddings in the place of a word of a text, through any text tower of open_clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.errors import UnavailableError, UsageError, shown

if TYPE_CHECKING:
    import torch

SLOT = "{}"
STAND_INS = (("cat", "dog"), ("red", "blue"), ("a", "b"), ("x", "y"), ("1", "2"), ("*", "$"))


class Placed(NamedTuple):
    """Texts as tokens (n, length), and where the tokens of the slot stand: (n, count)."""

    tokens: torch.Tensor
    places: torch.Tensor


def placed(tokenizer: Any, templates: Sequence[str], count: int) -> Placed:
    """Tokenize texts that each hold one `{}`, with `count` tokens in its place.

    The places are found at run time, by what changes between two words that are one token each; no
    character of the user's text has a meaning of its own. Raises `UsageError` for a text without a slot of
    its own, or one so long that the slot is cut off.
    """
    import torch

    rows, places = [], []
    for template in templates:
        check_slot(template)
        row, found = _placed(tokenizer, template, count)
        rows.append(row)
        places.append(found)
    return Placed(torch.stack(rows), torch.stack(places))


def check_slot(template: str) -> None:
    """Raise `UsageError` unless `{}` stands in a text once, and is no part of a word."""
    before, slot, after = template.partition(SLOT)
    alone = not (before[-1:].isalnum() or after[:1].isalnum())
    if not slot or SLOT in after or not alone:
        what = f"{shown(template)!r} must hold {SLOT} once, as a word of its own"
        raise UsageError(what, 'As in "a photo of {}".')


def _placed(tokenizer: Any, template: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One text with words of one token in its slot, and their places."""
    for pair in STAND_INS:
        one, two = (tokenizer([template.replace(SLOT, " ".join([word] * count))])[0] for word in pair)
        places = (one != two).nonzero()[:, 0]
        if len(places) == count and int(places[-1] - places[0]) == count - 1:
            return one, places
    what = f"{shown(template)!r}: no word in the place of {SLOT} becomes one token there"
    raise UsageError(what, "Shorten the text: what is beyond the model's length is cut off.")


def embedding_of(model: Any) -> torch.nn.Embedding:
    """The module that turns a model's tokens into embeddings.

    Raises `UnavailableError` for a text tower that shows none.
    """
    import torch

    tower = getattr(model, "text", model)
    found = getattr(tower, "token_embedding", None)
    inner = getattr(tower, "transformer", None)
    if found is None and inner is not None and hasattr(inner, "get_input_embeddings"):
        found = inner.get_input_embeddings()
    if not isinstance(found, torch.nn.Embedding):
        what = f"the text tower {type(tower).__name__} shows no token embeddings"
        raise UnavailableError(what, "Token embeddings can be put into text towers of open_clip.")
    return found


@contextmanager
def replaced(module: torch.nn.Embedding, places: torch.Tensor, words: torch.Tensor) -> Iterator[None]:
    """Let a module give `words` (n, count, width) at `places` (n, count) of each row, as long as it runs."""
    import torch

    def put(_module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        at = places.unsqueeze(-1).expand(-1, -1, output.shape[-1])
        return torch.scatter(output, 1, at, words.to(output.dtype))

    handle = module.register_forward_hook(put)
    try:
        yield
    finally:
        handle.remove()


def encoded(
    model: Any, text: Placed, words: torch.Tensor, shortened: Callable[[Any, torch.Tensor], Any]
) -> torch.Tensor:
    """The text tower's output (n, d), not normalised, of texts with `words` (n, count, width) in their slots.

    Differentiable in `words`. Equals the tower's output for the text itself where `words` are its own.
    shortened  cuts a batch of tokens where that changes nothing
    """
    with shortened(model, text.tokens) as cut, replaced(embedding_of(model), text.places, words):
        return model.encode_text(cut)
