"""Token embeddings in texts: their own give the text's own vector, and learned ones come near a picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mmr.encoders import Injects, load
from mmr.encoders.inject import Placed, embedding_of, encoded, placed
from mmr.encoders.inversion import SEARLE, Inversion, Inverting, injecting
from mmr.encoders.open_clip_texts import shortened
from mmr.errors import UnavailableError, UsageError

torch = pytest.importorskip("torch", reason="needs the extra `clip`: pip install 'mmr[clip]'")
SENTENCES = {"a photo of {}": "a photo of cat", "that is {}, but as a sketch": "that is cat, but as a sketch"}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def toy(toys, random_weights):
    def make(name="toy"):
        return load(f"open_clip:{name}@{random_weights(name)}", precision="fp32", threads=1)

    return make


def own_embedding(model, tokenizer, template, word, count=1):
    """The model's own embeddings of the tokens in the slot."""
    text = placed(tokenizer, [template], count)
    tokens = tokenizer([template.replace("{}", " ".join([word] * count))])[0]
    with torch.no_grad():
        return embedding_of(model)(tokens[text.places[0]])[None]


def difference(model, tokenizer, template, sentence, count=1):
    """The largest difference between a sentence's vector and the same with its own embeddings put in."""
    words = own_embedding(model, tokenizer, template, "cat", count)
    with torch.no_grad():
        found = encoded(model, placed(tokenizer, [template], count), words, shortened)
        wanted = model.encode_text(tokenizer([sentence]))
    assert found.shape == wanted.shape
    found, wanted = (torch.nn.functional.normalize(one, dim=-1) for one in (found, wanted))
    return float((found - wanted).abs().max())


def test_a_tokens_own_embedding_gives_the_texts_own_vector(toys, toy):
    for name in toys:
        parts = toy(name).parts()
        for template, sentence in SENTENCES.items():
            assert difference(parts.model, parts.tokenizer, template, sentence) < 1e-5, (name, template)


def test_several_tokens(toy):
    parts = toy().parts()
    assert difference(parts.model, parts.tokenizer, "a {}, big", "a cat cat cat, big", 3) < 1e-5


def test_another_embedding_gives_another_vector(toy):
    encoder = toy()
    rng = np.random.default_rng(0)
    words = rng.normal(size=(2, 1, 64)).astype(np.float32)
    found = encoder.inject(["a photo of {}", "{}, seen from above"], words)
    assert found.shape == (2, 32)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert np.abs(found[0] - encoder.encode_texts(["a photo of cat"])[0]).max() > 0.01
    one = encoder.inject(["a photo of {}"], words[:1])
    assert np.abs(found[0] - one[0]).max() < 1e-6
    assert encoder.inject([], words[:0]).shape == (0, 32)


def canonical(texts, context_length=64):
    """A tokenizer as SigLIP's: lower case, punctuation gone, pieces of sentences padded to 64."""
    import string

    rows = torch.ones(len(texts), context_length, dtype=torch.long)
    known = {"a": 3, "photo": 4, "of": 5, "cat": 6, "dog": 7, "that": 8, "is": 9, "but": 10, "as": 11}
    for row, text in zip(rows, texts, strict=True):
        words = text.lower().translate(str.maketrans("", "", string.punctuation)).split()
        for place, word in enumerate(words[:context_length]):
            row[place] = known.get(word, 12 + sum(map(ord, word)) % 1000)
    return rows


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-16-SigLIP"])
def test_real_architectures(open_clip, name):
    """The text towers of real sizes, with seeded random weights."""
    config = open_clip.get_model_config(name)
    torch.manual_seed(0)
    tower = open_clip.model._build_text_tower(config["embed_dim"], config["text_cfg"]).eval()
    tower.encode_text = tower.forward
    tokenizer = open_clip.get_tokenizer(name) if "SigLIP" not in name else canonical
    for template, sentence in SENTENCES.items():
        assert difference(tower, tokenizer, template, sentence) < 1e-5


def test_the_slot_is_found_by_what_the_tokenizer_does(toy):
    tokenizer = toy().parts().tokenizer
    text = placed(tokenizer, ["a photo of {}"], 2)
    assert text.places.tolist() == [[4, 5]]
    dollars = placed(tokenizer, ["$ and {} and $"], 1)  # a character of the user's has no meaning
    assert dollars.places.tolist() == [[3]]
    assert tokenizer(["$ and cat and $"])[0][3] == dollars.tokens[0][3]
    assert canonical(["$"])[0][0] == 1
    assert placed(canonical, ["that is {}, but"], 1).places.tolist() == [[2]]


@pytest.mark.parametrize("template", ["a photo", "{} and {}", "a {}s", "pre{} x"])
def test_texts_without_one_slot_of_its_own(toy, template):
    with pytest.raises(UsageError, match="as a word of its own"):
        toy().inject([template], np.zeros((1, 1, 64), np.float32))
    with pytest.raises(UsageError, match="as a word of its own"):
        Inversion(templates=(template,))


def test_a_slot_beyond_the_models_length(toy):
    with pytest.raises(UsageError, match="no word in the place of"):
        toy().inject(["word " * 100 + "{}"], np.zeros((1, 1, 64), np.float32))


