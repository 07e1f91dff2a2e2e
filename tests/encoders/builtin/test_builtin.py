"""The encoder as it ships: shapes, sense, sameness, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmr.encoders.builtin import VOCABULARY, WEIGHTS, load
from mmr.encoders.builtin.weights import Weights, fingerprint, shipped
from mmr.errors import UsageError


@pytest.fixture(scope="module")
def encoder():
    return load()


def drawn(colour, shape="ellipse", count=1, size=160):
    sheet = Image.new("RGB", (size, size), "white")
    pen = ImageDraw.Draw(sheet)
    width = size * 0.8 / count
    for i in range(count):
        left = size * 0.1 + i * width
        box = (left, size / 2 - width * 0.45, left + width * 0.9, size / 2 + width * 0.45)
        getattr(pen, shape)(box, fill=colour)
    return sheet


def assorted():
    rng = np.random.default_rng(3)
    noise = [Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)) for _ in range(10)]
    return [drawn("red"), drawn("blue", "rectangle"), *noise, drawn("green", count=3)]


def test_the_fingerprint_is_that_of_the_files(encoder):
    weights = Weights(shipped(WEIGHTS))
    assert encoder.fingerprint == fingerprint(weights, shipped(VOCABULARY).read_bytes())
    assert len(encoder.fingerprint) == 12
    assert int(encoder.fingerprint, 16) >= 0


def test_another_vocabulary_gives_another_fingerprint(encoder):
    weights = Weights(shipped(WEIGHTS))
    assert encoder.fingerprint != fingerprint(weights, shipped(VOCABULARY).read_bytes() + b"zebra\n")


def test_the_weights_may_ship():
    assert shipped(WEIGHTS).stat().st_size < 20_000_000


def test_the_vocabulary_has_a_row_a_piece():
    table = Weights(shipped(WEIGHTS)).tensor("text.table")
    assert len(shipped(VOCABULARY).read_bytes().split(b"\n")) - 1 == len(table)


def test_texts_become_unit_rows(encoder):
    texts = ["a red apple", "", "  ", "🍎", "naïve café", "\x00\ud800", "x" * 500, "word " * 100_000, "東京"]
    rows = encoder.encode_texts(texts)
    assert rows.shape == (len(texts), encoder.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_pictures_of_any_size_and_mode_become_unit_rows(encoder):
    modes = ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "F"]
    pictures = [Image.new(mode, (5, 9)) for mode in modes]
    pictures += [
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (3000, 2)),
        Image.new("RGBA", (1, 1), (0, 0, 0, 0)),
    ]
    rows = encoder.encode_images(pictures)
    assert rows.shape == (len(pictures), encoder.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_nothing_in_gives_no_rows(encoder):
    assert encoder.encode_texts([]).shape == (0, encoder.dim)
    assert encoder.encode_images([]).shape == (0, encoder.dim)


def test_transparent_is_white(encoder):
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    np.testing.assert_array_equal(
        encoder.encode_images([clear]), encoder.encode_images([Image.new("RGB", (64, 64), "white")])
    )


def test_a_row_does_not_depend_on_its_batch(encoder):
    texts = [f"picture number {i} of a cat" for i in range(300)]
    together = encoder.encode_texts(texts)
    alone = np.concatenate([encoder.encode_texts([text]) for text in texts[250:]])
    np.testing.assert_allclose(together[250:], alone, atol=1e-6)
    pictures = assorted() * 3
    together = encoder.encode_images(pictures)
    alone = np.concatenate([encoder.encode_images([picture]) for picture in pictures[-7:]])
    np.testing.assert_allclose(together[-7:], alone, atol=1e-6)


def test_threads_change_nothing(encoder):
    pictures = assorted() * 3
    np.testing.assert_array_equal(
        load(threads=1).encode_images(pictures), load(threads=3).encode_images(pictures)
    )


def test_prepared_pictures_give_the_same(encoder):
    pictures = assorted()
    prepared = [encoder.prepare(picture) for picture in pictures]
    np.testing.assert_array_equal(encoder.encode_prepared(prepared), encoder.encode_images(pictures))


def test_patches_are_unit_rows_and_differ_by_place(encoder):
    sheet = Image.new("RGB", (256, 256), "white")
    sheet.paste(drawn("red", size=128), (0, 0))
    sheet.paste(drawn("blue", "rectangle", size=128), (128, 128))
    prepared = [encoder.prepare(one) for one in (sheet, drawn("green"))]
    found = encoder.encode_tokens(prepared, [(256, 256), (64, 64)])
    rows = np.stack(found.rows)
    assert rows.shape == (2, 16, encoder.dim)
    assert rows.dtype == np.float32
    assert found.boxes[0][:2].tolist() == [[0, 0, 0.25, 0.25], [0.25, 0, 0.5, 0.25]]
    assert found.boxes[1][-1].tolist() == [0.75, 0.75, 1, 1] and not found.failed
    np.testing.assert_allclose(np.linalg.norm(rows, axis=2), 1, atol=1e-5)
    colours = encoder.encode_texts(["red", "blue"])
    leaning = (rows[0] @ (colours[0] - colours[1])).reshape(4, 4)
    assert leaning[:2, :2].mean() > leaning[2:, 2:].mean() + 0.1
    assert encoder.encode_tokens([], []).rows == []


def test_it_has_no_tokens_of_words(encoder):
    assert encoder.no_tokens("image") == "" and "adds up the words" in encoder.no_tokens("text")
    found = encoder.encode_word_tokens(["a cat"])
    assert list(found.failed) == [0] and found.rows[0].shape == (0, encoder.dim)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("a red apple", "an apple", "a car"),
        ("a cat at night", "a kitten in the dark", "a bicycle by day"),
        ("two cars", "some automobiles", "two flowers"),
        ("sad face", "an unhappy person", "a house"),
        ("a house by the sea", "a building on the beach", "a cup of coffee"),
        ("🍎", "a red apple", "a dog"),
        ("ein roter Apfel", "a red apple", "a car"),
        ("красное яблоко", "a red apple", "a dog"),
        ("die Katze", "a cat", "a car"),
        ("chien", "a dog", "a house"),
        ("猫", "a cat", "a bicycle"),
        ("赤いリンゴ", "a red apple", "a cat"),
        ("zwei rote Äpfel", "red apples", "a cat"),
    ],
)
def test_near_meanings_are_near(encoder, text, near, far):
    asked, close, distant = encoder.encode_texts([text, near, far])
    assert asked @ close > asked @ distant + 0.1


@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow"])
def test_a_drawn_circle_has_its_colour(encoder, colour):
    colours = ["red", "green", "blue", "yellow"]
    picture = encoder.encode_images([drawn(colour)])[0]
    scores = encoder.encode_texts([f"a {name} circle" for name in colours]) @ picture
    assert colours[int(scores.argmax())] == colour


def test_a_circle_is_not_a_square(encoder):
    round_one, square = encoder.encode_images([drawn("black"), drawn("black", "rectangle")])
    circle, box = encoder.encode_texts(["a black circle", "a black square"])
    assert round_one @ circle > round_one @ box
    assert square @ box > square @ circle


def test_it_doubts_itself_when_most_pictures_are_photographs(monkeypatch):
    own = load()
    assert own.doubt() == ""
    own.encode_images([drawn("red"), drawn("blue", "rectangle")])
    assert own.doubt() == ""
    with monkeypatch.context() as taken:
        taken.setattr(own._tower(), "photo_share", lambda early: np.ones(len(early), np.float32))
        own.encode_images(assorted()[:3])
    assert own.doubt().startswith("3 of 5 pictures look like photographs")
    assert "--model clip" in own.doubt()
    own.encode_images([drawn("green")])
    assert own.doubt() == ""


def test_another_spec_is_refused():
    with pytest.raises(UsageError, match="builtin"):
        load("builtin:large")


def test_a_text_needs_no_picture_library():
    script = (
        "import sys; from mmr.encoders.builtin import load; load().encode_texts(['a red apple']);"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'PIL', 'torch', 'faiss', 'open_clip',"
        " 'scipy', 'safetensors'}), 'mmr.encoders.builtin.vision' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[] False"
