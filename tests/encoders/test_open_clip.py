"""open_clip: the library's own vectors, precision, fingerprint, and every way to lack weights."""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mmr.encoders import Cuts, Prepares, described, load
from mmr.encoders.open_clip import parse, unit
from mmr.encoders.open_clip_texts import is_causal, shortened
from mmr.errors import BadDataError, MissingInputError, UnavailableError, UsageError

TEXTS = ["a cat", "two dogs run along the beach at night", "naïve café", "", "word " * 100]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """Keep the hashes of weights out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def toy(toys, random_weights):
    """Load a small architecture with random weights."""

    def make(name="toy", seed=0, precision="fp32"):
        return load(f"open_clip:{name}@{random_weights(name, seed)}", precision=precision, threads=1)

    return make


def pictures(count=6):
    """Random pictures of different shapes."""
    rng = np.random.default_rng(0)
    shapes = [(40, 40), (33, 70), (90, 31), (1, 1), (300, 400), (5, 200)]
    return [Image.fromarray(rng.integers(0, 255, (*shapes[i % 6], 3), np.uint8)) for i in range(count)]


def reference(open_clip, name, file):
    """The model, preprocessing and tokenizer as open_clip's README uses them."""
    model, _, preprocess = open_clip.create_model_and_transforms(name, pretrained=str(file))
    return model.eval(), preprocess, open_clip.get_tokenizer(name)


def test_vectors_are_those_of_the_library(open_clip, toys, random_weights):
    import torch

    for name in toys:
        file = random_weights(name)
        model, preprocess, tokenizer = reference(open_clip, name, file)
        encoder = load(f"open_clip:{name}@{file}", precision="fp32", threads=1)
        with torch.inference_mode():
            texts = model.encode_text(tokenizer(TEXTS), normalize=True).numpy()
            images = torch.stack([preprocess(picture) for picture in pictures()])
            images = model.encode_image(images, normalize=True).numpy()
        assert np.abs(encoder.encode_texts(TEXTS) - texts).max() < 1e-6, name
        assert np.abs(encoder.encode_images(pictures()) - images).max() < 1e-6, name


def test_shapes_and_types(toy):
    encoder = toy()
    assert encoder.dim == 32
    for rows in (encoder.encode_texts(TEXTS), encoder.encode_images(pictures(5))):
        assert rows.shape == (5, 32)
        assert rows.dtype == np.float32
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert encoder.encode_texts([]).shape == encoder.encode_images([]).shape == (0, 32)


def test_a_batch_gives_what_single_items_give(toy):
    encoder = toy()
    one_by_one = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    assert np.abs(encoder.encode_texts(TEXTS) - one_by_one).max() < 1e-6
    one_by_one = np.concatenate([encoder.encode_images([picture]) for picture in pictures()])
    assert np.abs(encoder.encode_images(pictures()) - one_by_one).max() < 1e-6


def test_preparing_is_the_librarys_and_works_in_threads(open_clip, toys, random_weights):
    import torch

    file = random_weights("toy")
    _, preprocess, _ = reference(open_clip, "toy", file)
    encoder = load(f"open_clip:toy@{file}", precision="fp32", threads=1)
    assert isinstance(encoder, Prepares)
    with ThreadPoolExecutor(4) as pool:
        prepared = list(pool.map(encoder.prepare, pictures(60)))
    assert {(array.shape, array.dtype.name) for array in prepared} == {((32, 32, 3), "uint8")}
    assert np.array_equal(encoder.encode_prepared(prepared), encoder.encode_images(pictures(60)))
    seen = []
    encoder._model.encode_image = lambda batch: seen.append(batch) or torch.ones(len(batch), 32)
    encoder.encode_prepared(prepared[:6])
    assert torch.equal(seen[0], torch.stack([preprocess(picture) for picture in pictures()]))


CUT = {"toy": True, "toy-quick": True, "toy-custom": True, "toy-eos": True}


def test_texts_are_cut_only_where_that_is_exact(open_clip, toys, random_weights):
    for name in toys:
        model, _, tokenizer = reference(open_clip, name, random_weights(name))
        tokens = tokenizer(["a cat", "a black dog"])
        before = {key: value.clone() for key, value in model.state_dict().items()}
        with shortened(model, tokens) as cut:
            assert cut.shape[1] == (5 if CUT.get(name) else tokens.shape[1]), name
        assert set(before) == set(model.state_dict())
        assert model.encode_text(tokens).shape == (2, 32)
        with shortened(model, tokenizer(["word " * 100])) as cut:
            assert cut.shape[1] == tokens.shape[1]


def test_an_error_while_a_text_is_cut_leaves_the_model_whole(open_clip, toys, random_weights):
    model, _, tokenizer = reference(open_clip, "toy", random_weights("toy"))
    tokens = tokenizer(["a cat"])
    with pytest.raises(ZeroDivisionError), shortened(model, tokens):
        raise ZeroDivisionError
    assert model.positional_embedding.shape == (77, 64)
    assert model.attn_mask.shape == (77, 77)


