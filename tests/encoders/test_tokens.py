"""Patches of pictures and tokens of words: the model's own modules, one place at a time; never padding."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from mmr.encoders import Tokens, load
from mmr.encoders.open_clip_tokens import boxes, no_patches, no_words, patches, real
from tests.encoders.conftest import SIGHT, TOWER

TEXTS = ["a cat", "Two RED apples, half-eaten!", "x", "a photo of a very small dog on a large sofa"]
SIGHTS = {
    "tokens-avg": {**SIGHT, "pool_type": "avg", "no_ln_pre": True},
    "tokens-after": {**SIGHT, "final_ln_after_pool": True},
    "tokens-attends": {**SIGHT, "attentional_pool": True, "attn_pooler_heads": 2},
    "tokens-twice": {**SIGHT, "attentional_pool": "parallel", "attn_pooler_heads": 2},
    "tokens-resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16},
    "tokens-convnext": {"image_size": 64, "timm_model_name": "test_convnext", "timm_pool": "",
                        "timm_proj": "linear"},
    "tokens-map": {"image_size": 160, "timm_model_name": "test_vit3", "timm_pool": "map",
                   "timm_proj": "none"},
    "tokens-registers": {"image_size": 160, "timm_model_name": "test_vit2", "timm_pool": "avg",
                         "timm_proj": "linear"},
    "tokens-class": {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "token",
                     "timm_proj": None},
}  # fmt: skip
DIMS = {"tokens-map": 96}


@pytest.fixture(scope="module")
def sights(toys, open_clip, tmp_path_factory):
    """Add architectures with every kind of picture tower that has patches, and two that have not."""
    folder = tmp_path_factory.mktemp("sights")
    for name, sight in SIGHTS.items():
        config = {"embed_dim": DIMS.get(name, 32), "vision_cfg": sight, "text_cfg": TOWER}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


@pytest.fixture(scope="module")
def made(sights, random_weights):
    encoders = {}

    def make(name):
        if name not in encoders:
            file = random_weights(name)
            encoders[name] = load(f"open_clip:{name}@{file}", precision="fp32", device="cpu", threads=1)
        return encoders[name]

    return make


def pictures(sizes=((40, 30), (30, 40), (64, 64), (100, 20))):
    rng = np.random.default_rng(3)
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8)) for w, h in sizes]


def encoded(encoder, some):
    prepared = [encoder.prepare(one) for one in some]
    return encoder.encode_tokens(prepared, [one.size for one in some])


def unit(rows):
    rows = rows.detach().double().numpy()
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def naive_words(model, tokenizer, text):
    """The tokens of one text, each through the tower as its last pooled place."""
    import torch

    tower = getattr(model, "text", model)
    ids = tokenizer([text])
    count = len(tokenizer.encode(text))
    x = tower.token_embedding(ids) + tower.positional_embedding
    mask = {} if tower.attn_mask is None else {"attn_mask": tower.attn_mask}
    x = tower.transformer(x, **mask)
    rows = [tower.ln_final(x[0, place]) @ tower.text_projection for place in range(1, count + 1)]
    return unit(torch.stack(rows))


@pytest.mark.parametrize("name", ["toy", "toy-quick", "toy-custom", "toy-eos", "toy-last", "toy-open"])
def test_tokens_of_words_are_those_of_the_tower(made, name):
    encoder = made(name)
    assert isinstance(encoder, Tokens) and encoder.no_tokens("text") == ""
    parts = encoder.parts()
    found = encoder.encode_word_tokens(TEXTS)
    for text, rows in zip(TEXTS, found.rows, strict=True):
        expected = naive_words(parts.model, parts.tokenizer, text)
        assert rows.dtype == np.float32 and rows.shape == expected.shape
        np.testing.assert_allclose(rows, expected, atol=2e-6)
    assert found.boxes == [None] * 4 and not found.failed


def test_the_vector_of_a_text_is_that_of_the_token_behind_its_words(made):
    """A causal tower that reads its end token: cut there, that token is the text's own vector."""
    encoder = made("toy")
    parts = encoder.parts()
    ids = parts.tokenizer(["a cat"])
    x = parts.model.token_embedding(ids) + parts.model.positional_embedding
    x = parts.model.ln_final(parts.model.transformer(x, attn_mask=parts.model.attn_mask))
    end = unit(x[:, 3] @ parts.model.text_projection)
    np.testing.assert_allclose(encoder.encode_texts(["a cat"]), end, atol=2e-6)


