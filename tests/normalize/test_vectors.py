"""Changes of vectors: each equals its formula, alone and in a batch; what they give has a name of its own."""

from __future__ import annotations

import zipfile
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, BadItem, UsageError, raise_item
from mmr.normalize.bank import Bank, digest
from mmr.normalize.table import VECTORS, loaded, vector_row
from mmr.normalize.vector_fit import advice, fit_banks, fit_pairs, fit_set
from mmr.normalize.vectors import Changed, read_change, write_change
from mmr.stream.records import Record, unchanged
from tests.normalize.made import unit

D = 7
WORDS, PICTURES = unit(1, 30, D), unit(2, 40, D)
SETS = [row.name for row in VECTORS if row.needs == "set"]
BANKED = [row.name for row in VECTORS if row.needs == "banks"]


def records(rows, kind="text", model="toy#1", first=0, **more):
    return [
        Record({"id": f"{kind[0]}{first + i}", kind: f"{kind} {i}", "vector": row.astype(np.float32),
                "model": model, **more})
        for i, row in enumerate(rows)
    ]  # fmt: skip


def both(words=WORDS, pictures=PICTURES):
    return [("q.npy", records(words)), ("g.npy", records(pictures, "image"))]


def bank(rows, kind="text", model="toy#1"):
    single = rows.astype(np.float32)
    return Bank(single, np.zeros(len(rows), np.uint64), model, kind, f"{kind}.npy", digest(single))


def fitted(name, **values):
    if name in SETS:
        return fit_set(name, {"dims": 3, **values} if name == "pca" else values, both())
    if name in BANKED:
        return fit_banks(name, values, bank(WORDS), bank(PICTURES, "image"))
    return fit_pairs(values, ("new", records(WORDS)), ("old", records(WORDS[:, ::-1], model="old#2")))


ALL = [*SETS, *BANKED, "map"]


def l2(x):
    return x / np.linalg.norm(x)


def direct(change, rows, group):
    """What the method gives in float64, of the arrays that were learned."""
    method = loaded(change.row.loads)()
    return method.apply(rows.astype(np.float64), np.full(len(rows), group), change.arrays, change.values)


def single(x):
    """Rows as a stream has them: float32, then float64."""
    return np.stack([l2(row.astype(np.float32).astype(np.float64)) for row in x])


def pooled(means):
    """All vectors, each less the mean of its kind."""
    rows = [*single(WORDS), *single(PICTURES)]
    owner = [means[0]] * len(WORDS) + [means[1]] * len(PICTURES)
    return np.stack([row - mean for row, mean in zip(rows, owner, strict=True)])


def means_of(mean):
    words, pictures = single(WORDS), single(PICTURES)
    if mean == "none":
        return np.zeros(D), np.zeros(D)
    if mean == "overall":
        return ((words.mean(axis=0) + pictures.mean(axis=0)) / 2,) * 2
    return words.mean(axis=0), pictures.mean(axis=0)


def near(found, expected):
    """Equal, or opposite in sign of whole columns, which no formula fixes."""
    sign = np.sign((found * expected).sum(axis=0))
    return np.abs(found - expected * sign).max()


TOLERANCE = 2e-6  # what float32 vectors of the set and of the stream leave


@pytest.mark.parametrize("mean", ["modality", "overall"])
def test_centre_takes_the_mean_off(mean):
    change = fitted("centre", mean=mean)
    own = means_of(mean)[0]
    expected = np.stack([l2(row - own) for row in single(WORDS)])
    place = change.groups.index("text")
    assert np.abs(direct(change, single(WORDS), place) - expected).max() < TOLERANCE


