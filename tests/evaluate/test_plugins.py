"""Measures that other packages add by entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from mmr.errors import UnavailableError, UsageError
from mmr.evaluate import plugins
from mmr.evaluate.grammar import parse
from mmr.evaluate.table import Param, Row
from tests.evaluate.made import one

DEPTH = Row(
    "Depth", "items retrieved, times a factor", f"{__name__}:depth", (Param("by", 2, "a factor", 1, 9),), "no"
)
TAKEN = Row("nDCG", "takes a name", f"{__name__}:depth")
GONE = Row("Gone", "loads nothing", "mmr_no_such_module:gone", (), "no")


def depth(judged, *, by):
    return judged.retrieved.astype(np.float64) * by


@pytest.fixture
def install(monkeypatch):
    """Make `entry_points` give these objects; an exception is raised when it is loaded."""

    def set_up(objects):
        class Point(EntryPoint):
            def load(self):
                if isinstance(objects[self.name], BaseException):
                    raise objects[self.name]
                return objects[self.name]

        points = [Point(name, f"pack_{name}:ROW", plugins.GROUP) for name in objects]
        monkeypatch.setattr(
            "importlib.metadata.entry_points", lambda group: points * (group == plugins.GROUP)
        )
        plugins.plugged.cache_clear()

    yield set_up
    plugins.plugged.cache_clear()


def test_plug_ins_add_measures(install):
    install({"depth": DEPTH})
    (measure,) = parse("Depth(by=3)")
    assert measure.values(one({"a": 1, "b": 2}, {"a": 1})).tolist() == [6]
    assert plugins.listed()[-1] == ("Depth(by=2)", "items retrieved, times a factor")
    assert list(plugins.plug_ins()) == [("Depth", "")]


def test_a_broken_plug_in_is_listed_with_its_reason_and_breaks_nothing_else(install):
    install(
        {"Bad": ImportError("No module named 'gone'"), "odd": 3, "own": TAKEN, "twice": DEPTH, "two": DEPTH}
    )
    problems = dict(plugins.plug_ins())
    assert problems["Bad"] == "pack_Bad:ROW: ImportError: No module named 'gone'"
    assert "is a int, not a mmr.evaluate.table.Row" in problems["odd"]
    assert "the name 'nDCG' is taken" in problems["own"]
    assert "the name 'Depth' is taken" in problems["two"]
    assert problems["Depth"] == ""
    assert ("Bad", "broken: pack_Bad:ROW: ImportError: No module named 'gone'") in plugins.listed()
    assert str(parse("Depth")[0]) == "Depth"
    with pytest.raises(UsageError, match="the measure Bad cannot be used: pack_Bad:ROW: ImportError"):
        parse("Bad@3")


def test_plug_ins_are_not_looked_up_for_a_name_of_the_table(monkeypatch):
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: pytest.fail("looked up"))
    plugins.plugged.cache_clear()
    assert len(parse("nDCG@10,MAP,P_5")) == 3


def test_a_row_whose_code_is_gone_says_so(install):
    install({"gone": GONE})
    with pytest.raises(UnavailableError, match="the measure Gone cannot be loaded: No module named"):
        parse("Gone")[0].values(one({"a": 1}, {"a": 1}))