def one_by_one(model, pixels):
    """Each patch of one picture through the model's own modules, alone."""
    import torch

    tower = model.visual
    kind = type(tower).__name__
    if kind == "VisionTransformer":
        x = tower._embeds(pixels)
        blocks = list(tower.transformer.resblocks)
        by_class = tower.attn_pool is None and tower.pool_type == "tok"
        for block in blocks[:-1] if by_class else blocks:
            x = block(x)
        rows = []
        for place in range(1, x.shape[1]):
            patch = x[:, place : place + 1]
            patch = blocks[-1](patch) if by_class else patch
            pooled = (
                tower.ln_post(tower.attn_pool(patch))[:, 0] if tower.attn_pool else tower.ln_post(patch)[:, 0]
            )
            rows.append((pooled @ tower.proj)[0])
        return torch.stack(rows)
    if kind == "ModifiedResNet":
        x = tower.layer4(tower.layer3(tower.layer2(tower.layer1(tower.stem(pixels)))))
        x = x[0].flatten(1).T + tower.attnpool.positional_embedding[1:]
        return torch.stack([tower.attnpool.c_proj(tower.attnpool.v_proj(patch)) for patch in x])
    x = tower.trunk.forward_features(pixels)
    if x.ndim == 4:
        places = [x[:, :, i : i + 1, j : j + 1] for i in range(x.shape[2]) for j in range(x.shape[3])]
        return torch.stack([tower.head(tower.trunk.forward_head(one))[0] for one in places])
    patches = [x[:, place : place + 1] for place in range(tower.trunk.num_prefix_tokens, x.shape[1])]
    if tower.trunk.attn_pool is not None:
        pooled = [tower.trunk.attn_pool(one) for one in patches]
    else:
        pooled = [one[:, 0] for one in patches]
    return torch.stack([tower.head(tower.trunk.head(tower.trunk.fc_norm(one)))[0] for one in pooled])


HAVE = ["toy", "toy-custom", "toy-coca", *(n for n in SIGHTS if n not in ("tokens-twice", "tokens-class"))]


@pytest.mark.parametrize("name", HAVE)
def test_patches_are_what_the_models_own_pool_gives_of_each_alone(made, name):
    import torch

    encoder = made(name)
    assert encoder.no_tokens("image") == ""
    some = pictures()[:2]
    found = encoded(encoder, some)
    for picture, rows in zip(some, found.rows, strict=True):
        with torch.no_grad():
            expected = unit(one_by_one(encoder.parts().model, encoder._scaled([encoder.prepare(picture)])))
        assert rows.dtype == np.float32 and rows.shape == expected.shape
        np.testing.assert_allclose(rows, expected, atol=5e-6)


def test_where_the_tower_averages_the_mean_of_its_patches_is_the_vector(made):
    import torch

    encoder = made("tokens-avg")
    pixels = encoder._scaled([encoder.prepare(one) for one in pictures()])
    with torch.no_grad():
        mean = patches(encoder.parts().model, pixels).rows.mean(dim=1)
    np.testing.assert_allclose(unit(mean), encoder.encode_images(pictures()), atol=5e-6)


@pytest.mark.parametrize("name", ["toy", "tokens-map", "tokens-resnet", "tokens-convnext"])
def test_batch_mates_never_change_a_vector(made, name):
    encoder = made(name)
    some = pictures()
    together = encoded(encoder, some)
    for row, one in enumerate(some):
        alone = encoded(encoder, [one])
        np.testing.assert_allclose(together.rows[row], alone.rows[0], atol=2e-6)
        np.testing.assert_array_equal(together.boxes[row], alone.boxes[0])
    if encoder.no_tokens("text") == "":
        words = encoder.encode_word_tokens(TEXTS)
        for row, text in enumerate(TEXTS):
            np.testing.assert_allclose(words.rows[row], encoder.encode_word_tokens([text]).rows[0], atol=2e-6)


def test_what_has_none_says_why(made):
    assert "pools twice" in made("tokens-twice").no_tokens("image")
    assert "class token, apart" in made("tokens-class").no_tokens("image")
    assert "writing captions" in made("toy-coca").no_tokens("text")
    assert made("toy-coca").no_tokens("image") == ""

    class Odd:
        visual = text = None

    assert no_patches(Odd()) == "its picture tower is NoneType, whose patches are not known"
    assert "Hugging Face" in no_words(Odd(), None)
    assert "padding is not known" in no_words(made("toy").parts().model, object())