@pytest.mark.parametrize("mean", ["modality", "overall", "none"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_abtt_takes_directions_off(mean, count):
    change = fitted("abtt", mean=mean, directions=count)
    own = means_of(mean)
    _, _, directions = np.linalg.svd(pooled(own), full_matrices=False)
    expected = []
    for row in single(PICTURES):
        left = row - own[1]
        for u in directions[:count]:
            left = left - (u @ (row - own[1])) * u
        expected.append(l2(left))
    place = change.groups.index("image")
    assert np.abs(direct(change, single(PICTURES), place) - expected).max() < TOLERANCE


@pytest.mark.parametrize("mean", ["modality", "overall", "none"])
@pytest.mark.parametrize("length", ["unit", "keep"])
def test_pca_keeps_the_directions_of_most_variance(mean, length):
    change = fitted("pca", mean=mean, length=length)
    own = means_of(mean)
    _, sizes, directions = np.linalg.svd(pooled(own), full_matrices=False)
    expected = np.stack([directions[:3] @ (row - own[0]) for row in single(WORDS)])
    if length == "unit":
        expected = np.stack([l2(row) for row in expected])
    found = direct(change, single(WORDS), change.groups.index("text"))
    assert near(found, expected) < TOLERANCE
    assert change.arrays["kept"][0] == pytest.approx((sizes[:3] ** 2).sum() / (sizes**2).sum(), abs=1e-6)
    assert change.out == found.shape[1] == 3


def test_pca_of_all_dimensions_keeps_inner_products():
    change = fitted("pca", dims=D, length="keep")
    rows = single(WORDS)
    found = direct(change, rows, 0)
    assert np.abs(found @ found.T - rows @ rows.T).max() < 1e-10


@pytest.mark.parametrize("form", ["zca", "pca"])
@pytest.mark.parametrize("shrink", [0.0, 0.3, 1.0])
def test_whitening_is_the_inverse_root_of_the_shrunk_covariance(form, shrink):
    change = fitted("whiten", form=form, shrink=shrink)
    own = means_of("modality")
    left = pooled(own)
    covariance = left.T @ left / len(left)
    shrunk = (1 - shrink) * covariance + shrink * np.trace(covariance) / D * np.eye(D)
    values, vectors = np.linalg.eigh(shrunk)
    root = np.diag(values**-0.5) @ vectors.T
    zca = vectors @ root
    rows = single(WORDS) - own[0]
    if form == "zca" or shrink == 1:
        expected = np.stack([l2(zca @ row) for row in rows])
        found = direct(change, single(WORDS), change.groups.index("text"))
        if form == "zca":
            assert np.abs(found - expected).max() < 1e-5
        assert np.abs(found @ found.T - expected @ expected.T).max() < 1e-5
    else:
        expected = np.stack([l2(row) for row in (rows @ root.T)[:, ::-1]])
        assert near(direct(change, single(WORDS), change.groups.index("text")), expected) < 1e-5


def test_whitened_vectors_of_the_set_have_the_variance_of_a_ball():
    change = fitted("whiten", shrink=0.0)
    whole = pooled(means_of("modality")) @ change.arrays["matrix"].T
    assert np.abs(whole.T @ whole / len(whole) - np.eye(D)).max() < 1e-4


def naive_invgc(g, bank_rows, rate):
    return l2(g - rate / len(bank_rows) * sum((g @ h) * h for h in bank_rows))


def test_invgc_equals_its_formula():
    change = fitted("invgc", rate=1.5, query_rate=0.5)
    rows = unit(9, 12, D)
    words, pictures = (x.astype(np.float32).astype(np.float64) for x in (WORDS, PICTURES))
    expected = [l2(naive_invgc(g, pictures, 1.5) + naive_invgc(g, words, 0.5)) for g in rows]
    assert np.abs(direct(change, rows, 0) - expected).max() < 1e-10


def naive_local(g, bank_rows, rate, pool):
    k = max(1, int(pool * len(bank_rows)))
    best = sorted(bank_rows, key=lambda h: -(g @ h))[:k]
    return l2(g - rate / k * sum((g @ h) * h for h in best))


@pytest.mark.parametrize("pool", [0.001, 0.2, 1.0])
def test_localadj_equals_its_formula(pool, monkeypatch):
    change = fitted("localadj", rate=0.5, query_rate=0.7, pool=pool)
    rows = unit(9, 12, D)
    words, pictures = (x.astype(np.float32).astype(np.float64) for x in (WORDS, PICTURES))
    expected = [l2(naive_local(g, pictures, 0.5, pool) + naive_local(g, words, 0.7, pool)) for g in rows]
    assert np.abs(direct(change, rows, 0) - expected).max() < 1e-10
    monkeypatch.setattr("mmr.normalize.method.CELLS", 50)
    assert np.abs(direct(change, rows, 0) - expected).max() < 1e-10


@pytest.mark.parametrize("name", BANKED)
def test_a_rate_of_0_changes_nothing(name):
    change = fitted(name, rate=0, query_rate=0)
    found = list(Changed(change, side="items", force=True).of(records(PICTURES, "image"), raise_item))
    assert np.abs(np.stack([r["vector"] for r in found]) - PICTURES).max() < 1e-7


def test_items_of_the_bank_are_refused_where_they_are_their_own_nearest():
    own = records(PICTURES, "image")
    with pytest.raises(BadDataError, match="40 of the 40 items from"):
        list(Changed(fitted("localadj"), side="items").of(own, raise_item))
    assert len(list(Changed(fitted("localadj"), side="items", force=True).of(own, raise_item))) == 40
    assert len(list(Changed(fitted("invgc"), side="items").of(records(PICTURES, "image"), raise_item))) == 40
    assert len(list(Changed(fitted("localadj"), side="queries").of(records(WORDS), raise_item))) == 30


def test_queries_of_invgc_stay_bit_for_bit():
    change = fitted("invgc")
    found = list(Changed(change, side="queries").of(records(WORDS), raise_item))
    assert all(np.array_equal(r["vector"], w.astype(np.float32)) for r, w in zip(found, WORDS, strict=True))
    assert {r["model"] for r in found} == {change.to}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(8, 60))
def test_procrustes_recovers_a_rotation(seed, n):
    rows = unit(seed, n, D)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((D, D)))[0]
    method = loaded(vector_row("map").loads)()
    found = method.learn(rows, rows @ rotation, {"form": "orthogonal", "ridge": 0.0})["matrix"].T
    assert np.abs(found.T @ found - np.eye(D)).max() < 1e-10
    assert np.abs(found - rotation).max() < 1e-8