def test_is_causal(open_clip):
    import torch

    mask = torch.full((5, 5), float("-inf")).triu_(1)
    assert is_causal(mask)
    assert not is_causal(torch.zeros(5, 5))
    mask[3, 1] = float("-inf")
    assert not is_causal(mask)


def test_bf16_is_close_to_fp32_on_a_real_architecture(open_clip, random_weights):
    file = random_weights("ViT-S-32-alt")
    full = load(f"open_clip:ViT-S-32-alt@{file}", precision="fp32")
    half = load(f"open_clip:ViT-S-32-alt@{file}", precision="bf16")
    assert half.fingerprint == full.fingerprint
    assert described(half).startswith(f"{half.spec} (bf16 on cpu, open_clip ")
    images = [picture.resize((224, 224)) for picture in pictures(12)]
    for one, other in (
        (full.encode_images(images), half.encode_images(images)),
        (full.encode_texts(TEXTS), half.encode_texts(TEXTS)),
    ):
        cosines = (one * other).sum(axis=1)
        assert np.median(cosines) >= 0.999
        assert cosines.min() < 1 - 1e-9


def test_every_kind_of_tower_runs_in_low_precision(toy, toys):
    for name in toys:
        full = toy(name)
        for precision in ("bf16", "fp16"):
            low = toy(name, precision=precision)
            assert np.median((full.encode_images(pictures()) * low.encode_images(pictures())).sum(1)) > 0.999
            assert np.median((full.encode_texts(TEXTS) * low.encode_texts(TEXTS)).sum(1)) > 0.999, name


def test_auto_takes_bf16_only_where_the_processor_multiplies_it(open_clip, monkeypatch, tmp_path):
    import torch

    from mmr.encoders import torch_setup

    cpu = torch.device("cpu")
    for flags, kind in (
        ("avx2 avx512_bf16", "bf16"),
        ("amx_bf16", "bf16"),
        ("avx2 avx512f", "fp32"),
        ("", "fp32"),
    ):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: fpu {flags} sse\n\n")
        found = torch_setup.cpu_flags(tmp_path / "cpuinfo")
        monkeypatch.setattr(torch_setup, "cpu_flags", lambda found=found: found)
        assert torch_setup.choose_precision("auto", cpu) == kind
        monkeypatch.undo()
    assert torch_setup.cpu_flags(tmp_path / "nothing") == set()
    assert torch_setup.choose_precision("fp16", cpu) == "fp16"
    with pytest.raises(UsageError, match="no such precision 'int4'"):
        torch_setup.choose_precision("int4", cpu)


def test_devices(open_clip):
    import torch

    from mmr.encoders.torch_setup import choose_device

    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in {"cpu", "cuda", "mps"}
    with pytest.raises(UsageError, match="no such device 'gpu'"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(UnavailableError, match="the device 'cuda:1' is not available here"):
            choose_device("cuda:1")


def test_the_fingerprint_is_of_what_makes_the_vectors(toy, toys, random_weights, tmp_path):
    first = toy().fingerprint
    assert len(first) == 12
    assert int(first, 16) >= 0
    assert toy().fingerprint == first
    assert toy(precision="bf16").fingerprint == first
    assert toy(seed=1).fingerprint != first
    copy = tmp_path / "elsewhere.safetensors"
    shutil.copy(random_weights("toy"), copy)
    assert load(f"open_clip:toy@{copy}").fingerprint == first
    assert load(f"open_clip:toy-quick@{copy}").fingerprint != first


def test_preprocessing_beside_the_weights_is_used_and_counts(toy, toys, random_weights, tmp_path):
    copy = tmp_path / "weights.safetensors"
    shutil.copy(random_weights("toy"), copy)
    plain = load(f"open_clip:toy@{copy}", precision="fp32")
    config = {"preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    own = load(f"open_clip:toy@{copy}", precision="fp32")
    assert own.fingerprint != plain.fingerprint
    assert own._mean.flatten().tolist() == [0.5] * 3
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 128, 3), np.uint8))
    assert np.array_equal(own.prepare(wide), np.asarray(wide.resize((32, 32), Image.Resampling.BICUBIC)))
    (tmp_path / "open_clip_config.json").write_text("[1")
    with pytest.raises(BadDataError, match="is not a configuration of open_clip"):
        load(f"open_clip:toy@{copy}")


def test_a_file_takes_the_preprocessing_that_all_weights_of_its_kind_share(open_clip):
    from mmr.encoders.open_clip import described

    _, row = described(open_clip, parse("open_clip:ViT-B-16-SigLIP@x.safetensors"), "spec")
    assert row["mean"] == (0.5, 0.5, 0.5)
    assert row["resize_mode"] == "squash"
    _, row = described(open_clip, parse("open_clip:ViT-L-14@x.safetensors"), "spec")
    assert row == {}


def test_weights_of_quick_gelu_are_run_with_it_whatever_the_name(open_clip):
    from mmr.encoders.open_clip import described

    plain, row = described(open_clip, parse("open_clip:ViT-B-32/openai"), "spec")
    quick, _ = described(open_clip, parse("open_clip:ViT-B-32-quickgelu/openai"), "spec")
    assert row["quick_gelu"]
    assert plain == quick


