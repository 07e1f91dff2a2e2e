"""open_clip with random weights: the real library and architectures, no download."""

from __future__ import annotations

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
