"""Exported towers: torch's vectors, int8 with its loss, and every way in which a file can be wrong."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from mmr.cli.towers import keep
from mmr.encoders import Prepares, load, model_name
from mmr.encoders import tower_file as files
from mmr.encoders.tensors import Tensors, data_of, write
from mmr.encoders.tower_encoder import PictureTowerEncoder, TowerEncoder
from mmr.encoders.tower_export import export, quantised, rounded
from mmr.encoders.tower_file import KEY, TowerFile, kept_path
from mmr.encoders.tower_plan import NotPlain
from mmr.errors import BadDataError, UnavailableError

TEXTS = ["a cat", "two dogs run along the beach at night", "naïve café", "", "word " * 100]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """Keep towers and hashes of weights out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def toy(toys, random_weights):
    """Load a small architecture with random weights."""

    def make(name="toy", precision="fp32"):
        return load(f"open_clip:{name}@{random_weights(name)}", precision=precision, threads=1)

    return make


@pytest.fixture
def exported(toy):
    """Export a small architecture; return its file and the encoder."""

    def make(name="toy", precision="fp32"):
        encoder = toy(name, precision)
        return export(encoder, model_name(encoder)), encoder

    return make


@pytest.mark.parametrize("name", ["toy", "toy-quick", "toy-custom", "toy-eos", "toy-last", "toy-open"])
def test_a_tower_gives_torchs_vectors_under_one_fingerprint(exported, name):
    path, encoder = exported(name)
    tower = TowerEncoder(TowerFile(path), model_name(encoder))
    assert model_name(tower) == model_name(encoder)
    assert tower.dim == encoder.dim
    assert np.abs(tower.encode_texts(TEXTS) - encoder.encode_texts(TEXTS)).max() <= 1e-6
    assert tower.encode_texts([]).shape == (0, encoder.dim)


@pytest.mark.parametrize("name", ["toy-coca", "toy-class"])
def test_a_tower_that_is_not_plain_is_not_exported(toy, name):
    encoder = toy(name)
    with pytest.raises(NotPlain, match="class token"):
        export(encoder, model_name(encoder))
    assert not kept_path(model_name(encoder)).exists()


class Said(list):
    """A report that keeps what is said."""

    def note(self, text):
        self.append(text)


def test_one_line_says_what_became_of_the_tower(toy, monkeypatch, tmp_path):
    said = Said()
    keep(toy(), said, answered=True)
    assert len(said) == 1
    assert said[0].startswith("its text tower (14 MB) is kept in ")
    assert said[0].endswith(": the next query with words will not need torch.")
    keep(toy(), said, answered=True)
    assert len(said) == 1
    keep(toy("toy-coca"), said)
    assert len(said) == 1
    keep(toy("toy-coca"), said, answered=True)
    assert said[1].endswith("its text tower appends a class token (CoCa).")
    keep(load("builtin"), said, answered=True)
    assert len(said) == 2
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep(toy(), said)
    assert "was not kept: " in said[2]
    assert "Not a directory" in said[2]


def test_a_model_in_low_precision_exports_what_fp32_gives(exported, toy):
    path, encoder = exported(precision="bf16")
    tower = TowerEncoder(TowerFile(path), model_name(encoder))
    assert np.abs(tower.encode_texts(TEXTS) - toy().encode_texts(TEXTS)).max() <= 1e-6


