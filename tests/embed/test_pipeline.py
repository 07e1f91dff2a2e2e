"""What goes in comes out in order, with the right vectors, and one bad item never stops it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmr.compose.weighted import weighted
from mmr.embed import pipeline as module
from mmr.embed.item import Bind, Item, Wanted, renamed
from mmr.embed.pipeline import Pipeline, embed_records
from mmr.errors import BadItem, UnavailableError, UsageError
from mmr.stream.pipe import Records
from mmr.stream.records import Record
from tests.conftest import ROOT
from tests.embed.made import Choosy, Preparing, Toy, colour, fail, of_colour, of_text, pictures, record, run


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def paths(tmp_path):
    pictures(tmp_path / "p", 9)
    (tmp_path / "p" / "broken.png").write_bytes(b"\x89PNG\r\n")
    return [f"p/{number:04}.png" for number in range(9)]


KINDS = ["image", "text", "both", "keep", "vector", "broken", "nothing"]


@given(
    kinds=st.lists(st.sampled_from(KINDS), max_size=40), batch=st.integers(1, 7),
    threads=st.integers(1, 3), toy=st.sampled_from([Toy, Preparing, Choosy]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_order_is_kept_whatever_is_mixed_and_whatever_the_batch(tmp_path_factory, kinds, batch, threads, toy):
    folder = tmp_path_factory.getbasetemp() / "mixed"
    if not folder.exists():
        pictures(folder, 40)
        (folder / "broken.png").write_bytes(b"nothing")
    records, expected = [], []
    for line, kind in enumerate(kinds):
        fields = {"extra": line}
        if kind in ("image", "both"):
            fields["image"] = str(folder / f"{line:04}.png")
        if kind in ("text", "both"):
            fields["text"] = f"words {line}"
        if kind == "broken":
            fields["image"] = str(folder / "broken.png")
        if kind == "keep":
            fields["keep"] = True
        if kind == "vector":
            fields["vector"] = of_text("own")
        one = record(line, **fields)
        records.append(one if kind in ("keep", "vector") else Item(one))
        if kind not in ("broken", "nothing"):
            expected.append((line, kind))
    bad: list[BadItem] = []
    work = Pipeline(toy, Wanted(), batch=batch, threads=threads, reject=bad.append)
    found = [one for group in work.batches(records) for one in group]
    assert [(one["extra"]) for one in found] == [line for line, _ in expected]
    for one, (line, kind) in zip(found, expected, strict=True):
        if kind in ("image", "both"):
            assert np.array_equal(one["vector"], of_colour(colour(line)))
        elif kind == "text":
            assert np.array_equal(one["vector"], of_text(f"words {line}"))
    assert [item.where.split(" (")[0] for item in bad] == [
        f"stdin line {line}" for line, kind in enumerate(kinds) if kind in ("broken", "nothing")
    ]


def test_the_fields_of_a_record(paths, tmp_path):
    state = (tmp_path / paths[0]).stat()
    (found,) = run([record(image=paths[0], mine=[1], via=["before"])])
    assert list(found) == ["id", "image", "mine", "via", "base", "size", "mtime", "digest", "vector", "model"]
    assert (found["base"], found["size"], found["mtime"]) == (str(tmp_path), state.st_size, state.st_mtime)
    assert (
        len(found["digest"]) == 32 and found["model"] == "toy#123" and found["via"] == ["before", "embed toy"]
    )
    (absolute,) = run([record(image=str(tmp_path / paths[0]))])
    assert "base" not in absolute
    (elsewhere,) = run([record(image="0001.png", base=str(tmp_path / "p"))])
    assert elsewhere["base"] == str(tmp_path / "p") and np.array_equal(
        elsewhere["vector"], of_colour(colour(1))
    )
    (query,) = run([record(image=paths[0])], wanted=Wanted(facts=False))
    assert "size" not in query and "base" not in query


def test_modality_and_composition(paths):
    picture, words = of_colour(colour(1)).astype(np.float64), of_text("red").astype(np.float64)
    both = record(image=paths[1], text="red")

    def vector(**more):
        return run([both, record(2, text="red"), record(3, image=paths[1])], wanted=Wanted(**more))

    assert np.array_equal(vector()[0]["vector"], of_colour(colour(1)))
    assert np.array_equal(vector(modality="text")[0]["vector"], of_text("red"))
    mean = (picture + words) / np.linalg.norm(picture + words)
    assert np.allclose(vector(modality="both")[0]["vector"], mean, atol=1e-6)
    composed = vector(compose=weighted)
    assert np.allclose(composed[0]["vector"], weighted(picture[None], words[None])[0], atol=1e-6)
    for found in (vector(modality="text"), vector(modality="both"), composed):
        assert np.array_equal(found[1]["vector"], of_text("red"))
        assert np.array_equal(found[2]["vector"], of_colour(colour(1)))


def test_templates_are_averaged():
    forms = ("a photo of {}", "{}, drawn {}")
    (found,) = run([record(text="a cat")], wanted=Wanted(templates=forms))
    mean = of_text("a photo of a cat").astype(np.float64) + of_text("a cat, drawn a cat")
    assert np.allclose(found["vector"], mean / np.linalg.norm(mean), atol=1e-6)
    assert found["via"] == ['embed toy "a photo of {}" "{}, drawn {}"']
    with pytest.raises(UsageError, match="has no "):
        Wanted(templates=("a photo",))


def test_binds(paths):
    wanted = Wanted(binds=(Bind("v", "image", "ref"), Bind("t", "text", "words"), Bind("w", "text", "more")))
    bad: list[BadItem] = []
    one = record(ref=paths[0], words=["a", "b"], more="c")
    found = run([one, record(2, ref=paths[1]), {**one, "keep": True}], wanted=wanted, reject=bad.append)
    assert np.array_equal(found[0]["bindings"]["v"], of_colour(colour(0)))
    assert np.array_equal(found[0]["bindings"]["t"], np.stack([of_text("a"), of_text("b")]))
    assert np.array_equal(found[0]["bindings"]["w"], of_text("c"))
    assert "vector" not in found[0] and len(found) == 2
    assert [item.what for item in bad] == [
        '--bind t=text:words needs a string, or a list of strings, in "words"'
    ]


def test_items_that_the_encoder_refuses_are_left_out_one_by_one(paths, tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "p" / "black.png")
    Image.new("RGB", (2, 2), "blue").save(tmp_path / "p" / "blue.png")
    records = [
        record(1, text="good"),
        record(2, text="bad"),
        record(3, image="p/black.png"),
        record(4, text="fine"),
    ]
    bad: list[BadItem] = []
    assert [one["id"] for one in run(records, Choosy(), reject=bad.append)] == ["r1", "r4"]
    assert [(item.what, item.stage) for item in bad] == [("bad words", "embed"), ("too dark", "embed")]
    bad.clear()
    records = [record(1, image="p/blue.png"), record(2, image=paths[0])]
    assert [one["id"] for one in run(records, Preparing(), reject=bad.append)] == ["r2"]
    assert bad[0].what == "the model cannot take it (too blue)" and bad[0].record["id"] == "r1"


def test_a_vector_that_is_not_finite_is_a_bad_item():
    class Sick(Toy):
        def encode_texts(self, texts):
            rows = super().encode_texts(texts)
            rows[0, 0] = np.inf
            return rows

    bad: list[BadItem] = []
    assert [
        one["id"] for one in run([record(1, text="a"), record(2, text="b")], Sick(), reject=bad.append)
    ] == ["r2"]
    assert "not finite" in bad[0].what


def test_a_bad_picture_that_must_be_named_stays_as_a_name(paths):
    item = Item(Record({"id": "x", "image": "p/broken.png", "base": "/elsewhere/.."}), named=True)
    bad: list[BadItem] = []
    assert run([item], reject=bad.append) == [
        {"id": "x", "image": "p/broken.png", "base": "/elsewhere/..", "keep": True}
    ]
    assert len(bad) == 1


def test_batches_are_full_and_words_are_embedded_once():
    toy = Toy()
    run([record(line, text=f"w{line % 10}") for line in range(100)], toy, batch=20)
    assert toy.batches == [10] * 5


def test_whole_pictures_are_bounded_by_their_bytes(paths, monkeypatch):
    monkeypatch.setattr(module, "HELD", 6 * 5 * 3 * 2)
    toy = Toy()
    assert len(run([record(line, image=path) for line, path in enumerate(paths)], toy)) == 9
    assert max(toy.batches) == 2


def test_decoding_the_model_and_the_reader_work_at_the_same_time(paths, monkeypatch):
    real = module.load

    def slow(*args):
        time.sleep(0.05)
        return real(*args)

    monkeypatch.setattr(module, "load", slow)
    items = [Item(record(line, image=path)) for line, path in enumerate(paths[:8])]
    start = time.perf_counter()
    for _ in Pipeline(lambda: Toy(0.05), Wanted(), batch=2, threads=2, reject=fail).batches(items):
        time.sleep(0.05)
    assert time.perf_counter() - start < 0.05 * 8 / 2 + 0.05 * 4 + 0.05 * 4 - 0.1


def test_an_error_of_the_model_ends_the_run_and_leaves_no_thread(paths):
    class Dead(Toy):
        def encode_images(self, images):
            raise UnavailableError("the program died")

    before = threading.active_count()
    with pytest.raises(UnavailableError):
        run([record(line, image=path) for line, path in enumerate(paths)], Dead(), batch=2)
    assert threading.active_count() == before


def test_a_reader_that_stops_early_leaves_no_thread(paths):
    before = threading.active_count()
    items = [Item(record(line, image=path)) for line, path in enumerate(paths)]
    work = Pipeline(Toy, Wanted(), batch=1, reject=fail).batches(items)
    assert len(next(work)) == 1
    work.close()
    assert threading.active_count() == before


def test_what_came_is_given_out_before_the_next_record_is_waited_for():
    asked: list[int] = []

    def source():
        for line in range(3):
            asked.append(line)
            yield record(line, text="a")

    found = embed_records(Records(source(), lambda: True), Toy(), Wanted(), reject=fail)
    for line in range(3):
        assert next(found)["id"] == f"r{line}" and len(asked) == line + 1


def test_with_batches_of_one_nothing_is_held_back():
    asked: list[int] = []

    def source():
        for line in range(3):
            asked.append(line)
            yield Item(record(line, text="a"))

    work = Pipeline(Toy, Wanted(), batch=1, reject=fail).batches(source())
    next(work)
    assert asked == [0]


def test_the_encoder_is_loaded_only_when_it_is_needed():
    def never():
        raise AssertionError("loaded")

    work = Pipeline(never, Wanted(), reject=fail)
    assert [one for group in work.batches([{"id": "a", "keep": True}] * 3) for one in group]
    assert work.tally == Counter(kept=3)


@pytest.mark.parametrize(
    ("rule", "name"),
    [("path", "a/b.c.png"), ("name", "b.c.png"), ("stem", "b.c"), ("key", "k"), ("number", "7")],
)
def test_ids(rule, name):
    one = record(image="./a//b.c.png", key="k", number=7)
    assert renamed(one, rule)["id"] == name
    assert renamed(record(image="t.tar#x/y.png"), "name")["id"] == "y.png"


@pytest.mark.parametrize("rule", ["path", "stem", "key", "id"])
def test_ids_that_cannot_be(rule):
    with pytest.raises(BadItem):
        renamed(Record({"id": "", "text": "a", "key": ["x"]}), rule)


def test_words_alone_import_no_pillow():
    code = (
        "import sys; sys.path.insert(0, '.'); import numpy\n"
        "from mmr.embed.pipeline import embed_records; from mmr.embed.item import Wanted\n"
        "from mmr.stream.records import Record\n"
        "class Toy:\n"
        "    dim, spec, fingerprint = 2, 't', 'f'\n"
        "    def encode_texts(self, texts): return numpy.ones((len(texts), 2), 'f4')\n"
        "out = list(embed_records([Record({'id': 'a', 'text': 'b'})], Toy(), Wanted(), reject=print))\n"
        "assert len(out) == 1 and not {'PIL', 'torch', 'faiss', 'tarfile'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