@pytest.mark.parametrize(("source", "target"), [(7, 4), (4, 7)])
def test_procrustes_of_unequal_spaces_is_that_of_padded_ones(source, target):
    x, y = unit(3, 50, source), unit(4, 50, target)
    method = loaded(vector_row("map").loads)()
    found = method.learn(x, y, {"form": "orthogonal", "ridge": 0.0})["matrix"].T
    wide = max(source, target)
    u, _, v = np.linalg.svd(
        np.pad(x, ((0, 0), (0, wide - source))).T @ np.pad(y, ((0, 0), (0, wide - target)))
    )
    assert np.abs(found - (u @ v)[:source, :target]).max() < 1e-10


def test_ridge_is_least_squares_with_rows_of_its_own():
    x, y = unit(3, 50, D), unit(4, 50, 5)
    method = loaded(vector_row("map").loads)()
    found = method.learn(x, y, {"form": "ridge", "ridge": 0.25})["matrix"].T
    rows, wanted = np.vstack([x, 0.5 * np.eye(D)]), np.vstack([y, np.zeros((D, 5))])
    assert np.abs(found - np.linalg.lstsq(rows, wanted, rcond=None)[0]).max() < 1e-10


def test_a_map_names_both_models():
    change = fitted("map")
    assert (change.values["form"], change.model, change.to) == ("orthogonal", "toy#1", "old#2")
    assert "from toy#1 to old#2" in change.step


def test_pairs_go_by_their_ids():
    shuffled = records(WORDS[::-1], model="old#2")
    for place, record in enumerate(shuffled):
        record["id"] = f"t{len(WORDS) - 1 - place}"
    straight = fit_pairs({}, ("new", records(WORDS)), ("old", records(WORDS, model="old#2")))
    turned = fit_pairs({}, ("new", records(WORDS)), ("old", shuffled))
    assert np.abs(straight.arrays["matrix"] - turned.arrays["matrix"]).max() < 1e-12


@pytest.mark.parametrize("name", ALL)
def test_a_stream_gives_the_formula_alone_and_in_a_batch(name):
    change = fitted(name)
    queries = records(WORDS)
    together = list(Changed(change, side="items" if change.row.sides else None).of(queries, raise_item))
    expected = direct(change, single(WORDS), change.groups.index("text") if change.groups else 0)
    assert np.abs(np.stack([r["vector"] for r in together]) - expected).max() < 1e-6
    for one, record in zip(records(WORDS), together, strict=True):
        changed = Changed(change, side="items" if change.row.sides else None)
        (alone,) = changed.of([one], raise_item)
        assert np.array_equal(alone["vector"], record["vector"])
    assert {r["model"] for r in together} == {change.to}
    assert all(r["via"] == [change.step] and "unit" not in r for r in together)


