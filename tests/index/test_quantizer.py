"""Quantisers fitted to queries: the file, codes by it in an index, what is refused, hostile files, kills."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from mmr.errors import BadDataError, MissingInputError, UsageError
from mmr.index import delete, open_index, upsert
from mmr.index.check import check, rebuild
from mmr.index.quantizer import ARRAYS, read_quantizer, write_quantizer
from mmr.index.quantizer_fit import LEAST, fit, interval
from mmr.index.quantizer_learn import nearest, shares
from mmr.index.search import Wanted, search
from mmr.stream import archive
from mmr.stream.records import Record
from tests.conftest import program_environment
from tests.index.made import fail

DIM, ROWS = 16, 1500
SPECS = ("pq:m=4,refine=20", "ivfpq:m=4,lists=4,refine=20")


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def items(count=ROWS, seed=1):
    return unit(np.random.default_rng(seed).standard_normal((count, DIM)) * np.linspace(1, 0.5, DIM))


def asked(count=300, seed=2):
    """Queries in a cone of their own, as words stand beside pictures; they look along other directions."""
    rng = np.random.default_rng(seed)
    return unit(rng.standard_normal((count, DIM)) * np.linspace(0.1, 1, DIM) + 0.5 * np.eye(DIM)[3])


def records(vectors, name="i", model="m#1"):
    return [Record({"id": f"{name}{i}", "vector": v, "model": model}) for i, v in enumerate(vectors)]


@pytest.fixture(scope="module", params=SPECS)
def made(request, tmp_path_factory):
    """An index, a fitted file and what it gained."""
    folder = tmp_path_factory.mktemp("fitted")
    path, file = folder / "x.mmr", folder / "fitted.npz"
    upsert(path, records(items()), reject=fail)
    with open_index(path) as index:
        fitted, gain = fit(index, asked(1000), request.param, name="queries", rounds=10, model="m#1")
    write_quantizer(str(file), fitted)
    return folder, fitted, gain


@pytest.fixture
def copied(made, tmp_path):
    """A copy of the index and of the file, to be changed."""
    folder, fitted, _ = made
    shutil.copytree(folder / "x.mmr", tmp_path / "x.mmr")
    shutil.copy(folder / "fitted.npz", tmp_path)
    return tmp_path / "x.mmr", tmp_path / "fitted.npz", fitted


def spec(fitted, file, more=",least=100"):
    return f"{fitted.of}:fitted={file}{more}"


def rows_found(path, queries, wanted=None):
    with open_index(path) as index:
        return [[(hit["id"], float(hit["score"])) for hit in one]
                for one in search(index, records(queries, "q"), wanted or Wanted(5))]  # fmt: skip


def structures(path):
    return {file.suffix: file.read_bytes() for file in path.iterdir() if file.suffix in (".pq", ".ivfpq")}


def test_queries_that_the_fit_never_saw_find_more(made):
    _, _, gain = made
    assert gain.after > gain.before and gain.low > 0
    assert gain.refined[1] >= gain.refined[0] and gain.queries == 200 and gain.rows == ROWS


def test_products_are_the_same_before_anything_is_coded(made):
    """The turn of items and the start of the queries' map undo each other; the map then goes its own way."""
    from mmr.arrays.distill import encoded

    _, fitted, _ = made
    lists = fitted.lists if len(fitted.lists) else np.zeros((1, DIM), np.float32)
    coded = encoded(items() @ fitted.turn, fitted.codes, lists)
    assert np.isfinite(fitted.asked).all() and len(np.unique(coded.codes)) > 8
    assert not np.array_equal(fitted.codes, fitted.books)


def test_a_file_is_read_as_it_was_written_and_the_same_fit_gives_the_same_bytes(made, tmp_path):
    folder, fitted, _ = made
    found = read_quantizer(str(folder / "fitted.npz"))
    for name in ARRAYS:
        assert np.array_equal(getattr(found, name), getattr(fitted, name))
    assert found.name == fitted.name and found.params == fitted.params and found.model == "m#1"
    write_quantizer(str(tmp_path / "again.npz"), found)
    assert (tmp_path / "again.npz").read_bytes() == (folder / "fitted.npz").read_bytes()
    other = replace(fitted, asked=fitted.asked + np.float32(1e-3))
    assert other.name != fitted.name


def test_an_index_finds_by_the_codes_what_the_arrays_say(copied):
    """Rows that FAISS puts first by its tables of bytes are those that the sums put first, but for few."""
    from mmr.arrays.distill import Student, encoded
    from mmr.index.table import adapter

    path, file, fitted = copied
    meta = rebuild(path, kind=spec(fitted, file))
    lists = fitted.lists if len(fitted.lists) else np.zeros((1, DIM), np.float32)
    centroids = fitted.centroids if len(fitted.centroids) else lists
    coded = encoded(items() @ fitted.turn, fitted.codes, lists)
    student = Student(fitted.books, centroids, fitted.asked)
    queries = asked(50, 7)
    right = nearest(queries @ student.asked, student.decoded(coded), 10)
    structure = next(one for one in path.iterdir() if one.suffix == f".{fitted.of}")
    found = adapter(fitted.of).candidates(structure, queries, 10, meta.params, 1.0)
    assert shares(found, right).mean() > 0.9