def test_a_relative_file_is_named_in_full(toys, random_weights, monkeypatch):
    file = random_weights("toy")
    monkeypatch.chdir(file.parent)
    assert load(f"open_clip:toy@{file.name}").spec == f"open_clip:toy@{file}"


def test_specs():
    assert parse("open_clip:ViT-B-32/laion2b") == ("ViT-B-32", "laion2b", "")
    assert parse("open_clip:ViT-B/32/openai") == ("ViT-B-32", "openai", "")
    assert parse("open_clip:ViT-B-32@/a/b@c.safetensors") == ("ViT-B-32", "", "/a/b@c.safetensors")
    for spec in ("open_clip:ViT-B-32", "open_clip:/x", "open_clip:ViT-B-32/", "open_clip:ViT-B-32@"):
        with pytest.raises(UsageError, match="is not complete"):
            parse(spec)


def test_names_that_open_clip_does_not_know(open_clip, tmp_path):
    with pytest.raises(UsageError, match="no architecture 'ViT-B-33'; did you mean 'ViT-B-32'"):
        load("open_clip:ViT-B-33/openai")
    with pytest.raises(UsageError, match="no weights 'laion2b' for ViT-B-32; did you mean") as caught:
        load("open_clip:ViT-B-32/laion2b")
    assert "laion2b_s34b_b79k" in caught.value.fix
    with pytest.raises(MissingInputError, match="no weights at"):
        load(f"open_clip:ViT-B-32@{tmp_path}/w.safetensors")


def test_weights_that_do_not_fit(toys, random_weights, tmp_path):
    with pytest.raises(BadDataError, match="holds no weights for ViT-S-32-alt: text pos_embed width"):
        load(f"open_clip:ViT-S-32-alt@{random_weights('toy')}")
    for name, data in (
        ("a.safetensors", b"rubbish"),
        ("b.safetensors", b""),
        ("c.pt", b"\x80\x04rubbish"),
        ("d.bin", b""),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadDataError, match="holds no weights for toy"):
            load(f"open_clip:toy@{tmp_path / name}")


def test_a_batch_beyond_the_devices_memory_says_so(toy, monkeypatch):
    import torch

    encoder = toy()

    def full(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    encoder._model.encode_image = encoder._model.encode_text = full
    with pytest.raises(UnavailableError, match="no memory for a batch of 6: CUDA out of memory") as caught:
        encoder.encode_images(pictures())
    assert "--batch 3" in caught.value.fix
    with pytest.raises(UnavailableError, match="no memory for a batch of 1"):
        encoder.encode_texts(["a"])
    assert encoder._model.attn_mask.shape == (77, 77)


def test_vectors_that_are_not_finite_are_refused(open_clip):
    import torch

    for bad in (float("nan"), float("inf"), 0.0):
        with pytest.raises(BadDataError, match="zero or not finite"):
            unit(torch.tensor([[1.0, 2.0], [bad, bad]]), "spec")


@pytest.mark.parametrize("gone", ["torch", "open_clip"])
def test_without_the_extra_the_error_names_it(monkeypatch, gone):
    monkeypatch.setitem(sys.modules, gone, None)
    with pytest.raises(UnavailableError, match=r"Run `pip install 'mmr\[clip\]'`"):
        load("clip")


def test_a_tokenizer_of_the_hub_is_looked_for_here_first(open_clip, monkeypatch):
    from mmr.encoders import weights
    from mmr.encoders.open_clip import tokenizer_of

    config = open_clip.get_model_config("ViT-B-16-SigLIP2")
    asked = []

    def get(name, **options):
        asked.append(options or "network")
        if here or not options:
            return name
        raise OSError("not here")

    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.setattr(open_clip, "get_tokenizer", get)
    monkeypatch.setattr(weights, "require_server", lambda *words: asked.append(words[2:]))
    here = True
    assert tokenizer_of(open_clip, "m", config, "spec") == "m"
    here = False
    assert tokenizer_of(open_clip, "m", config, "spec") == "m"
    local = {"local_files_only": True}
    server = ("https://huggingface.co/timm/ViT-B-16-SigLIP2", "tokenizer's files")
    assert asked == [local, local, server, "network"]


def test_a_tokenizer_whose_package_is_missing_names_it(open_clip, monkeypatch):
    from mmr.encoders.open_clip import tokenizer_of

    monkeypatch.setitem(sys.modules, "transformers", None)
    config = open_clip.get_model_config("ViT-B-16-SigLIP2")
    with pytest.raises(UnavailableError, match="pip install transformers"):
        tokenizer_of(open_clip, "ViT-B-16-SigLIP2", config, "spec")


def test_texts_that_are_cut_are_counted(toy):
    """CLIP reads 77 tokens: a start, 75 pieces, an end."""
    encoder = toy()
    assert isinstance(encoder, Cuts)
    encoder.encode_texts(["cat " * 75, "cat", "é" * 60])
    assert encoder.cut == 0
    encoder.encode_texts(["cat " * 76, "cat " * 75, "word " * 500])
    encoder.encode_texts(["cat " * 76])
    assert encoder.cut == 3