def test_towers_without_token_embeddings():
    with pytest.raises(UnavailableError, match="shows no token embeddings"):
        embedding_of(torch.nn.Linear(2, 2))
    with pytest.raises(UsageError, match="builtin takes no token embeddings"):
        injecting(load("builtin"))


def test_a_tower_of_transformers_shows_its_embeddings_another_way():
    class Inner(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(3000, 8)

        def get_input_embeddings(self):
            return self.words

    class Tower(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.transformer = Inner()

        def encode_text(self, tokens):
            return self.transformer.words(tokens).cumsum(dim=1)[:, -1]

    torch.manual_seed(0)
    tower = Tower()
    assert embedding_of(tower) is tower.transformer.words
    assert difference(tower, canonical, "a photo of {}", "a photo of cat") < 1e-5


def pictures(count=3):
    """Pictures unlike each other: stripes up, across and a slope, each in other colours."""
    y, x = np.mgrid[:40, :40]
    shades = [(x // 8 % 2), (y // 8 % 2), (x + y) / 80]
    mixes = [(255, 30, 0), (0, 255, 60), (20, 0, 255)]
    return [
        Image.fromarray((shade[..., None] * np.array(mix)).astype(np.uint8))
        for shade, mix in zip(shades[:count], mixes, strict=False)
    ]


WAYS = {"gap": Inversion(), "two": Inversion(steps=80, tokens=2), "searle": SEARLE}


@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
def test_the_loss_falls_and_the_vector_comes_near_the_pictures(toy, how):
    encoder = toy()
    assert isinstance(encoder, Injects)
    targets = encoder.encode_images(pictures())
    found = encoder.invert(targets, how)
    assert found.words.shape == (3, how.tokens, 64)
    made = encoder.inject(list(how.templates) * 3, found.words)
    cosines = (made * targets).sum(axis=1)
    assert np.abs(found.after - (1 - cosines)).max() < 1e-5
    plain = encoder.inject(list(how.templates) * 3, np.zeros_like(found.words))
    assert (found.after < found.before - 0.2).all()
    assert (cosines > (plain * targets).sum(axis=1) + 0.2).all()
    assert ((made @ targets.T).argmax(axis=1) == range(3)).all()


def test_inversion_is_seeded_and_does_not_depend_on_the_batch(toy):
    encoder = toy()
    targets = encoder.encode_images(pictures())
    how = Inversion(steps=20, templates=("a photo of {}", "a drawing of {}"))
    together = encoder.invert(targets, how).words
    assert np.array_equal(together, encoder.invert(targets, how).words)
    for row in range(3):
        alone = encoder.invert(targets[row : row + 1], how).words
        assert np.abs(alone - together[row]).max() < 1e-3
    other = encoder.invert(targets, Inversion(steps=20, templates=how.templates, seed=1)).words
    assert np.abs(other - together).max() > 1e-3


def naive(encoder, target, steps):
    """One picture's inversion as the papers state it, without a hook: AdamW written out, in float64."""
    model, tokenizer = encoder.parts().model, encoder.parts().tokenizer
    text = placed(tokenizer, ["a photo of {}"], 1)
    words = torch.randn((1, 1, 64), generator=torch.Generator().manual_seed(0)) * 0.02
    first, second = torch.zeros_like(words), torch.zeros_like(words)
    for step in range(1, steps + 1):
        words = words.detach().requires_grad_()
        out = torch.nn.functional.normalize(encoded(model, text, words, shortened), dim=-1)
        (slope,) = torch.autograd.grad(1 - (out[0] * target).sum(), [words])
        with torch.no_grad():
            words = words * (1 - 0.02 * 0.01)
            first = 0.9 * first + 0.1 * slope
            second = 0.999 * second + 0.001 * slope**2
            words = words - 0.02 * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
    return words


def test_steps_are_those_of_adamw(toy):
    encoder = toy()
    targets = encoder.encode_images(pictures(2))
    found = encoder.invert(targets, Inversion(steps=5)).words
    for row in range(2):
        wanted = naive(encoder, torch.from_numpy(targets[row]), 5)
        assert np.abs(found[row] - wanted.numpy()).max() < 1e-4


def test_an_encoder_that_inverts_its_pictures(toy):
    encoder = toy()
    inverting = Inverting(encoder, Inversion(steps=60))
    targets = encoder.encode_images(pictures())
    found = inverting.encode_images(pictures())
    prepared = inverting.encode_prepared([inverting.prepare(one) for one in pictures()])
    assert np.array_equal(found, prepared)
    assert ((found @ targets.T).argmax(axis=1) == range(3)).all()
    assert np.array_equal(inverting.encode_texts(["a cat"]), encoder.encode_texts(["a cat"]))
    assert (inverting.spec, inverting.fingerprint) == (encoder.spec, encoder.fingerprint)
    assert inverting.runs.endswith("inverted in 60 steps")


def test_weights_stay_as_they_were(toy):
    encoder = toy()
    before = {key: value.clone() for key, value in encoder.parts().model.state_dict().items()}
    encoder.invert(encoder.encode_images(pictures(1)), Inversion(steps=3))
    after = encoder.parts().model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert isinstance(placed(encoder.parts().tokenizer, ["{}"], 1), Placed)
