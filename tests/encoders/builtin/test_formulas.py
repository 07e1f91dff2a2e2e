"""The fast paths beside their formulas, written plainly in float64."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.encoders.builtin import VOCABULARY, WEIGHTS, blas
from mmr.encoders.builtin.architecture import BLOCKS, Block
from mmr.encoders.builtin.pictures import CLASSES, class_mixture
from mmr.encoders.builtin.text import TextTower, gelu
from mmr.encoders.builtin.vision import filtered, pointwise, stem
from mmr.encoders.builtin.weights import Weights, shipped
from mmr.encoders.builtin.wordpiece import WordPiece, words


def plain_filter(x, block, weight, bias):
    """Slide a window over each channel, pixel by pixel."""
    before, after = block.padding
    wide = np.pad(x.astype(np.float64), ((0, 0), (before, after), (before, after), (0, 0)))
    n, height, width, channels = x.shape
    out = np.zeros((n, height // block.stride, width // block.stride, channels))
    window = weight.astype(np.float64).reshape(block.kernel, block.kernel, channels)
    for y in range(out.shape[1]):
        for x_at in range(out.shape[2]):
            top, left = y * block.stride, x_at * block.stride
            part = wide[:, top : top + block.kernel, left : left + block.kernel]
            out[:, y, x_at] = (part * window).sum((1, 2)) + bias
    return out


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_convolution(kernel, stride):
    rng = np.random.default_rng(kernel + stride)
    block = Block(kernel, stride, 1, 6, 6)
    x = rng.normal(size=(2, 8, 8, 6)).astype(np.float32)
    weight = rng.normal(size=(kernel * kernel, 6)).astype(np.float32)
    bias = rng.normal(size=6).astype(np.float32)
    np.testing.assert_allclose(
        filtered(x, block, weight, bias), plain_filter(x, block, weight, bias), atol=1e-5
    )


def test_stem_convolution():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2, 8, 8, 3)).astype(np.float32)
    weight, bias = rng.normal(size=(27, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    wide = np.pad(x.astype(np.float64), ((0, 0), (0, 1), (0, 1), (0, 0)))
    expected = np.zeros((2, 4, 4, 4))
    for y in range(4):
        for x_at in range(4):
            part = wide[:, 2 * y : 2 * y + 3, 2 * x_at : 2 * x_at + 3].reshape(2, 27)
            expected[:, y, x_at] = part @ weight + bias
    np.testing.assert_allclose(stem(x, weight, bias), expected, atol=1e-5)


def test_pointwise_convolution():
    rng = np.random.default_rng(6)
    x, weight = rng.normal(size=(2, 3, 5, 7)).astype(np.float32), rng.normal(size=(7, 4)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)
    expected = np.einsum("nhwi,io->nhwo", x.astype(np.float64), weight) + bias
    np.testing.assert_allclose(pointwise(x, weight, bias), expected, atol=1e-5)


def test_the_blocks_fit_together():
    assert [block.inputs for block in BLOCKS[1:]] == [block.outputs for block in BLOCKS[:-1]]
    assert (BLOCKS[0].inputs, BLOCKS[-1].outputs, len(BLOCKS)) == (32, 320, 16)


def test_gelu():
    x = np.linspace(-6, 6, 101)
    expected = [v / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3))) for v in x]
    np.testing.assert_allclose(gelu(x.astype(np.float32)), expected, atol=1e-6)


def test_class_mixture():
    rng = np.random.default_rng(7)
    logits = rng.normal(size=(3, 200)).astype(np.float32) * 4
    vectors = rng.normal(size=(200, 5)).astype(np.float32)
    made = class_mixture(logits.copy(), vectors)
    for row, logit in zip(made, logits.astype(np.float64), strict=True):
        best = np.argsort(-logit)[:CLASSES]
        share = np.exp(logit[best] / 2) / np.exp(logit[best] / 2).sum()
        mixed = share @ vectors[best]
        np.testing.assert_allclose(row, mixed / np.linalg.norm(mixed), atol=1e-5)


def test_text_tower():
    weights, vocabulary = Weights(shipped(WEIGHTS)), shipped(VOCABULARY).read_bytes()
    text = "Two unbelievable cats, sleeping"
    rows = WordPiece(vocabulary).pieces(text)
    table = weights.tensor("text.table")[rows].astype(np.float64)
    summed = (table * weights.tensor("text.scale")[rows].astype(np.float64)[:, None]).sum(0)
    summed *= 4 / np.linalg.norm(summed)
    layers = [weights.tensor(f"text.{name}.weight").astype(np.float64) for name in ("inner", "outer")]
    inner = summed @ layers[0] + weights.tensor("text.inner.bias")
    inner = inner / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3)))
    out = summed + inner @ layers[1] + weights.tensor("text.outer.bias")
    made = TextTower(weights, vocabulary).encode([text])[0]
    np.testing.assert_allclose(made, out / np.linalg.norm(out), atol=1e-5)


SMALL = WordPiece(b"un\nunder\n##break\n##able\n##a\n##b\ncat\n,\n\xe6\x9d\xb1\n")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("Unbreakable", [0, 2, 3]),
        ("underab", [1, 4, 5]),
        ("cat, CAT", [6, 7, 6]),
        ("c\u00e0t", [6]),
        ("dog cat", [6]),
        ("unx", []),
        ("東cat東", [8, 6, 8]),
        ("ca\u200dt\ufe0f", [6]),
        ("", []),
    ],
)
def test_word_pieces(text, rows):
    assert SMALL.pieces(text) == rows


def test_emoji_are_read_by_name():
    assert words("I ❤ 🐈!") == ["i", "heavy", "black", "heart", "cat", "!"]


def plain_pieces(vocabulary, word):
    """Cut greedily by trying every prefix, longest first."""
    found, rest = [], word
    while rest:
        front = "##" if found else ""
        fitting = [end for end in range(1, len(rest) + 1) if front + rest[:end] in vocabulary]
        if not fitting:
            return []
        found.append(vocabulary.index(front + rest[: max(fitting)]))
        rest = rest[max(fitting) :]
    return found


@given(st.text("abcun", min_size=1, max_size=12))
def test_cutting_is_greedy(word):
    vocabulary = ["a", "ab", "abc", "un", "##a", "##b", "##ca", "##un", "##nu"]
    cutter = WordPiece(("\n".join(vocabulary) + "\n").encode())
    assert cutter.cut(word) == plain_pieces(vocabulary, word)


def test_mapped_tensors_are_what_was_written(tmp_path):
    matrix = np.arange(6, dtype=np.int8).reshape(2, 3)
    scale = np.array([1, 2, 0.5], np.float32)
    header = json.dumps(
        {
            "__metadata__": {"dim": "3"},
            "m": {"dtype": "I8", "shape": [2, 3], "data_offsets": [0, 6]},
            "m.scale": {"dtype": "F32", "shape": [3], "data_offsets": [6, 18]},
        }
    ).encode()
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + matrix.tobytes() + scale.tobytes())
    weights = Weights(path)
    assert weights.names() == ["m", "m.scale"]
    assert weights.metadata == {"dim": "3"}
    np.testing.assert_array_equal(weights.matrix("m"), [[0, 2, 1], [3, 8, 2.5]])


def test_blas_threads_come_back():
    functions = blas._thread_functions()
    if functions is None:
        pytest.skip("this NumPy does not carry OpenBLAS")
    read, write = functions
    before = read()
    write(2)
    try:
        with pytest.raises(KeyError), blas.one_thread():
            assert read() == 1
            raise KeyError
        assert read() == 2
    finally:
        write(before)