def test_a_text_without_a_token_fails_alone(made):
    found = made("toy").encode_word_tokens(["a cat", "", "  "])
    assert sorted(found.failed) == [1, 2] and "no token" in found.failed[1]
    assert [len(rows) for rows in found.rows] == [2, 0, 0]
    assert made("toy").encode_word_tokens([]).rows == []
    assert encoded(made("toy"), []).rows == []


def test_texts_beyond_the_models_length_are_cut_and_counted(made):
    encoder = made("toy")
    before = encoder.cut
    found = encoder.encode_word_tokens(["word " * 100, "word"])
    assert [len(rows) for rows in found.rows] == [75, 1] and encoder.cut == before + 1


class Sentence:
    """As open_clip's tokenizers of Hugging Face hold theirs."""

    bos_token_id, eos_token_id, pad_token_id, unk_token_id = None, 1, 0, 2


class Pieces:
    tokenizer = Sentence()


def test_tokens_of_hugging_face_that_are_words(open_clip):
    import torch

    ids = torch.tensor([[5, 2, 7, 1, 0, 0], [1, 0, 0, 0, 0, 0], [9, 9, 9, 9, 9, 1]])
    assert real(Pieces(), ids).tolist() == [
        [True, True, True, False, False, False],
        [False] * 6,
        [True, True, True, True, True, False],
    ]


def test_exclamation_marks_are_words_and_zeros_behind_the_end_are_not(made):
    tokenizer = made("toy").parts().tokenizer
    ids = tokenizer(["! ! cat"])
    assert (ids[0] == 0).sum() > 70  # padding has the number of "!" without a blank behind it
    assert real(tokenizer, ids)[0].nonzero()[:, 0].tolist() == [1, 2, 3]


BOXES = [
    ("squash", (200, 100), [[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]]),
    ("shortest", (200, 100), [[0.25, 0, 0.5, 0.5], [0.5, 0, 0.75, 0.5], [0.25, 0.5, 0.5, 1],
                              [0.5, 0.5, 0.75, 1]]),
    ("shortest", (100, 200), [[0, 0.25, 0.5, 0.5], [0.5, 0.25, 1, 0.5], [0, 0.5, 0.5, 0.75],
                              [0.5, 0.5, 1, 0.75]]),
    ("longest", (200, 100), [[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]]),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "size", "expected"), BOXES)
def test_boxes_by_hand(mode, size, expected):
    found, empty = boxes((2, 2), size, (32, 32), mode)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert not empty.any()


def test_patches_of_what_was_filled_up_are_none():
    """A picture four times as wide as high fills the middle two of eight rows."""
    found, empty = boxes((8, 8), (400, 100), (32, 32), "longest")
    assert empty.reshape(8, 8).all(axis=1).tolist() == [True] * 3 + [False] * 2 + [True] * 3
    np.testing.assert_allclose(found.reshape(8, 8, 4)[3, 0], [0, 0, 0.125, 0.5])


@pytest.mark.parametrize("mode", ["squash", "shortest", "longest"])
@pytest.mark.parametrize("size", [(40, 30), (30, 40), (57, 57), (160, 40)])
def test_a_box_shows_where_the_preprocessing_takes_a_patch_from(open_clip, mode, size):
    """A white patch in a black picture, of the size of its box, comes out in that patch and in no other."""
    import torch

    transform = open_clip.image_transform(
        (64, 64), is_train=False, mean=(0, 0, 0), std=(1, 1, 1), interpolation="bilinear", resize_mode=mode
    )
    scale = 16
    size = (size[0] * scale, size[1] * scale)
    found, empty = boxes((2, 2), size, (64, 64), mode)
    for place in np.flatnonzero(~empty):
        canvas = np.zeros((size[1], size[0], 3), np.uint8)
        left, top, right, bottom = (found[place] * [*size, *size]).round().astype(int)
        canvas[top:bottom, left:right] = 255
        seen = transform(Image.fromarray(canvas)).mean(0).reshape(2, 32, 2, 32).mean(dim=(1, 3)).flatten()
        assert int(torch.argmax(seen)) == place
        assert float(seen[place]) > 5 * float(seen.sum() - seen[place])