def test_a_siglip_with_its_tokenizer_json_needs_neither_torch_nor_transformers(open_clip, unigram, tmp_path):
    """Loaded through transformers, which open_clip asks; skipped where it is not installed."""
    transformers = pytest.importorskip("transformers")
    import torch
    from safetensors.torch import save_file

    transformers.PreTrainedTokenizerFast(
        tokenizer_object=unigram, pad_token="<pad>", eos_token="</s>",
    ).save_pretrained(tmp_path / "words")  # fmt: skip
    config = open_clip.get_model_config("ViT-B-16-SigLIP2")
    config["text_cfg"] |= {"width": 64, "heads": 2, "layers": 2, "vocab_size": 32, "context_length": 12,
                           "hf_tokenizer_name": str(tmp_path / "words")}  # fmt: skip
    config |= {"embed_dim": 32, "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16}}
    (tmp_path / "toy-siglip.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "toy-siglip.json")
    torch.manual_seed(0)
    model = open_clip.create_model("toy-siglip", load_weights=False)
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(tensors, tmp_path / "w.safetensors")
    encoder = load(f"open_clip:toy-siglip@{tmp_path}/w.safetensors", precision="fp32", threads=1)
    file = TowerFile(export(encoder, model_name(encoder)))
    assert (file.stated.rules.kind, file.stated.shape.activation) == ("json", "gelu_tanh")
    found = TowerEncoder(file, model_name(encoder)).encode_texts(TEXTS)
    assert np.abs(found - encoder.encode_texts(TEXTS)).max() <= 1e-6


def test_what_is_there_is_not_written_again(exported):
    path, encoder = exported()
    before = path.stat().st_mtime_ns
    assert export(encoder, model_name(encoder)) == path
    assert path.stat().st_mtime_ns == before


def test_tokens_that_are_not_open_clips_stop_an_export(toy):
    encoder = toy()
    right = encoder._tokenizer
    encoder._tokenizer = Off(right)
    with pytest.raises(UnavailableError, match="other tokens"):
        export(encoder, model_name(encoder))
    encoder._tokenizer = right
    encoder.encode_texts = lambda texts: np.full((len(texts), 32), 32**-0.5, np.float32)
    with pytest.raises(UnavailableError, match="other vectors than torch"):
        export(encoder, model_name(encoder))
    assert not kept_path(model_name(encoder)).exists()


def Off(tokenizer):  # noqa: N802 - stands for a class
    """A tokenizer of the same type that gives another token."""
    made = object.__new__(type(tokenizer))
    made.__dict__.update(tokenizer.__dict__)
    made.bpe_ranks = dict(list(tokenizer.bpe_ranks.items())[::-1])
    return made


def test_int8_is_small_and_its_loss_is_measured(exported, tmp_path):
    path, encoder = exported()
    small = tmp_path / "int8.safetensors"
    loss = quantised(TowerFile(path), small)
    assert small.stat().st_size < 0.35 * path.stat().st_size
    tower = TowerEncoder(TowerFile(small), model_name(encoder))
    assert tower.fingerprint == f"{encoder.fingerprint}-int8"
    cosines = (tower.encode_texts(TEXTS) * encoder.encode_texts(TEXTS)).sum(axis=1)
    assert 0.99 < cosines.min() < 1 - 1e-7
    assert loss.texts == 48
    assert 0.99 < loss.least <= loss.median < 1


def test_rows_are_rounded_to_the_nearest_step():
    values = np.float32([[1, -0.5, 0.25], [0, 0, 0], [-127, 3, 0.4]])
    steps, scale = rounded(values)
    assert steps.tolist() == [[127, -64, 32], [0, 0, 0], [-127, 3, 0]]
    assert np.abs(steps * scale[:, None] - values).max() <= scale.max() / 2


def test_a_tower_of_another_model_is_refused(exported, toy):
    path, _ = exported("toy")
    with pytest.raises(BadDataError, match=r"the text tower .* is of .*, and the vectors of"):
        TowerEncoder(TowerFile(path), model_name(toy("toy-quick")))


def changed(path, change):
    """Write the tower again with what it states changed, its digest still right."""
    tensors = Tensors(path)
    stated = json.loads(tensors.metadata[KEY])
    arrays = {name: np.array(tensors.get(name)) for name in tensors.names()}
    change(stated, arrays)
    stated["digest"] = files.digest(stated, data_of(arrays))
    write(path, arrays, {KEY: json.dumps(stated)})


WRONG = {
    "activation": (lambda s, a: s["text"].update(activation="quick_gelu"), "gives another vector for"),
    "mask": (lambda s, a: s["text"].update(mask="none"), "gives another vector for"),
    "epsilon": (lambda s, a: s["text"].update(epsilon=1e-2), "gives another vector for"),
    "pooling": (lambda s, a: s["text"].update(pooling="last"), "gives another vector for"),
    "heads": (lambda s, a: s["text"].update(heads=4), "gives another vector for"),
    "cleaning": (lambda s, a: s["tokens"].update(clean="whitespace"), "gives another vector for"),
    "weights": (lambda s, a: a["text.ln_final.bias"].__iadd__(0.01), "gives another vector for"),
    "checks": (lambda s, a: a.update({"check.texts": a["check.texts"][:, :8].copy()}), "another length"),
    "nan": (lambda s, a: a["text.ln_final.bias"].fill(np.nan), "zero or not finite"),
    "shape": (lambda s, a: s["text"].update(width=128), "has the shape"),
    "unknown activation": (lambda s, a: s["text"].update(activation="relu"), "activation is 'relu'"),
    "unknown key": (lambda s, a: s["text"].update(rotary=True), "other things than this mmr knows: rotary"),
    "unknown word": (lambda s, a: s.update(more=1), "other things than this mmr knows: more"),
    "kind": (lambda s, a: s.update(kind="int4"), "kind 'int4'"),
    "format": (lambda s, a: s.update(format=2), "has format 2, and this mmr reads 1"),
    "unread": (lambda s, a: a.update({"text.more": np.zeros(2, np.float32)}), "would go unread: text.more"),
    "strange": (lambda s, a: a.update({"more": np.zeros(2, np.float32)}), "tensor that is read: more"),
    "lacking": (lambda s, a: a.pop("text.ln_final.bias"), "lacks the tensor text.ln_final.bias"),
    "merges": (lambda s, a: a.update(tokens=a["tokens"][:-200].copy()), "merges, and CLIP's has 48,894"),
    "picture": (lambda s, a: s["pictures"]["shape"].update(activation="quick_gelu"), "its check picture"),
    "picture's mean": (lambda s, a: s["pictures"]["preparation"].update(mean_0=0.1), "its check picture"),
    "picture's mode": (lambda s, a: s["pictures"]["preparation"].update(mode="longest"), "does not know"),
    "picture's patch": (lambda s, a: s["pictures"]["shape"].update(patch=0), "32 in patches of 0"),
    "picture's key": (lambda s, a: s["pictures"].update(more=1), "other things than this mmr knows: more"),
    "picture's size": (lambda s, a: s["pictures"]["preparation"].update(side=48), "of another size"),
    "context": (lambda s, a: s["tokens"].update(context=76), "gives 76 tokens, and the tower takes 77"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_tower_is_a_sentence_and_never_a_vector(exported, name):
    path, encoder = exported()
    change, words = WRONG[name]
    changed(path, change)
    with pytest.raises(BadDataError, match=words):
        TowerEncoder(TowerFile(path), model_name(encoder))
        TowerFile(path).pictures()


def test_damage_is_found_byte_by_byte(exported):
    path, encoder = exported()
    whole = path.read_bytes()
    model = model_name(encoder)
    start = Tensors(path).start
    rng = np.random.default_rng(0)
    places = [*rng.integers(8, start, 80).tolist(), *rng.integers(start, len(whole), 6).tolist()]
    for at in [0, 1, 7, 8, 9, *places]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(BadDataError):
            TowerEncoder(TowerFile(path), model)
    for length in (0, 5, 8, start, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(BadDataError, match="holds no weights"):
            TowerEncoder(TowerFile(path), model)
    path.write_bytes(whole)
    TowerEncoder(TowerFile(path), model)


def test_a_file_is_looked_at_once_for_each_version(exported, monkeypatch):
    path, encoder = exported()
    looked = []
    monkeypatch.setattr(TowerFile, "check", lambda self, words: looked.append(self.path))
    for _ in range(3):
        TowerEncoder(TowerFile(path), model_name(encoder))
    assert len(looked) == 1
    monkeypatch.setattr(files, "versions", lambda: ["other"])
    TowerEncoder(TowerFile(path), model_name(encoder))
    assert len(looked) == 2
    shutil.copy(path, path.with_name("copy.safetensors"))
    TowerEncoder(TowerFile(path.with_name("copy.safetensors")), model_name(encoder))
    assert len(looked) == 3


def test_a_cache_that_cannot_be_written_stops_nothing(exported, monkeypatch, tmp_path):
    path, encoder = exported()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for _ in range(2):
        TowerEncoder(TowerFile(path), model_name(encoder))


def test_pictures_take_the_whole_model(exported):
    path, encoder = exported()
    with pytest.raises(UnavailableError, match="embeds words alone"):
        TowerEncoder(TowerFile(path), model_name(encoder)).encode_images([])


def some_pictures():
    """Random pictures of many shapes, one of them a single pixel."""
    rng = np.random.default_rng(0)
    shapes = [(40, 40), (33, 70), (90, 31), (1, 1), (300, 401), (5, 200), (32, 32), (32, 45), (67, 32)]
    return [Image.fromarray(rng.integers(0, 255, (*shape, 3), np.uint8)) for shape in shapes]


@pytest.mark.parametrize("name", ["toy", "toy-quick"])
def test_pictures_are_torchs_where_the_tower_is_a_plain_vit(exported, name):
    path, encoder = exported(name)
    file = TowerFile(path)
    tower = PictureTowerEncoder(file, model_name(encoder), file.pictures())
    assert isinstance(tower, Prepares)
    for picture in some_pictures():
        assert np.array_equal(tower.prepare(picture), encoder.prepare(picture)), picture.size
    expected = encoder.encode_images(some_pictures())
    assert np.abs(tower.encode_images(some_pictures()) - expected).max() <= 1e-6
    assert np.abs(tower.encode_texts(TEXTS) - encoder.encode_texts(TEXTS)).max() <= 1e-6
    assert tower.encode_images([]).shape == (0, encoder.dim)


@pytest.mark.parametrize("how", [
    {"resize_mode": "squash", "interpolation": "bilinear", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    {"resize_mode": "shortest", "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
])  # fmt: skip
def test_preprocessing_beside_the_weights_is_that_of_torch(toys, random_weights, tmp_path, how):
    shutil.copy(random_weights("toy"), tmp_path / "w.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"preprocess_cfg": how}))
    encoder = load(f"open_clip:toy@{tmp_path}/w.safetensors", precision="fp32", threads=1)
    file = TowerFile(export(encoder, model_name(encoder)))
    pictures = file.pictures()
    for picture in some_pictures():
        assert np.array_equal(pictures.prepare(picture), encoder.prepare(picture)), (how, picture.size)
    found = PictureTowerEncoder(file, model_name(encoder), pictures).encode_images(some_pictures())
    assert np.abs(found - encoder.encode_images(some_pictures())).max() <= 1e-6


def test_preprocessing_that_is_not_known_leaves_pictures_to_torch(toys, random_weights, tmp_path):
    shutil.copy(random_weights("toy"), tmp_path / "w.safetensors")
    config = {"preprocess_cfg": {"resize_mode": "longest"}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    encoder = load(f"open_clip:toy@{tmp_path}/w.safetensors", precision="fp32", threads=1)
    assert TowerFile(export(encoder, model_name(encoder))).pictures() is None


def test_weights_that_are_others_or_gone_are_not_used(toys, random_weights, tmp_path):
    weights = tmp_path / "w.safetensors"
    shutil.copy(random_weights("toy"), weights)
    encoder = load(f"open_clip:toy@{weights}", precision="fp32", threads=1)
    file = TowerFile(export(encoder, model_name(encoder)))
    shutil.copy(random_weights("toy", 1), weights)
    with pytest.raises(BadDataError, match="is no longer the file that the index was built with"):
        file.pictures()
    weights.unlink()
    with pytest.raises(FileNotFoundError):
        file.pictures()
    os.mkfifo(weights)
    with pytest.raises(FileNotFoundError):
        file.pictures()


def test_towers_are_read_by_the_library_too(exported):
    numpy_files = pytest.importorskip("safetensors.numpy")
    path, _ = exported()
    tensors, read = Tensors(path), numpy_files.load_file(path)
    assert set(read) == set(tensors.names())
    assert all(np.array_equal(read[name], tensors.get(name)) for name in read)
