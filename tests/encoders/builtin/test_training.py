"""What the training scripts compute, where it needs neither the network nor the extra `train`."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from PIL import Image

from mmr.encoders.builtin import VOCABULARY, WEIGHTS, load
from mmr.encoders.builtin.architecture import BLOCKS, SHARED_BLOCKS
from mmr.encoders.builtin.text import TextTower
from mmr.encoders.builtin.training import captions, packing, pixels, raster, scenery, sources, wordnet
from mmr.encoders.builtin.training.captions import Scene
from mmr.encoders.builtin.vision import late_network, shared_network
from mmr.encoders.builtin.weights import Weights, shipped


@pytest.mark.parametrize(
    ("one", "many"),
    [("cat", "cats"), ("box", "boxes"), ("party hat", "party hats"), ("cherry", "cherries"), ("key", "keys"),
     ("mouse", "mice"), ("fish", "fish"), ("sandwich", "sandwiches")],
)  # fmt: skip
def test_plurals(one, many):
    assert captions.plural(one) == many


def test_a_thorough_caption_names_everything():
    scene = Scene("cat", 2, "red", "", "beach", "night", "sketch")
    for seed in range(30):
        text = captions.caption(scene, random.Random(seed), thorough=1.1)
        assert "two red cats" in text
        assert any(words in text for words in captions.PLACES["beach"])
        assert any(words in text for words in captions.TIMES["night"])
        assert "sketch" in text


def test_a_changed_scene_differs_in_one_detail():
    scene = Scene("cat", 2, "red", "", "beach", "night", "sketch")
    for seed in range(50):
        other = captions.changed(scene, random.Random(seed))
        assert sum(a != b for a, b in zip(vars(scene).values(), vars(other).values(), strict=True)) == 1


def test_a_detail_that_is_not_known_is_not_changed():
    changed = {captions.changed(Scene("cat"), random.Random(seed)) for seed in range(50)}
    assert changed == {Scene("cat", count) for count in (2, 3, 4)}


@pytest.mark.parametrize(
    ("name", "text"), [("arrow-left_2Icon", "arrow left icon"), ("red apple", "red apple"), ("A1", "a")]
)
def test_plain_names(name, text):
    assert sources.plain(name) == text


def test_every_place_is_painted_and_darker_at_night():
    for place in captions.PLACES:
        day, night = (
            np.mean([np.asarray(scenery.paint(place, time, 64, random.Random(seed))) for seed in range(5)])
            for time in ("day", "night")
        )
        assert night < day if place != "space" else night < 60


def test_tint_gives_the_colour_and_keeps_the_shape():
    drawing = np.full((32, 32, 4), 255, np.uint8)
    drawing[:, :, :3] = (120, 125, 122)
    drawing[:8, :, 3] = 0
    for name, colour in captions.COLOURS.items():
        made = pixels.tinted(drawing, colour)
        assert pixels.main_colour(made) == name
        np.testing.assert_array_equal(made[:, :, 3], drawing[:, :, 3])


def test_a_mixed_drawing_has_no_main_colour():
    drawing = np.full((32, 32, 4), 255, np.uint8)
    drawing[:16, :, :3], drawing[16:, :, :3] = captions.COLOURS["red"], captions.COLOURS["blue"]
    assert pixels.main_colour(drawing) == ""


def test_wordnet_lines(tmp_path):
    line = (
        "02121620 05 n 02 cat 0 true_cat(a) 0 002 @ 02120997 n 0000 ~ 02122298 n 0000 "
        '| feline mammal; "a cat purrs"  \n'
    )
    (tmp_path / "data.noun").write_text("  1 licence\n" + line)
    (tmp_path / "cntlist.rev").write_text("cat%1:05:00:: 1 18\ncat%1:05:01:: 2 1\n")
    (synset,) = wordnet.synsets(tmp_path, "noun")
    assert (synset.offset, synset.file, synset.words) == (2121620, "animal", ("cat", "true cat"))
    assert synset.broader == (2120997,)
    assert wordnet.definition_and_examples(synset.gloss) == ("feline mammal", ["a cat purrs"])
    assert wordnet.sense_counts(tmp_path) == {("cat", 5): 19}


def test_packed_tensors_read_as_rounded(tmp_path):
    rng = np.random.default_rng(0)
    shapes = {"0.widen.weight": (6, 4), "0.filter.weight": (9, 4), "0.widen.bias": (4,)}
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    stored = {}
    for name, array in tensors.items():
        stored.update(packing.stored(name, array))
    path = tmp_path / "some.safetensors"
    packing.write(stored, {"dim": "4"}, path)
    weights, rounded = Weights(path), packing.rounded(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(weights.matrix(name), rounded[name])
        np.testing.assert_allclose(rounded[name], array, atol=np.abs(array).max() / 200)
    assert stored["0.widen.weight"].dtype == np.int8


@pytest.fixture(scope="module")
def weights():
    return Weights(shipped(WEIGHTS))


def test_numpy_and_torch_run_the_same_network(weights):
    torch = pytest.importorskip("torch", reason="torch comes with the extras clip and train")
    from mmr.encoders.builtin.training import network

    pictures = np.random.default_rng(1).normal(size=(2, 128, 128, 3)).astype(np.float32)
    early = shared_network(weights).early(pictures)
    late = late_network(weights, "draw").late(early)
    tensors = {
        name.split(".", 1)[1]: weights.matrix(name)
        for name in weights.names()
        if name.startswith(("shared.", "draw.")) and not name.endswith(".scale")
    }
    with torch.inference_mode():
        expected = network.early(network.as_torch(tensors), torch.from_numpy(pictures).permute(0, 3, 1, 2))
        features = network.late(network.as_torch(tensors), expected)
    np.testing.assert_allclose(early, expected.permute(0, 2, 3, 1), atol=2e-4)
    np.testing.assert_allclose(late, features, atol=2e-4)


@pytest.mark.parametrize("number", [3, 8, 11])
def test_the_fixed_filter_has_torchs_gradient(number):
    torch = pytest.importorskip("torch", reason="torch comes with the extras clip and train")
    from mmr.encoders.builtin.training.network import FixedFilter

    block, before, after = BLOCKS[number], *BLOCKS[number].padding
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 8, 8, dtype=torch.double, generator=generator, requires_grad=True)
    weight = torch.randn(4, 1, block.kernel, block.kernel, dtype=torch.double, generator=generator)
    made = FixedFilter.apply(x, weight, block.stride, block.padding)
    wide = torch.nn.functional.pad(x, (before, after, before, after))
    expected = torch.nn.functional.conv2d(wide, weight, stride=block.stride, groups=4)
    slope = torch.randn(expected.shape, dtype=torch.double, generator=generator)
    np.testing.assert_allclose(made.detach(), expected.detach(), atol=1e-12)
    ours, theirs = (torch.autograd.grad(out, x, slope)[0] for out in (made, expected))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_the_shared_part_is_the_first_half():
    assert 0 < SHARED_BLOCKS < len(BLOCKS)
    assert BLOCKS[SHARED_BLOCKS - 1].outputs == 80


def test_an_emoji_is_redrawn_with_one_pen():
    svg = '<svg viewBox="0 0 36 36"><path fill="red" d="M0 0h9v9z"/></svg>'
    drawing = sources.Drawing("twemoji", "x", "flag", (), True, svg=svg)
    line, inked = sources.redrawn(drawing, "line"), sources.redrawn(drawing, "inked")
    assert (line.source, line.coloured, line.name) == ("twemoji-line", False, "flag")
    assert (inked.source, inked.coloured) == ("twemoji-inked", True)
    assert "fill:#fff!important;stroke:#000!important;stroke-width:0.72" in line.svg
    assert "fill:#fff" not in inked.svg
    assert inked.svg.endswith(svg[svg.index("<path") :])


def test_ink_is_the_darkness_on_white():
    pixels_in = np.array([[[0, 0, 0, 255], [255, 255, 255, 255], [0, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    np.testing.assert_array_equal(raster.ink(pixels_in), [[255, 0, 0, 51]])


def test_two_styles_are_found_by_each_other():
    torch = pytest.importorskip("torch", reason="torch comes with the extras clip and train")
    from mmr.encoders.builtin.training.tune import style_loss

    rng = np.random.default_rng(2)
    made, past = rng.normal(size=(6, 4)), rng.normal(size=(3, 4))
    things, past_things = [0, 0, 1, 1, -1, -1], [0, 5, -1]
    scale = np.log(3.0)
    pool, everything = np.concatenate([made, past]), things + past_things
    lost = []
    for i in range(4):
        partner = i ^ 1
        others = [j for j in range(9) if everything[j] != things[i]]
        scores = {j: 3.0 * made[i] @ pool[j] for j in [partner, *others]}
        lost.append(np.log(sum(map(np.exp, scores.values()))) - scores[partner])
    found = style_loss(
        torch.from_numpy(made), torch.tensor(things), torch.from_numpy(past), torch.tensor(past_things),
        torch.tensor(scale),
    )  # fmt: skip
    assert float(found) == pytest.approx(np.mean(lost))


def test_pictures_of_nothing_named_have_no_style_loss():
    torch = pytest.importorskip("torch", reason="torch comes with the extras clip and train")
    from mmr.encoders.builtin.training.tune import style_loss

    none = torch.empty(0, 3), torch.empty(0, dtype=torch.long)
    assert float(style_loss(torch.ones(2, 3), torch.tensor([-1, -1]), *none, torch.tensor(1.0))) == 0


def test_rows_of_four_bits_come_back_near(tmp_path):
    pytest.importorskip("torch", reason="torch comes with the extras clip and train")
    from mmr.encoders.builtin.training.languages import quantise

    table = np.random.default_rng(4).normal(size=(40, 8)).astype(np.float32)
    packed, scale = quantise(table)
    back = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
    back *= scale.astype(np.float32)[:, None]
    assert np.abs(back - table).max() < np.abs(table).max() / 4
    assert ((back - table) ** 2).mean() < 0.02


def test_a_keyword_goes_where_the_english_one_of_the_same_emoji_is():
    pytest.importorskip("torch", reason="torch comes with the extras clip and train")
    from mmr.encoders.builtin.training.languages import Entry, keyword_targets

    english = [
        Entry("a", "cat", ("animal", "pet")),
        Entry("b", "cow", ("animal",)),
        Entry("c", "car", ("go",)),
    ]
    other = [Entry("a", "Katze", ("Tier",)), Entry("b", "Kuh", ("Tier",)), Entry("c", "Auto", ("fahren",))]
    axes = np.eye(6, dtype=np.float32)
    names = dict(zip("abc", axes[:3], strict=True))
    words = {"animal": axes[3], "pet": axes[4], "go": axes[5]}
    found = keyword_targets(english, other, names, words)
    expected = (axes[0] + axes[1]) / 2 + 2 * axes[3] + 2 * 0.5 * axes[4]
    np.testing.assert_allclose(found["Tier"], expected / np.linalg.norm(expected), atol=1e-6)
    assert found["fahren"] @ axes[5] > 0.8


def test_drawings_are_kept_as_pixels_and_drawn_once(tmp_path, capsys):
    for name, colour in (("red", (255, 0, 0, 255)), ("clear", (0, 0, 0, 0))):
        Image.new("RGBA", (40, 20), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    drawings = [
        sources.Drawing("set", name, name, ("word",), True, png=str(tmp_path / f"{name}.png"))
        for name in ("broken", "clear", "red")
    ]
    folder = tmp_path / "drawn"
    raster.draw_all(drawings, folder)
    assert "draw: set broken" in capsys.readouterr().out
    (row,) = [json.loads(line) for line in (folder / "drawings.jsonl").read_text().splitlines()]
    assert (row["name"], row["row"], row["coloured"]) == ("red", 0, True)
    pixels_in = np.load(folder / "coloured.npy")[0]
    assert pixels_in.shape == (raster.SIDE, raster.SIDE, 4)
    assert pixels_in[raster.SIDE // 2, raster.SIDE // 2].tolist() == [255, 0, 0, 255]
    assert pixels_in[0, 0, 3] == 0
    raster.draw_all([], folder)
    assert len((folder / "drawings.jsonl").read_text().splitlines()) == 1


def test_a_tower_without_other_languages_reads_every_word_as_english(weights):
    text = TextTower(weights, shipped(VOCABULARY).read_bytes())
    whole = load()
    words = ["a red apple", "two cars on a street"]
    np.testing.assert_array_equal(text.encode(words), whole.encode_texts(words))
    assert text.encode(["ein roter Apfel"])[0] @ whole.encode_texts(["ein roter Apfel"])[0] < 0.9