@pytest.mark.parametrize("name", [name for name in ALL if name != "map"])
def test_what_a_change_gives_has_a_name_of_its_own(name):
    change = fitted(name)
    assert unchanged(change.to) == ("toy", (name,))
    values = {"centre": {"mean": "overall"}, "abtt": {"directions": 2}, "pca": {"dims": 2},
              "whiten": {"shrink": 0.1}, "invgc": {"rate": 2}, "localadj": {"pool": 0.5}}[name]  # fmt: skip
    assert fitted(name, **values).to != change.to
    assert fitted(name).to == change.to


def test_vectors_that_keep_their_length_say_so():
    (found, *_) = Changed(fitted("pca", length="keep")).of(records(WORDS), raise_item)
    assert found["unit"] is False and len(found["vector"]) == 3


def test_several_vectors_of_an_item_are_changed_alike():
    change = fitted("centre")
    several = Record({"id": "a", "text": "x", "vectors": WORDS[:4].astype(np.float32), "model": "toy#1"})
    (found,) = Changed(change).of([several], raise_item)
    ones = list(Changed(change).of(records(WORDS[:4]), raise_item))
    assert np.array_equal(found["vectors"], np.stack([one["vector"] for one in ones]))


def test_the_order_of_the_set_does_not_matter():
    shuffled = both(WORDS[::-1], PICTURES[::-1])[::-1]
    for name in SETS:
        values = {"dims": 3} if name == "pca" else {}
        one, other = fit_set(name, values, both()), fit_set(name, values, shuffled)
        for key, array in one.arrays.items():
            assert np.abs(array - other.arrays[key]).max() < 1e-8


