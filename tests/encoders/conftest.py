"""open_clip with random weights: the real library and architectures, no download."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def open_clip():
    """The library, made ready as the adapter does it; skips where the extra `clip` is not installed."""
    if find_spec("open_clip") is None or find_spec("torch") is None:
        pytest.skip("needs the extra `clip`: pip install 'mmr[clip]'")
    from mmr.encoders.torch_setup import import_open_clip

    return import_open_clip()


@pytest.fixture(scope="session")
def random_weights(open_clip, tmp_path_factory):
    """Write seeded random weights of an architecture to a safetensors file, once a session."""
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")

    def write(name: str, seed: int = 0) -> Path:
        file = folder / f"{name}-{seed}.safetensors"
        if not file.exists():
            torch.manual_seed(seed)
            model = open_clip.create_model(name, load_weights=False, pretrained_text=False)
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.data += 0.02 * torch.randn_like(parameter)
            save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
        return file

    return write


TOWER = {"width": 64, "layers": 2, "vocab_size": 49408, "context_length": 77, "heads": 2}
SIGHT = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32}
ARCHITECTURES = {
    "toy": {"text_cfg": TOWER},
    "toy-quick": {"text_cfg": TOWER, "quick_gelu": True},
    "toy-custom": {"text_cfg": TOWER, "custom_text": True},
    "toy-eos": {"text_cfg": {**TOWER, "pool_type": "eos", "eos_id": 49407}},
    "toy-last": {"text_cfg": {**TOWER, "pool_type": "last"}},
    "toy-open": {"text_cfg": {**TOWER, "no_causal_mask": True}, "custom_text": True},
    "toy-coca": {
        "text_cfg": {**TOWER, "context_length": 76, "embed_cls": True, "output_tokens": True},
        "vision_cfg": {**SIGHT, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "multimodal_cfg": {
            "context_length": 76,
            "vocab_size": 49408,
            "width": 64,
            "heads": 2,
            "layers": 2,
            "attn_pooler_heads": 2,
        },
        "custom_text": True,
    },
    "toy-class": {"text_cfg": {**TOWER, "embed_cls": True, "pool_type": "last"}, "custom_text": True},
}


@pytest.fixture(scope="session")
def toys(open_clip, tmp_path_factory):
    """Add small architectures to open_clip, one for each kind of text tower; return their names."""
    folder = tmp_path_factory.mktemp("architectures")
    for name, parts in ARCHITECTURES.items():
        config = {"embed_dim": 32, "vision_cfg": SIGHT, **parts}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return list(ARCHITECTURES)


@pytest.fixture
def unigram():
    """A tokenizer of a small vocabulary of pieces, in the form of T5's."""
    tokenizers = pytest.importorskip("tokenizers")
    words = ["▁a", "▁dog", "▁cat", "s", "▁on", "▁the", "▁beach", "▁", "a", "o", "e", "t", "n", "d", "g", "c"]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(word, -float(rank)) for rank, word in enumerate(words)]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, 2))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return made
