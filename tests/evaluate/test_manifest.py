"""Manifests: what they hold, and in what two of them differ."""

import hashlib
import json

import numpy as np
import pytest

from mmr.errors import BadDataError, MissingInputError
from mmr.evaluate.manifest import differences, digest, manifest, read_manifest, written
from mmr.evaluate.score import Conventions
from mmr.evaluate.scored import Counts, Scored


def scored(name, value, ties="docid-desc"):
    return Scored(name, ["q1"], {"RR": np.array([value])}, {"RR": value}, Counts(1, 1, 1, 0, 0), ties_by=ties)


def made(folder, run="a.run", value=0.5, ties="docid-desc", **conventions):
    qrels, path = folder / "qrels.txt", folder / run
    if not qrels.exists():
        qrels.write_text("q1 0 a 1\n")
    path.write_text(f"q1 Q0 a 1 {value} x\n")
    return manifest([str(qrels)], [scored(str(path), value, ties)], [str(path)], Conventions(**conventions),
                    None, {str(path): ["builtin#1"]})  # fmt: skip


def test_it_holds_hashes_models_conventions_and_totals(tmp_path):
    found = made(tmp_path, gallery=7)
    run = found["runs"][str(tmp_path / "a.run")]
    assert found["judgements"] == {str(tmp_path / "qrels.txt"): hashlib.sha256(b"q1 0 a 1\n").hexdigest()}
    assert run["models"] == ["builtin#1"]
    assert run["totals"] == {"RR": 0.5}
    assert run["queries"]["scored"] == 1
    assert found["conventions"]["gallery"] == 7
    assert found["versions"]["numpy"] == np.__version__
    assert "time" not in json.dumps(found)


def test_it_comes_back_from_its_file(tmp_path):
    found = made(tmp_path)
    file = tmp_path / "m.json"
    file.write_bytes(written(found))
    assert read_manifest(str(file)) == found


def test_the_same_evaluation_twice_differs_in_nothing(tmp_path):
    assert list(differences(made(tmp_path), made(tmp_path))) == []


def test_a_difference_is_named_with_both_values(tmp_path):
    before = made(tmp_path)
    after = made(tmp_path, value=0.25, ties="worst")
    said = list(differences(before, after))
    assert any(line.endswith("ties: docid-desc -> worst") for line in said)
    assert any(line.endswith("totals, RR: 0.5 -> 0.25") for line in said)
    assert any("sha256" in line for line in said)


def test_runs_of_other_names_are_compared_in_order(tmp_path):
    said = list(differences(made(tmp_path), made(tmp_path, run="b.run", value=0.1)))
    assert any("a.run -> " in line and "b.run" in line for line in said)


def test_a_number_of_runs_that_changed_is_said(tmp_path):
    one = made(tmp_path)
    none = {**one, "runs": {}}
    assert list(differences(one, none)) == ["runs: 1 before, 0 now"]


def test_standard_input_has_no_hash():
    assert digest("-") is None


def test_a_folder_has_the_hash_of_its_files(tmp_path):
    (tmp_path / "a").write_text("1")
    first = digest(str(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest(str(tmp_path)) != first


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"gone\.run"):
        digest(str(tmp_path / "gone.run"))


def test_other_files_are_no_manifests(tmp_path):
    file = tmp_path / "x.run"
    file.write_text("q1 Q0 a 1 1 x\n")
    assert read_manifest(str(file)) is None
    assert read_manifest(str(tmp_path / "none")) is None


def test_a_damaged_manifest_is_refused(tmp_path):
    file = tmp_path / "m.json"
    file.write_bytes(written(made(tmp_path))[:-20])
    with pytest.raises(BadDataError, match="damaged"):
        read_manifest(str(file))
