"""Whatever is done to an index, it holds what a plain dict would hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mmr.errors import BadDataError
from mmr.index import delete, open_index, upsert
from mmr.index import intake as writing
from mmr.index.check import check, compact, rebuild
from mmr.index.sync import sync
from tests.index.made import fail, item, keep, vector_of, version_of, whole

NAMES = st.sampled_from([f"a/{i}.jpg" for i in range(12)] + [f"b/{i}.jpg" for i in range(12)])
CHANGES = st.lists(st.tuples(NAMES, st.integers(0, 3)), max_size=14)


class Machine(RuleBasedStateMachine):
    """Upserts, keeps, deletions, syncs and merges in any order; `held` is what must be there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "x.mmr")
        self.held: dict[str, tuple[int, int]] = {}
        self.batch = writing.BATCH_ITEMS
        writing.BATCH_ITEMS = 5

    def teardown(self) -> None:
        writing.BATCH_ITEMS = self.batch
        self.folder.cleanup()

    @rule(changes=CHANGES)
    def put(self, changes):
        known = dict(self.held)
        counts = upsert(self.path, [item(*change) for change in changes], reject=fail)
        self.held.update({name: (version, 100 + version) for name, version in changes})
        assert counts.new == len({name for name, _ in changes} - set(known))
        assert counts.new + counts.changed + counts.kept + counts.again == len(changes)

    @rule(name=NAMES, size=st.integers(0, 9))
    def see(self, name, size):
        counts = upsert(self.path, [keep(name, size=size)], reject=fail)
        if name in self.held:
            self.held[name] = (self.held[name][0], size)
        assert counts.kept == (name in self.held)

    @precondition(lambda self: self.path.exists())
    @rule(names=st.lists(NAMES, max_size=6))
    def drop(self, names):
        counts = delete(self.path, names)
        assert counts.gone == len(set(names) & set(self.held))
        for name in names:
            self.held.pop(name, None)

    @rule(changes=CHANGES, root=st.sampled_from(["/pics/a", "/pics", "/elsewhere"]))
    def follow(self, changes, root):
        stream = whole([item(*change) for change in changes], root)
        before = set(self.held)
        counts = sync(self.path, lambda reject: stream, reject=fail, max_delete=1)
        self.held.update({name: (version, 100 + version) for name, version in changes})
        named = {name for name, _ in changes}
        gone = {n for n in self.held if f"/pics/{n}".startswith(root + "/") and n not in named}
        assert counts.gone == len(gone) == len(gone & before)
        for name in gone:
            del self.held[name]

    @rule(changes=CHANGES.filter(bool))
    def break_off(self, changes):
        try:
            sync(self.path, lambda reject: [item(*change) for change in changes], reject=fail, max_delete=1)
        except Exception as error:
            assert "broke off" in str(error)
        self.held.update({name: (version, 100 + version) for name, version in changes})

    @precondition(lambda self: self.path.exists())
    @rule()
    def merge(self):
        compact(self.path)
        with open_index(self.path) as index:
            assert len(index.segments()) <= 1
            assert all(segment.live.all() for segment in index.segments())

    @precondition(lambda self: self.path.exists())
    @rule(kind=st.sampled_from(["flat", "hnsw:least=4", "hnsw:m=4"]))
    def turn(self, kind):
        try:
            rebuild(self.path, kind=kind)
        except BadDataError:
            assert not self.held

    @invariant()
    def holds_the_same(self):
        if not self.path.exists():
            assert not self.held
            return
        with open_index(self.path) as index:
            found = {record["id"]: record for record in index.items()}
            assert {n: (version_of(r), r["size"]) for n, r in found.items()} == self.held
            assert index.meta.count == len(self.held)
            for name, record in found.items():
                assert np.array_equal(record["vector"], vector_of(name, version_of(record)))
            for segment in index.segments():
                rows = np.flatnonzero(segment.live)
                assert index.ids(segment.number, rows) == [
                    one["id"] for one in index.records([(segment.number, row) for row in rows.tolist()])
                ]
        assert check(self.path) == []


Machine.TestCase.settings = settings(max_examples=12, stateful_step_count=14, deadline=None)
TestModel = Machine.TestCase
