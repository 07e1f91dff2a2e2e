"""The NumPy towers against open_clip: random models of two layers, each family of text tower, ViT images."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from mmr.encoders import list_models
from mmr.encoders.table import WORDS_BY_TORCH
from mmr.encoders.tower import ImageShape, ImageTower, TextShape, TextTower
from mmr.encoders.tower_plan import NotPlain, image_shape, text_shape, text_state
from mmr.encoders.transformer import gelu, gelu_tanh, quick_gelu
from mmr.errors import BadDataError

SIGHT = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32}
FAMILIES = {  # a config of open_clip, and what its text tower is: mask, pooling, activation, projection
    "ViT-B-32": ("causal", "argmax", "gelu", "matrix"),
    "ViT-B-32-quickgelu": ("causal", "argmax", "quick_gelu", "matrix"),
    "MobileCLIP-B": ("causal", "argmax", "gelu", "matrix"),
    "MobileCLIP-S1": ("none", "argmax", "gelu", "matrix"),
    "MobileCLIP2-S0": ("none", "argmax", "gelu", "matrix"),
    "ViT-L-14-CLIPA": ("none", "last", "gelu", "matrix"),
    "ViT-B-16-SigLIP": ("none", "last", "gelu", "linear+bias"),
    "ViT-B-16-SigLIP2": ("none", "last", "gelu_tanh", "linear+bias"),
    "ViT-SO400M-16-SigLIP-i18n-256": ("none", "last", "gelu", "none"),
    "ViT-L-14-worldwide": ("causal", "eos", "gelu", "matrix"),
    "ViT-L-14-worldwide-quickgelu": ("causal", "eos", "quick_gelu", "matrix"),
    "PE-Core-B-16": ("causal", "argmax", "gelu", "matrix"),
}
VOCABULARY = 300


class Held:
    """Tensors in memory, as a source."""

    def __init__(self, tensors):
        self.tensors = tensors

    def names(self):
        return sorted(self.tensors)

    def shape(self, name):
        if name not in self.tensors:
            raise BadDataError(f"it lacks the tensor {name}")
        return self.tensors[name].shape

    def get(self, name):
        return self.tensors[name]


def disturbed(model, seed=0):
    """Give every norm and bias of a model its own random values, so that each term is seen."""
    import torch

    torch.manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture(scope="session")
def family(open_clip):
    """Build the family of a config with two layers, a small width and a small vocabulary."""
    import torch

    def make(name, sight=None, **changed):
        config = open_clip.get_model_config(name)
        text = {**config["text_cfg"], "layers": 2, "width": 64, "heads": 2, "vocab_size": VOCABULARY}
        text.pop("tokenizer_kwargs", None)
        if text.get("proj_type") == "none":
            config["embed_dim"] = 64
        kind = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
        torch.manual_seed(0)
        model = kind(
            embed_dim=config["embed_dim"] if "proj_type" in text else 48, vision_cfg=sight or SIGHT,
            text_cfg={**text, **changed}, quick_gelu=config.get("quick_gelu", False),
        )  # fmt: skip
        return disturbed(model)

    return make


def some_tokens(shape, count=16, seed=0):
    """Random texts of 1 to all positions: the end token is the highest, zeros stand behind it."""
    rng = np.random.default_rng(seed)
    end = shape.end if shape.pooling == "eos" else VOCABULARY - 1
    rows = np.zeros((count, shape.context), np.int64)
    for row in rows:
        length = int(rng.integers(2, shape.context + 1))
        row[:length] = rng.integers(3, VOCABULARY - 1, length)
        row[length - 1] = end
    return rows


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_torch(model, tokens):
    import torch

    with torch.inference_mode():
        return model.encode_text(torch.from_numpy(tokens), normalize=True).numpy()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_of_text_towers_gives_torchs_vectors(family, name):
    model = family(name)
    shape = text_shape(model)
    assert (shape.mask, shape.pooling, shape.activation, shape.projection) == FAMILIES[name]
    tower = TextTower(shape, Held(text_state(model)))
    tokens = some_tokens(shape)
    expected = by_torch(model, tokens)
    together = unit(tower.encode(tokens))
    assert np.abs(together - expected).max() <= 1e-6
    alone = np.concatenate([unit(tower.encode(tokens[row : row + 1])) for row in range(4)])
    assert np.abs(alone - expected[:4]).max() <= 1e-6
    assert tower.encode(tokens[:0]).shape == (0, shape.dim)


def test_a_tower_that_is_read_at_its_first_token(family):
    model = family("MobileCLIP-S1", pool_type="first")
    tokens = some_tokens(text_shape(model))
    tower = TextTower(text_shape(model), Held(text_state(model)))
    assert np.abs(unit(tower.encode(tokens)) - by_torch(model, tokens)).max() <= 1e-6


def test_more_texts_than_fit_one_batch_keep_their_order(family):
    model = family("ViT-B-32")
    tokens = some_tokens(text_shape(model), 75)
    tower = TextTower(text_shape(model), Held(text_state(model)))
    assert np.abs(unit(tower.encode(tokens)) - by_torch(model, tokens)).max() <= 1e-6


@pytest.mark.parametrize("other", ["gelu", "gelu_tanh", "quick_gelu"])
def test_another_activation_is_another_vector(family, other):
    model = family("ViT-B-32")
    shape = text_shape(model)
    wrong = TextShape.read({**as_stated(shape), "activation": other})
    tokens = some_tokens(shape)
    found = unit(TextTower(wrong, Held(text_state(model))).encode(tokens))
    assert (np.abs(found - by_torch(model, tokens)).max() > 1e-5) == (other != "gelu")


def as_stated(shape):
    return {name: getattr(shape, name) for name in type(shape).__dataclass_fields__}


@pytest.mark.parametrize("name, options", [
    ("ViT-B-32", {}),
    ("ViT-B-32-quickgelu", {}),
    ("ViT-B-32", {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True}),
    ("ViT-B-32", {"pool_type": "avg"}),
    ("ViT-B-32", {"image_size": 37, "norm_kwargs": {"eps": 1e-3}}),
])  # fmt: skip
def test_plain_image_towers_give_torchs_vectors(family, name, options):
    import torch

    model = family(name, {**SIGHT, **options})
    shape = image_shape(model)
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    tower = ImageTower(shape, Held(state))
    pixels = np.random.default_rng(0).normal(size=(11, shape.side, shape.side, 3)).astype(np.float32)
    with torch.inference_mode():
        expected = model.encode_image(torch.from_numpy(pixels).permute(0, 3, 1, 2), normalize=True).numpy()
    assert np.abs(unit(tower.encode(pixels)) - expected).max() <= 1e-6
    assert np.abs(unit(tower.encode(pixels[:1])) - expected[:1]).max() <= 1e-6
    assert tower.encode(pixels[:0]).shape == (0, shape.dim)


def test_activations_are_their_formulas():
    x = np.linspace(-12, 12, 100_001)
    quick = x / (1 + np.exp(-1.702 * x))
    tanh = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    exact = np.array([value * 0.5 * math.erfc(-value / math.sqrt(2)) for value in x])
    for function, expected in ((gelu, exact), (gelu_tanh, tanh), (quick_gelu, quick)):
        found = x.astype(np.float32)
        function(found)
        assert np.abs(found - expected).max() < 1.5e-6, function
    far = np.float32([-1e4, 1e4])
    for function in (gelu, gelu_tanh, quick_gelu):
        found = far.copy()
        function(found)
        assert found.tolist() == [0, 1e4]


def test_the_list_of_models_names_every_family_that_is_not_plain(open_clip):
    shipped = Path(open_clip.__file__).parent.glob("model_configs/*.json")
    for name in (file.stem for file in shipped):
        text = open_clip.get_model_config(name)["text_cfg"]
        plain = not text.get("embed_cls") and not text.get("hf_model_name")
        assert plain != name.startswith(WORDS_BY_TORCH), name
    assert all(name in model.summary for model in list_models() if model.name == "open_clip:"
               for name in WORDS_BY_TORCH)  # fmt: skip


@pytest.mark.parametrize("change, words", [
    ({"embed_cls": True}, "appends a class token"),
    ({"ls_init_value": 0.1}, "blocks have parts of their own"),
    ({"qk_norm": True}, "blocks have parts of their own"),
    ({"pool_type": "none"}, "pools by 'none'"),
])  # fmt: skip
def test_what_is_not_plain_is_left_to_torch(family, change, words):
    with pytest.raises(NotPlain, match=words):
        text_shape(family("MobileCLIP-B", **change))


def test_an_image_tower_of_another_kind_is_left_to_torch(family):
    with pytest.raises(NotPlain, match="ModifiedResNet"):
        image_shape(family("ViT-B-32", {"layers": [1, 1, 1, 1], "width": 32, "image_size": 64}))
    with pytest.raises(NotPlain, match="by attention"):
        image_shape(family("ViT-B-32", {**SIGHT, "attentional_pool": True, "attn_pooler_heads": 2}))


def test_a_mask_of_another_kind_is_left_to_torch(family):
    model = family("ViT-B-32")
    model.attn_mask = model.attn_mask.clone()
    model.attn_mask[3, 1] = float("-inf")
    with pytest.raises(NotPlain, match="mask is of its own kind"):
        text_shape(model)


def test_tensors_that_do_not_fit_are_refused(family):
    model = family("ViT-B-32")
    shape, state = text_shape(model), text_state(model)
    with pytest.raises(BadDataError, match=r"would go unread: text\.extra"):
        TextTower(shape, Held({**state, "text.extra": np.zeros(3, np.float32)}))
    with pytest.raises(BadDataError, match="lacks the tensor"):
        TextTower(shape, Held({key: value for key, value in state.items() if "c_fc" not in key}))
    with pytest.raises(BadDataError, match=re.escape("has the shape (5,), and (64,) is stated")):
        TextTower(shape, Held({**state, "text.ln_final.bias": np.zeros(5, np.float32)}))


@pytest.mark.parametrize("change, words", [
    ({"activation": "relu"}, "activation is 'relu'"),
    ({"mask": "causal2"}, "mask is 'causal2'"),
    ({"pooling": "mean"}, "pooling is 'mean'"),
    ({"projection": "mlp"}, "projection is 'mlp'"),
    ({"heads": 3}, "64 channels and 3 heads"),
    ({"layers": 0}, "64 channels and 2 heads"),
    ({"projection": "none"}, "no projection from 64 to 48"),
    ({"layers": 10**12}, "states 1,000,000,000,000 layers"),
])  # fmt: skip
def test_a_shape_that_cannot_be_true_is_refused(family, change, words):
    model = family("ViT-B-32")
    shape = TextShape.read({**as_stated(text_shape(model)), **change})
    with pytest.raises(BadDataError, match=words):
        TextTower(shape, Held(text_state(model)))


def test_a_shape_is_read_strictly():
    stated = {
        "width": 64, "heads": 2, "layers": 2, "hidden": 256, "side": 32, "patch": 16, "dim": 48,
        "activation": "gelu", "epsilon": 1e-5, "norm_before": True, "pooling": "tok", "norm_after": False,
    }  # fmt: skip
    assert as_stated(ImageShape.read(stated)) == stated
    with pytest.raises(BadDataError, match="other things than this mmr knows: rotary"):
        ImageShape.read({**stated, "rotary": True})
    with pytest.raises(BadDataError, match="other things than this mmr knows: width"):
        ImageShape.read({key: value for key, value in stated.items() if key != "width"})
    with pytest.raises(BadDataError, match="width is '64'"):
        ImageShape.read({**stated, "width": "64"})