def test_scores_are_exact_and_upserts_are_coded_by_the_same_file(copied):
    path, file, fitted = copied
    meta = rebuild(path, kind=spec(fitted, file))
    assert meta.params["fitted"] == fitted.name and meta.params["m"] == fitted.params["m"]
    file.unlink()
    before = (path / "fitted.npz").read_bytes()
    upsert(path, records(items(200, 9), "new"), reject=fail)
    assert (path / "fitted.npz").read_bytes() == before
    whole = np.concatenate([items(), items(200, 9)])
    queries = asked(40, 5)
    place = {name: row for row, name in enumerate([*(f"i{i}" for i in range(ROWS)),
                                                   *(f"new{i}" for i in range(200))])}  # fmt: skip
    found = rows_found(path, queries)
    for query, one in zip(queries.astype(np.float64), found, strict=True):
        for name, score in one:
            assert score == np.float32(query @ whole[place[name]].astype(np.float64))
    assert any(name.startswith("new") for one in found for name, _ in one)
    assert check(path) == []


def test_a_rebuild_gives_the_same_codes_and_growth_trains_nothing(copied):
    path, file, fitted = copied
    rebuild(path, kind=spec(fitted, file))
    before = structures(path)
    rebuild(path)
    assert structures(path) == before
    upsert(path, records(items(4 * ROWS, 11), "many"), reject=fail)  # four times as many train others again
    with open_index(path) as index:
        assert index.meta.params["fitted"] == fitted.name
    assert not any(file.name.startswith("trained") for file in path.iterdir())


def test_the_name_of_the_quantiser_that_is_held_names_it_again(copied):
    path, file, fitted = copied
    rebuild(path, kind=spec(fitted, file))
    file.unlink()
    meta = rebuild(path, kind=f"{fitted.of}:fitted={fitted.name},m=4,lists=4,opq=yes,least=200"
                   if fitted.of == "ivfpq" else f"pq:fitted={fitted.name},m=4,opq=yes,least=200")  # fmt: skip
    assert meta.params["fitted"] == fitted.name and meta.params["least"] == 200
    assert check(path) == []
    with pytest.raises(MissingInputError):
        rebuild(path, kind=f"{fitted.of}:fitted=0123456789abcdef")


def test_dead_rows_and_rows_left_out_cost_no_hit(copied):
    path, file, fitted = copied
    rebuild(path, kind=spec(fitted, file))
    delete(path, [f"i{i}" for i in range(0, ROWS, 4)])
    for one in rows_found(path, asked(30, 5)):
        assert len(one) == 5 and all(int(name[1:]) % 4 for name, _ in one)


def test_a_new_index_and_one_that_is_still_small_keep_the_file(made, tmp_path):
    folder, fitted, _ = made
    path = tmp_path / "new.mmr"
    kind = spec(fitted, folder / "fitted.npz", ",least=1000")
    upsert(path, records(items(300)), reject=fail, kind=kind)
    assert (path / "fitted.npz").is_file() and structures(path) == {}
    upsert(path, records(items()), reject=fail, kind=kind)
    assert structures(path) and check(path) == []


def test_another_kind_lets_go_of_the_file(copied):
    path, file, fitted = copied
    rebuild(path, kind=spec(fitted, file))
    rebuild(path, kind="flat")
    assert not (path / "fitted.npz").exists() and structures(path) == {} and check(path) == []


