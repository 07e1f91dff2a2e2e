"""Several vectors an item: tokens of encoders, cells of grids, boxes of records."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmr.arrays.unit import unit
from mmr.cli import status
from mmr.cli.main import run as main
from mmr.demo.plan import Picture
from mmr.demo.render import render
from mmr.demo.table import TABLE
from mmr.embed.item import Wanted
from mmr.embed.regions import WHOLE, Parts, cropped, parse_grid, regions
from mmr.encoders import Many
from mmr.errors import BadItem, UsageError
from tests.embed.made import Preparing, Toy, of_colour, of_text, record, run

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


class Patched(Toy):
    """Gives a picture's corners and a text's letters; refuses black pictures and texts of digits."""

    late = False

    def no_tokens(self, kind):
        return ""

    def encode_tokens(self, pictures, sizes):
        self.batches.append(len(pictures))
        made = Many([], [], {})
        for row, (picture, (width, height)) in enumerate(zip(pictures, sizes, strict=True)):
            assert picture.size == (width, height)
            colours = [picture.getpixel((x, 0)) for x in (0, width - 1)]
            if colours[0] == (0, 0, 0):
                made.failed[row] = "too dark"
            made.rows.append(np.stack([of_colour(one) for one in colours]))
            made.boxes.append(np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]]))
        return made

    def encode_word_tokens(self, texts):
        self.batches.append(len(texts))
        rows = [np.stack([of_text(one) for one in text]) for text in texts]
        failed = {row: "no letters" for row, text in enumerate(texts) if text.isdigit()}
        return Many(rows, [None] * len(rows), failed)


@pytest.fixture
def flag(tmp_path):
    """A picture of 40 x 20: red, green, blue and white quarters."""
    image = Image.new("RGB", (40, 20))
    for place, colour in enumerate((RED, GREEN, BLUE, WHITE)):
        left, top = 20 * (place % 2), 10 * (place // 2)
        image.paste(colour, (left, top, left + 20, top + 10))
    image.save(tmp_path / "flag.png")
    return str(tmp_path / "flag.png")


def test_cells_of_a_grid_are_embedded_as_pictures_of_their_own(flag):
    wanted = Wanted(parts=Parts(parse_grid("1x1,2x2")))
    for encoder in (Toy(), Preparing()):
        if isinstance(encoder, Preparing):
            encoder.prepare = lambda image: np.asarray(image)[0, 0]
        (made,) = run([record(image=flag)], encoder, wanted)
        np.testing.assert_array_equal(made["vectors"], [of_colour(c) for c in (RED, RED, GREEN, BLUE, WHITE)])
        assert made["boxes"][0] == [0, 0, 1, 1] and made["boxes"][2] == [0.5, 0, 1, 0.5]
        assert "vector" not in made and made["via"] == ["embed toy grid 1x1,2x2"]
        assert made["model"] == "toy#123" and encoder.batches == [5]


def test_words_among_regions_get_one_row(flag):
    wanted = Wanted(parts=Parts(parse_grid("2x1")), templates=("a {}",))
    made = run([record(1, text="x"), record(2, image=flag), record(3, text="y")], Toy(), wanted)
    assert [len(one["vectors"]) for one in made] == [1, 2, 1]
    np.testing.assert_array_equal(made[2]["vectors"], [of_text("a y")])
    assert ["boxes" in one for one in made] == [False, True, False]
    assert made[0]["via"] == ['embed toy grid 2x1 "a {}"']


@pytest.mark.parametrize(
    ("boxes", "colours"),
    [
        ([[0, 0, 20, 10], [20, 10, 40, 20]], [RED, WHITE]),
        ([21, 0, 30, 9], [GREEN]),
        ([[0, 0.5, 0.5, 1.0]], [BLUE]),
        ([[-5, 12, 3, 99]], [BLUE]),
        ([[39.9, 19.9, 40, 20]], [WHITE]),
    ],
)
def test_boxes_of_the_record(flag, boxes, colours):
    (made,) = run([record(image=flag, places=boxes)], Toy(), Wanted(parts=Parts(field="places")))
    np.testing.assert_array_equal(made["vectors"], [of_colour(one) for one in colours])
    assert made["places"] == boxes and made["via"] == ["embed toy box places"]
    for left, top, right, bottom in made["boxes"]:
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


def test_boxes_under_their_own_name_become_shares(flag):
    (made,) = run([record(image=flag, boxes=[[0, 0, 20, 10]])], Toy(), Wanted(parts=Parts(field="boxes")))
    assert made["boxes"] == [[0, 0, 0.5, 0.5]]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, 'has no boxes in "b"'),
        ([], 'has no boxes in "b"'),
        ("0 0 1 1", 'has no boxes in "b"'),
        ([1, 2, 3], "is not [left, top, right, bottom]"),
        ([[0, 0, 1, "1"]], "is not [left, top, right, bottom]"),
        ([[0, 0, 1, True]], "is not [left, top, right, bottom]"),
        ([[0, 0, 1, 1e300]], "is not [left, top, right, bottom]"),
        ([[0, 0, 9, 9], [5, 5, 5, 9]], "box 2"),
        ([[50, 0, 60, 9]], "shows nothing of 40 x 20 pixels"),
    ],
)
def test_a_record_whose_boxes_are_none_is_left_out_and_the_others_go_on(flag, value, what):
    bad: list[BadItem] = []
    some = [record(1, image=flag, b=[0, 0, 9, 9]), record(2, image=flag, b=value), record(3, text="words")]
    made = run(some, Toy(), Wanted(parts=Parts(field="b")), reject=bad.append)
    assert [one["id"] for one in made] == ["r1", "r3"]
    assert len(bad) == 1 and what in bad[0].what and bad[0].record["id"] == "r2"


def test_tokens_and_their_boxes(flag):
    wanted = Wanted(parts=Parts(), templates=("<{}>",))
    encoder = Patched()
    bad: list[BadItem] = []
    dark = Image.new("RGB", (4, 4))
    dark.save(flag.replace("flag", "dark"))
    some = [
        record(1, image=flag),
        record(2, image=flag.replace("flag", "dark")),
        record(3, text="ab"),
        record(4, text="x"),
    ]
    made = run(some, encoder, wanted, reject=bad.append)
    assert [one["id"] for one in made] == ["r1", "r3", "r4"] and "too dark" in bad[0].what
    np.testing.assert_array_equal(made[0]["vectors"], [of_colour(RED), of_colour(GREEN)])
    assert made[0]["boxes"] == [[0, 0, 0.5, 1], [0.5, 0, 1, 1]]
    np.testing.assert_array_equal(made[1]["vectors"], [of_text(one) for one in "<ab>"])
    assert "boxes" not in made[1] and made[1]["via"] == ['embed toy tokens "<{}>"']


@given(st.lists(st.sampled_from(["ab", "c", "xyz", "7", "dd"]), max_size=12), st.integers(1, 5))
def test_batch_mates_never_change_a_vector(texts, batch):
    bad: list[BadItem] = []
    some = [record(line, text=text) for line, text in enumerate(texts)]
    made = run(some, Patched(), Wanted(parts=Parts()), batch=batch, reject=bad.append)
    assert len(bad) == texts.count("7")
    for one in made:
        np.testing.assert_array_equal(one["vectors"], [of_text(letter) for letter in one["text"]])


def test_what_was_made_before_makes_way(flag):
    old = np.ones((1, 8), np.float32)
    some = [record(1, image=flag, vector=old[0], model="toy#123")]
    (made,) = run(some, Toy(), Wanted(parts=Parts(parse_grid("1x1"))))
    assert "vector" not in made and made["vectors"].shape == (1, 8)
    (made,) = run([record(1, image=flag, vectors=old, boxes=[[0, 0, 1, 1]], model="other#9")], Toy())
    assert "vectors" not in made and "boxes" not in made and made["vector"].shape == (8,)
    (made,) = run([record(1, image=flag, vectors=old, model="toy#123")], Toy())
    assert made["vectors"] is old


def test_an_encoder_without_tokens_is_refused_with_the_way_out(flag):
    with pytest.raises(UsageError, match="toy has no patches of pictures: it gives one vector an item"):
        run([record(image=flag)], Toy(), Wanted(parts=Parts()))
    with pytest.raises(UsageError, match="tokens of words"):
        run([record(text="x")], Toy(), Wanted(parts=Parts()))


def test_a_query_of_a_picture_and_words_is_not_several_vectors(flag):
    bad: list[BadItem] = []
    wanted = Wanted(compose=lambda *_: 0 / 0, parts=Parts(), facts=False)
    some = [record(1, image=flag, text="x"), record(2, text="ab")]
    made = run(some, Patched(), wanted, reject=bad.append)
    assert [one["id"] for one in made] == ["r2"] and "do not become several vectors" in bad[0].what
    wanted = Wanted(compose=lambda one, two, _: unit(one + two), parts=WHOLE, facts=False)
    made = run(some, Patched(), wanted)
    expected = unit((of_colour(RED) + of_text("x"))[None])
    np.testing.assert_array_equal(made[0]["vectors"], expected)
    assert "vector" not in made[0] and made[1]["vectors"].shape == (1, 8)


@pytest.mark.parametrize("text", ["", "3", "3x", "0x1", "3x3,", "x", "-1x2", "1x1;2x2", "99x99"])
def test_grids_that_are_none(text):
    with pytest.raises(UsageError, match="--grid"):
        parse_grid(text)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 60), st.integers(1, 60))
def test_the_cells_of_a_grid_cover_the_picture_once(columns, rows, width, height):
    boxes = regions(Parts(((columns, rows),)), {}, (width, height), "")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert len(boxes) == columns * rows and areas.sum() == pytest.approx(1)
    image = Image.fromarray(
        np.arange(width * height, dtype=np.uint16).reshape(height, width).astype(np.uint8)
    )
    parts = [np.asarray(one) for one in cropped(image, boxes)]
    assert all(part.size for part in parts)
    if columns <= width and rows <= height:
        assert sum(part.size for part in parts) == width * height


def lines(result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_pairs_hold_them_and_give_them_back(sh, flag):
    one = lines(sh("mmr embed -q --grid 1x1,2x2 flag.png --text red"))
    done = sh("mmr embed -q --grid 1x1,2x2 flag.png --text red -o x.npy && cat x.jsonl")
    assert [record.get("rows") for record in lines(done)] == [1, 5, None]
    assert done.status == 0 and "vectors" not in done.stdout.decode()
    again = "mmr embed -q --grid 3x3"
    back = lines(sh(f"{again} x.npy --vector-format base64 > y.jsonl; {again} y.jsonl"))
    assert isinstance(json.loads(sh("head -1 y.jsonl").stdout)["vectors"][0], str)
    assert [record.get("boxes") for record in back] == [record.get("boxes") for record in one]
    for was, now in zip(one, back, strict=True):
        np.testing.assert_allclose(was["vectors"], now["vectors"], atol=1e-7)


def test_shards_resumption_and_what_is_known_go_on_working(sh, flag):
    sh("mkdir p; for i in 1 2 3 4; do cp flag.png p/$i.png; done; echo broken > p/5.png")
    shards = "for i in 1/2 2/2; do mmr embed -q --grid 2x2 p --shard $i; done"
    parts = lines(sh(f"{shards} 2>/dev/null"))
    assert sorted(one["id"] for one in parts) == [f"p/{i}.png" for i in (1, 2, 3, 4)]
    done = sh("mmr embed --grid 2x2 p -o x.npy --errors bad.jsonl")
    assert done.status == status.SKIPPED and "4 new, 0 changed, 0 kept, 1 failed" in done.stderr
    assert json.loads(sh("cat bad.jsonl").stdout)["stage"] == "decode"
    names = "cp x.npy .x.npy.part; sed '$d' x.jsonl > .x.jsonl.part"
    cut = "python3 - <<'E'\nb=open('.x.npy.part','r+b'); b.write(b'\\0')\nE\n"
    whole = sh("cat x.jsonl").stdout
    done = sh(f"{names}\n{cut} mmr embed --grid 2x2 p -o x.npy")
    assert "going on after 4 records" in done.stderr and sh("cat x.jsonl").stdout == whole
    other = sh(f"{names}\n{cut} mmr embed --grid 3x3 p -o x.npy")
    assert "going on" not in other.stderr


def said(line, capsys):
    """The status and the words of a run in this process, which is all that usage errors need."""
    found = main(shlex.split(line)[1:])
    words = capsys.readouterr().err
    assert "fault in mmr" not in words
    return found, words


WRONG = {
    "--tokens --text apple": "builtin has no tokens of words",
    "--tokens --grid 2x2 flag.png": "--tokens and --grid both say",
    "--grid 2x2 --invert flag.png": "--invert makes one vector",
    "--box b --modality both flag.png": "--modality both makes one vector",
    "--tokens --bind v=image:image flag.png": "--bind makes one vector",
    "--box '' flag.png": "names no field",
    "--tokens --template 'a {}' --template 'the {}' flag.png": "one --template",
}


def test_tokens_by_hand(sh, flag, capsys, monkeypatch, tmp_path):
    (made,) = lines(sh("mmr embed -q --tokens flag.png"))
    assert np.shape(made["vectors"]) == (16, 256) and len(made["boxes"]) == 16
    monkeypatch.chdir(tmp_path)
    for wrong, expected in WRONG.items():
        found, words = said(f"mmr embed {wrong}", capsys)
        assert found == status.USAGE and expected in words, wrong


def test_an_item_of_a_program(sh, flag, tmp_path):
    (tmp_path / "program.py").write_text(
        "import json, sys\nsys.stdin.readline()\n"
        'print(json.dumps({"tag": "t", "dim": 2, "fingerprint": "f", "tokens": ["text"]}), flush=True)\n'
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        '    rows = [[1, len(one)] for one in asked["text"].split()]\n'
        '    print(json.dumps({"key": asked["key"], "vectors": rows}), flush=True)\n'
    )
    model = "--model 'cmd:python3 program.py'"
    (made,) = lines(sh(f"mmr embed -q --tokens {model} --text 'a red apple'"))
    assert np.shape(made["vectors"]) == (3, 2) and made["via"] == ["embed cmd:python3 program.py tokens"]
    done = sh(f"mmr embed --tokens {model} flag.png")
    assert done.status == status.USAGE and 'does not say "tokens": ["image"]' in done.stderr


@pytest.fixture
def scenes(sh, tmp_path):
    """Pictures of two drawings side by side, embedded in halves into an index of kind maxsim."""
    for left, right in (("apple", "cat"), ("car", "tree"), ("fish", "guitar")):
        pair = [render(Picture(name, TABLE[name].colours[0])) for name in (left, right)]
        both = Image.new("RGB", (512, 256))
        both.paste(pair[0], (0, 0))
        both.paste(pair[1], (256, 0))
        both.save(tmp_path / f"{left}-{right}.png")
        pair[1].save(tmp_path / f"only-{right}.jpg")
    done = sh("mmr embed --grid 1x1,2x1 *.png | mmr index s.mmr --kind maxsim")
    assert done.status == 0, done.stderr


ASKED = (
    ('"a cat"', "apple-cat", 2),
    ("--image only-guitar.jpg", "fish-guitar", 2),
    ('--image only-cat.jpg "a cat"', "apple-cat", 2),
    ("--image only-tree.jpg --tokens", "car-tree", 2),
    ("--from <(mmr embed --grid 1x1 --queries --text guitar)", "fish-guitar", 2),
    ("""--from <(echo '{"text":"a fish"}')""", "fish-guitar", 1),
)


def test_what_is_asked_finds_its_region(sh, scenes):
    for asked, name, row in ASKED:
        done = sh(f"mmr query s.mmr {asked} --regions -k 1 --fields image")
        assert done.status == 0, done.stderr
        ((hit,),) = [one["hits"] for one in lines(done)]
        box = [[0, 0, 1, 1], [0, 0, 0.5, 1], [0.5, 0, 1, 1]][row]
        assert hit["id"] == f"{name}.png" and hit["region"]["row"] == row and hit["region"]["box"] == box
        assert list(hit) == ["id", "score", "image", "region"]


def test_what_items_without_several_vectors_are_not_asked(sh, scenes, capsys, monkeypatch, tmp_path):
    sh("mmr embed -q *.png | mmr index -q one.mmr")
    monkeypatch.chdir(tmp_path)
    for line, expected in (
        ("one.mmr cat --regions", "--regions is of items that have several vectors, and those of one.mmr"),
        ("one.mmr cat --tokens", "--tokens is of items that have several vectors"),
        ("s.mmr cat --tokens", "builtin has no tokens of words: it adds up the words of a text"),
        ("s.mmr --all-items --tokens", "with --all-items vectors ask"),
    ):
        found, words = said(f"mmr query {line}", capsys)
        assert found == status.USAGE and expected in words, line
    done = sh("mmr embed --text cat | mmr query s.mmr")
    assert done.status == status.SKIPPED and "has one vector, and s.mmr compares several" in done.stderr
    done = lines(sh("mmr query s.mmr --all-items --regions -k 1"))
    assert [one["hits"][0]["id"] for one in done] == [one["id"] for one in done] and len(done) == 3
    assert [one["hits"][0]["region"]["similarity"] for one in done] == pytest.approx([1] * 3, abs=1e-3)


def test_a_program_that_compares_tokens_is_asked_for_them(sh, tmp_path):
    (tmp_path / "late.py").write_text(
        "import json, sys\nsys.stdin.readline()\n"
        'print(json.dumps({"tag": "t", "dim": 3, "fingerprint": "f", "tokens": ["text"]}), flush=True)\n'
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        '    rows = [[len(one), ord(one[0]) - 96, 1] for one in asked["text"].split()]\n'
        '    print(json.dumps({"key": asked["key"], "vectors": rows}), flush=True)\n'
    )
    model = "--model 'cmd:python3 late.py'"
    words = "--text 'a red apple' --text 'two cats'"
    sh(f"mmr embed -q --tokens {model} {words} | mmr index -q w.mmr --kind maxsim")
    done = sh(f"mmr query w.mmr {model} 'red apple' -k 1 --regions --fields text")
    ((hit,),) = [one["hits"] for one in lines(done)]
    assert hit["text"] == "a red apple" and hit["score"] == pytest.approx(2, abs=1e-3)
    assert "box" not in hit["region"] and lines(done)[0]["via"][0].endswith("tokens")