@pytest.mark.parametrize("name", ALL)
def test_what_is_written_is_read(name, tmp_path):
    change = fitted(name)
    path = str(tmp_path / "a.npz")
    write_change(path, change)
    found = read_change(path)
    for field in ("row", "values", "model", "to", "dim", "out", "groups", "source", "step"):
        assert getattr(found, field) == getattr(change, field)
    assert all(np.array_equal(found.arrays[key], values) for key, values in change.arrays.items())


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_an_error_in_words_or_the_same_change(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("change") / "a.npz"
    change = fitted(data.draw(st.sampled_from(["centre", "map", "invgc"])))
    write_change(str(path), change)
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    try:
        found = read_change(str(path))
    except BadDataError as error:
        assert "mmr fit" in str(error)
    else:
        assert all(np.array_equal(found.arrays[key], values) for key, values in change.arrays.items())


def rewritten(tmp_path, change, **arrays):
    """A file with other arrays, its checksums right and its sense not."""
    path = tmp_path / "x.npz"
    write_change(str(path), change)
    with np.load(path) as archive:
        whole = dict(archive)
    whole |= {f"learned.{name}": value for name, value in arrays.items()}
    np.savez(path, **whole)
    return str(path)


def test_a_file_that_makes_no_sense_is_said(tmp_path):
    centre, pushed = fitted("centre"), fitted("map")
    cases = [
        (centre, {"means": np.full((2, D), np.nan)}),
        (centre, {"means": np.zeros((2, D + 1))}),
        (centre, {"means": np.zeros((2, D))}),
        (pushed, {"matrix": np.zeros((3, 3))}),
        (pushed, {"matrix": np.zeros((0, D))}),
        (pushed, {"matrix": np.zeros(D, np.int64)}),
    ]
    for change, arrays in cases:
        with pytest.raises(BadDataError, match="is no file that `mmr fit` wrote"):
            read_change(rewritten(tmp_path, change, **arrays))


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        data = BytesIO()
        np.save(data, np.array([{"a": 1}], object), allow_pickle=True)
        archive.writestr("about.npy", data.getvalue())
    with pytest.raises(BadDataError):
        read_change(str(path))


def test_what_a_stream_may_not_hold():
    changed = Changed(fitted("centre"))
    cases = {
        "has no vector": {"id": "a", "text": "x"},
        "has hits already": {"id": "a", "text": "x", "vector": WORDS[0], "hits": []},
        "has bindings": {"id": "a", "vector": WORDS[0], "bindings": {"v": WORDS[0]}},
        "3 numbers": {"id": "a", "text": "x", "vector": WORDS[0][:3]},
        "unknown modality": {"id": "a", "vector": WORDS[0]},
        "is of image,text": {"id": "a", "text": "x", "image": "y.png", "vector": WORDS[0]},
    }
    for words, record in cases.items():
        with pytest.raises(BadItem, match=words):
            list(changed.of([Record(record)], raise_item))
    with pytest.raises(BadDataError, match="toy#1"):
        list(changed.of(records(WORDS, model="other#9"), raise_item))


def test_a_vector_of_which_nothing_is_left_is_left_out():
    change = fitted("centre")
    mean = change.arrays["means"][change.groups.index("text")]
    bad = []
    asked = [*records(WORDS[:2]), *records(mean[None], first=7, unit=False), *records(WORDS[2:3], first=9)]
    found = list(Changed(change).of(asked, bad.append))
    exact = Record({"id": "z", "text": "z", "unit": False, "vector": mean})
    assert list(Changed(change).of([exact], bad.append)) == []
    assert [r["id"] for r in found][:2] == ["t0", "t1"]
    assert "no direction" in str(bad[-1])


def test_what_does_not_belong_together_is_refused():
    many, foreign = records(WORDS), records(WORDS, model="other#2")
    few = both(WORDS[:2], PICTURES[:2])
    bare = [Record({"id": "0", "vector": WORDS[0]})]
    cases = [
        (BadDataError, "do not say whether", lambda: fit_set("centre", {}, [("b", bare)])),
        (BadDataError, "holds no vectors", lambda: fit_set("centre", {}, [("b", [])])),
        (BadDataError, "a vector of zeros", lambda: fit_set("centre", {}, [("b", records(0 * WORDS))])),
        (BadDataError, "have 7", lambda: fit_set("centre", {}, [("b", [*many, *records(WORDS[:, :3])])])),
        (BadDataError, "other#2", lambda: fit_set("centre", {}, [("b", [*many, *foreign])])),
        (BadDataError, "are more than the 7", lambda: fit_set("pca", {"dims": 8}, both())),
        (BadDataError, "cannot be whitened", lambda: fit_set("whiten", {"shrink": 0}, few)),
        (UsageError, "it must be modality", lambda: fit_set("centre", {"mean": "none"}, both())),
        (UsageError, "no parameter of centre", lambda: fit_set("centre", {"dims": 3}, both())),
        (UsageError, "is not fitted so", lambda: fit_set("invgc", {}, both())),
        (UsageError, "There are: centre", lambda: fit_set("center", {}, both())),
        (BadDataError, "share no ids", lambda: fit_pairs({}, ("a", many), ("b", records(WORDS, "image")))),
        (BadDataError, "both files have vectors", lambda: fit_pairs({}, ("a", many), ("b", records(WORDS)))),
        (BadItem, "a second vector", lambda: fit_pairs({}, ("a", [*many, *many]), ("b", foreign))),
        (BadDataError, "has 6", lambda: fit_banks("invgc", {}, bank(WORDS), bank(PICTURES[:, :6]))),
        (BadDataError, "toy#2", lambda: fit_banks("invgc", {}, bank(WORDS), bank(PICTURES, model="toy#2"))),
    ]  # fmt: skip
    for error, words, call in cases:
        with pytest.raises(error, match=words):
            call()


def test_advice_names_what_is_known_to_hurt():
    assert "few for 7" in " ".join(advice(fitted("pca"), 20))
    assert "16.8 points" in " ".join(advice(fitted("centre", mean="overall"), 1000))
    assert advice(fitted("centre"), 1000) == []
    assert "11.7 points" in " ".join(advice(fitted("whiten"), 1000))
    assert "more than 1 direction" in " ".join(advice(fitted("abtt", directions=2), 1000))


@pytest.mark.parametrize(
    ("name", "values"),
    [("abtt", {"mean": "none", "directions": 0}), ("whiten", {"mean": "none", "shrink": 1}),
     ("invgc", {"rate": 0, "query_rate": 0}), ("localadj", {"rate": 0, "query_rate": 0})],
)  # fmt: skip
def test_parameters_of_the_identity_give_the_identity(name, values):
    rows = single(WORDS)
    assert np.abs(direct(fitted(name, **values), rows, 0) - rows).max() < 1e-10


def test_a_map_between_equal_vectors_is_the_identity():
    same = records(WORDS, model="old#2")
    for values in ({"form": "orthogonal"}, {"form": "ridge", "ridge": 0}):
        change = fit_pairs(values, ("new", records(WORDS)), ("old", same))
        assert np.abs(change.arrays["matrix"] - np.eye(D)).max() < 1e-6