def test_damage_of_the_file_is_found_and_what_mends_it_is_said(copied):
    path, file, fitted = copied
    rebuild(path, kind=spec(fitted, file))
    data = bytearray((path / "fitted.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (path / "fitted.npz").write_bytes(data)
    assert any("--convert KIND:fitted=FILE" in line for line in check(path))
    rebuild(path, kind=spec(fitted, file))
    assert check(path) == []


@pytest.mark.parametrize("more", ["m=8", "bits=8", "opq=no", "lists=7"])
def test_parameters_that_the_file_says_otherwise(copied, more):
    path, file, fitted = copied
    if fitted.of == "pq" and more == "lists=7":
        pytest.skip("pq has no lists")
    with pytest.raises(UsageError, match=more.partition("=")[0]):
        rebuild(path, kind=f"{fitted.of}:{more},fitted={file}")
    with open_index(path) as index:
        assert index.meta.kind == "flat"


def test_another_kind_another_model_and_other_dimensions_are_refused(copied, tmp_path):
    path, file, fitted = copied
    other = "pq" if fitted.of == "ivfpq" else "ivfpq"
    with pytest.raises(UsageError, match="is fitted for"):
        rebuild(path, kind=f"{other}:fitted={file}")
    upsert(tmp_path / "y.mmr", records(items(300), model="n#2"), reject=fail)
    with pytest.raises(BadDataError, match="m#1"):
        rebuild(tmp_path / "y.mmr", kind=spec(fitted, file))
    short = [Record({"id": "a", "vector": items(1)[0][:8], "model": "m#1"})]
    upsert(tmp_path / "z.mmr", short, reject=fail)
    with pytest.raises(BadDataError, match="16 dimensions"):
        rebuild(tmp_path / "z.mmr", kind=spec(fitted, file))
    assert not (tmp_path / "z.mmr" / "fitted.npz").exists()


def test_what_cannot_be_fitted(made):
    folder, _, _ = made
    with open_index(folder / "x.mmr") as index:
        with pytest.raises(BadDataError, match="too few"):
            fit(index, asked(LEAST - 1), "pq:m=4", name="few", rounds=1)
        for kind in ("hnsw", "pq:m=4,opq=no", "pq:m=5", "pq:fitted=a.npz", "nothing"):
            with pytest.raises(UsageError):
                fit(index, asked(), kind, name="none", rounds=1)
        with pytest.raises(BadDataError, match="9,984 vectors"):
            fit(index, asked(), "pq:m=4,bits=8", name="many", rounds=1)


def test_the_interval_of_gains_covers_their_mean():
    gains = np.random.default_rng(1).normal(0.1, 0.3, 400)
    low, high = interval(gains)
    assert low < gains.mean() < high and 0.05 < high - low < 0.07
    assert interval(np.zeros(9)) == (0.0, 0.0)


def about_of(path):
    return archive.value_of(archive.unpack(str(path), path.stat().st_size), archive.ABOUT, dict)


def test_hostile_files_are_refused_in_words(made, tmp_path):
    folder, _, _ = made
    source = folder / "fitted.npz"
    good = archive.unpack(str(source), source.stat().st_size)
    about, file = about_of(source), tmp_path / "bad.npz"
    broken = [{name: good[name][:-1]} for name in ARRAYS if len(good[name])]
    broken += [{name: good[name].astype(np.float64)} for name in ARRAYS]
    broken += [{"asked": np.full_like(good["asked"], np.nan)}, {"turn": good["turn"] * np.float32(np.inf)}]
    broken += [{archive.ABOUT: archive.as_bytes({**about, **wrong})} for wrong in (
        {"format": 9}, {"kind": "vectors"}, {"of": "hnsw"}, {"dim": 1 << 40}, {"dim": "16"}, {"model": 3},
        {"params": {"m": 3, "bits": 4, "lists": 0}}, {"params": {"m": 0, "bits": 4, "lists": 0}},
        {"params": {"m": 4, "bits": 60, "lists": 4}}, {"params": {"m": 4, "bits": 4, "lists": -1}},
        {"params": 4}, {"about": []},
    )]  # fmt: skip
    for change in broken:
        with np.errstate(invalid="ignore"):
            archive.write(str(file), {**good, **change})
        with pytest.raises(BadDataError):
            read_quantizer(str(file))
    data = source.read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:size])
        with pytest.raises(BadDataError):
            read_quantizer(str(file))
    with pytest.raises(MissingInputError):
        read_quantizer(str(tmp_path / "none.npz"))


def program(folder, *arguments):
    line = [sys.executable, "-m", "mmr", "index", "x.mmr", "-q", *arguments]
    return subprocess.Popen(line, cwd=folder, env=program_environment(), stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip


def rounds(path, file, fitted, kills):
    dice, longest, killed = random.Random(3), 1.5, 0
    for number in range(kills):
        kind = "flat" if number % 3 == 2 else spec(fitted, file.name)
        process, begin = program(path.parent, "--convert", kind), time.monotonic()
        try:
            process.communicate(timeout=dice.uniform(0.2, 1.1) * longest)
            longest = time.monotonic() - begin
            assert process.returncode == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
        assert check(path) == []
        with open_index(path) as index:
            held = index.meta.kind == fitted.of
            assert held or index.meta.kind == "flat"
        assert len(rows_found(path, asked(3))) == 3
    process = program(path.parent, "--convert", spec(fitted, file.name))
    assert process.communicate()[1] == b"" and process.returncode == 0 and check(path) == []
    assert len([one for one in path.iterdir() if one.name.startswith(("fitted", ".fitted"))]) == 1
    return killed


def test_a_killed_conversion_leaves_one_state_or_the_other(copied):
    if copied[2].of == "pq":
        pytest.skip("ivfpq does")
    rounds(*copied, 3)


@pytest.mark.soak
def test_many_kills(copied):
    assert rounds(*copied, 60) > 10
