"""Methods that other packages add: fitted, applied and held like those of the table."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest
from click.testing import CliRunner

from mmr.arrays.affine import Affine
from mmr.cli.fit import command as fit_command
from mmr.cli.index import command as index_command
from mmr.cli.normalize import command as normalize_command
from mmr.errors import UnavailableError
from mmr.normalize import table
from mmr.normalize.apply import is_correction
from mmr.normalize.method import Method
from mmr.normalize.table import Param, Row
from tests.normalize.made import unit


class Half(Method):
    """Takes off a share of the best score with the bank."""

    def describe(self, vectors, banks, learned, params):
        return {"best": (vectors @ banks.queries.T).max(axis=1)}

    def affine(self, columns, params):
        return Affine(columns["best"] * 0 + 1, -params["share"] * columns["best"])


HALF = Row("half", "a share of the best score is taken off", f"{__name__}:Half",
           (Param("share", 0.5, "How much", 0, 1),), "Nowhere", "none")  # fmt: skip
GONE = HALF._replace(name="gone", loads="mmr_no_such_module:Gone")


@pytest.fixture
def install(monkeypatch):
    """Make entry points give these rows; an exception is raised when one is loaded."""

    def set_up(objects):
        class Point(EntryPoint):
            def load(self):
                if isinstance(objects[self.name], BaseException):
                    raise objects[self.name]
                return objects[self.name]

        points = [Point(name, f"pack_{name}:ROW", table.GROUP) for name in objects]
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points * (group == table.GROUP))
        table.plugged.cache_clear()

    yield set_up
    table.plugged.cache_clear()


def run(command, *arguments):
    done = CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done


def test_plug_ins_add_methods(install, tmp_path):
    install({"half": HALF, "broken": ImportError("No module named 'x'"), "own": HALF._replace(name="nnn"),
             "taken": HALF._replace(name="calibrate")})  # fmt: skip
    for name, seed, rows, kind in (("g", 1, 9, "image"), ("bank", 2, 5, "text")):
        lines = [json.dumps({"id": f"{name}{i}", kind: f"{name} {i}", "vector": v.tolist()})
                 for i, v in enumerate(unit(seed, rows, 6))]  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    index, fitted = tmp_path / "g.mmr", tmp_path / "h.npz"
    run(index_command, index, tmp_path / "g.jsonl")
    run(
        fit_command,
        "half",
        "--index",
        index,
        "--bank",
        tmp_path / "bank.jsonl",
        "--share",
        0.25,
        "-o",
        fitted,
    )
    (tmp_path / "h.jsonl").write_text('{"id":"q","text":"x","hits":[{"id":"g1","score":0.5}]}\n')
    out = json.loads(run(normalize_command, "apply", fitted, tmp_path / "h.jsonl").stdout)
    best = (unit(1, 9, 6)[1] @ unit(2, 5, 6).T).max()
    assert out["hits"][0]["score"] == pytest.approx(0.5 - 0.25 * best, abs=1e-6)
    assert out["via"][0].startswith("normalize half share=0.25") and is_correction(out["via"][0])
    run(index_command, index, "--correct", fitted)
    assert (
        json.loads(run(index_command, index, "--info", "--format", "json").stdout)["correction"]["share"]
        == 0.25
    )
    listed = CliRunner().invoke(fit_command, ["--help"]).stdout
    assert "half" in listed and "Broken: pack_broken" in listed
    found = dict(table.plug_ins())
    assert found["own"] == "pack_own:ROW: the name 'nnn' is taken" and "taken" in found["taken"]


def test_a_plug_in_that_cannot_be_loaded_breaks_nothing_else(install):
    install({"gone": GONE})
    with pytest.raises(UnavailableError, match="the method gone cannot be loaded"):
        table.method("gone")
    assert table.method("nnn")[0].name == "nnn"
    assert CliRunner().invoke(fit_command, ["none-such"]).exit_code == 2
