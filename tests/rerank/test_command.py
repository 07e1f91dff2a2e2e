"""`mmr rerank` in a shell: pipes, files that are whole or not there, the same bytes, and plug-ins."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from click.testing import CliRunner

from mmr.cli.rerank import command
from mmr.errors import UnavailableError
from mmr.rerank import table
from mmr.rerank.method import Answer, Method
from mmr.rerank.table import METHODS, Param, Row
from tests.conftest import program_environment
from tests.rerank.made import unit


@pytest.fixture
def folder(tmp_path, sh):
    """An index of 80 pictures in two segments, and 30 picture queries with 40 hits each."""
    for name, seed, rows in (("g", 1, 50), ("more", 4, 30), ("q", 3, 30)):
        with open(tmp_path / f"{name}.jsonl", "w") as file:
            for number, vector in enumerate(unit(seed, rows, 16, dtype=np.float32)):
                record = {"id": f"{name}{number}", "image": f"{name} {number}.jpg", "model": "toy#1"}
                file.write(json.dumps({**record, "vector": vector.tolist()}) + "\n")
    line = "mmr index -q g.mmr g.jsonl && mmr index -q g.mmr more.jsonl && "
    assert sh(f"{line} mmr query g.mmr --from q.jsonl -k 40 > raw.jsonl").status == 0
    return tmp_path


BOTH = [row.name for row in METHODS if row.needs == ("query", "vectors") and row.name != "profile"]


@pytest.mark.parametrize("name", ["superglobal", "alpha-qe", "k-reciprocal", "diversify"])
def test_the_same_bytes_alone_in_a_batch_and_with_the_vectors_in_the_hits(folder, sh, name):
    whole = sh(f"mmr rerank {name} --index g.mmr raw.jsonl")
    assert (whole.status, whole.stderr, len(whole.lines)) == (0, "", 30)
    alone = sh(
        f'while read -r r; do echo "$r" | mmr rerank {name} --index g.mmr; done < <(head -5 raw.jsonl)'
    )
    assert alone.lines == whole.lines[:5]
    carried = sh(
        f"mmr query g.mmr --from q.jsonl -k 40 --with-vectors | mmr rerank {name} --format trec | sha256sum; "
        f"mmr rerank {name} --index g.mmr raw.jsonl --format trec | sha256sum"
    )
    assert len(set(carried.lines)) == 1


def test_the_same_bytes_at_any_number_of_threads(tmp_path, sh):
    """200 hits of 64 dimensions, among them copies: enough for BLAS to use its threads."""
    rows = unit(5, 240, 64, dtype=np.float32)
    rows[200:] = rows[:40]
    np.save(tmp_path / "g.npy", rows)
    assert (
        sh("mmr index -q g.mmr g.npy && mmr query -q g.mmr --all-items -k 200 | head -40 > raw.jsonl").status
        == 0
    )
    for name in [*BOTH, "diversify"]:
        line = f"OPENBLAS_NUM_THREADS=%d mmr rerank {name} --index g.mmr raw.jsonl -q | sha256sum"
        assert len(set(sh(f"{line % 1}; {line % 2}").lines)) == 1, name


def test_every_method_from_vectors_runs(folder, sh):
    done = sh(f"for m in {' '.join(BOTH)}; do mmr rerank $m --index g.mmr raw.jsonl --explain | wc -l; done")
    assert (done.lines, done.stderr) == (["30"] * len(BOTH), "")


def test_an_answer_comes_before_the_next_query(folder):
    """Nothing is held back while the pipe is open."""
    lines = (folder / "raw.jsonl").read_bytes().splitlines(keepends=True)
    argv = ["mmr", "rerank", "superglobal", "--index", "g.mmr"]
    with subprocess.Popen(argv, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=program_environment()) as child:  # fmt: skip
        for line in lines[:3]:
            child.stdin.write(line)
            child.stdin.flush()
            assert json.loads(child.stdout.readline())["id"] == json.loads(line)["id"]
        child.stdin.close()
        assert child.wait(timeout=60) == 0


def test_an_index_may_change_between_queries(folder, sh):
    """Each batch sees the newest state: an item that went is named, and the others go on."""
    gone = [json.loads(line)["hits"][0]["id"] for line in (folder / "raw.jsonl").read_text().splitlines()][1]
    line = (
        f"(head -1 raw.jsonl; sleep 2; echo {gone} | mmr index -q g.mmr --delete -; "
        "sed -n 2p raw.jsonl) | mmr rerank alpha-qe --index g.mmr --format trec | cut -d ' ' -f 1 | uniq"
    )
    done = sh(line)
    assert done.lines == ["q0"] and f"the hit {gone} is not in g.mmr" in done.stderr


def test_a_changed_index_is_seen_whoever_looked_first(folder):
    """Another reader of the same index may have gone to its newest state before the vectors are asked for."""
    from mmr.cli.gathered import Gather
    from mmr.index import open_index

    first = np.float32(np.eye(16)[3])
    with open_index(folder / "g.mmr") as index:
        gather = Gather(index)
        before = gather([["g1", "g2"]])[0]
        line = json.dumps({"id": "g1", "model": "toy#1", "vector": first.tolist()})
        subprocess.run(["mmr", "index", "-q", "g.mmr"], input=line.encode(), cwd=folder, check=True,
                       env=program_environment())  # fmt: skip
        index.refresh()
        after = gather([["g1", "g2"]])[0]
    assert after[0].tolist() == first.tolist() and after[1].tolist() == before[1].tolist()
    assert before[0].tolist() != after[0].tolist()


def test_what_cannot_be_written(folder, sh):
    assert sh("mmr rerank superglobal --index g.mmr raw.jsonl -o /dev/full").status == 74
    assert sh("mmr rerank fuse raw.jsonl raw.jsonl --format trec -o nowhere/x.trec").status == 73
    assert sh("mmr rerank fuse raw.jsonl raw.jsonl --format trec -q > /dev/full").status == 74
    assert sh("mmr rerank superglobal --index none.mmr raw.jsonl").status == 66
    assert sh("mmr rerank superglobal --index g.mmr none.jsonl").status == 66
    assert {path.name for path in folder.iterdir() if path.name.startswith(".")} == set()


def test_a_closed_pipe_ends_quietly(folder, sh):
    for line in ("superglobal --index g.mmr raw.jsonl", "fuse -q raw.jsonl raw.jsonl --format trec"):
        done = sh(f"mmr rerank {line} | head -1 | wc -l; echo ${{PIPESTATUS[0]}}")
        assert (done.lines, done.stderr) == (["1", "0"], "")


def test_strict_stops_at_the_first_bad_query(folder, sh):
    line = "mmr rerank aqe --index g.mmr --strict"
    done = sh(f'(head -1 raw.jsonl; echo \'{{"id":"bad"}}\'; tail -1 raw.jsonl) | {line} | wc -l')
    assert done.lines == ["1"] and "has no hits" in done.stderr


def test_rejected_records_can_be_fed_back(folder, sh):
    line = "sed 2s/vector/_v/ raw.jsonl | mmr rerank aqe --index g.mmr --errors bad.jsonl | wc -l"
    assert sh(line).lines == ["29"]
    done = sh("sed s/_v/vector/ bad.jsonl | mmr rerank aqe --index g.mmr")
    assert ([json.loads(line)["id"] for line in done.lines], done.status) == (["q1"], 0)


def test_fused_runs_of_every_format_are_one(folder, sh):
    line = "mmr query g.mmr --from q.jsonl -k 40 --format trec > raw.trec; gzip -k raw.trec; "
    line += "for f in 'raw.trec raw.trec' 'raw.jsonl raw.trec' 'raw.jsonl raw.trec.gz'; do "
    assert len(set(sh(line + "mmr rerank fuse -q $f --format trec | sha256sum; done").lines)) == 1
    done = sh("mmr rerank fuse -q raw.jsonl raw.trec")
    assert {len(json.loads(line)["vector"]) for line in done.lines} == {16}


def test_fused_jsonl_and_lines_agree(folder, sh):
    fuse = "mmr rerank fuse -q raw.jsonl raw.jsonl --method combmnz"
    records = [json.loads(line) for line in sh(fuse).lines]
    lines = [line.split() for line in sh(f"{fuse} --format trec").lines]
    assert [(one["id"], hit["id"], hit["score"]) for one in records for hit in one["hits"]] == [
        (query, item, pytest.approx(float(score), rel=1e-6)) for query, _, item, _, score, _ in lines
    ]


class Backwards(Method):
    """Turns a ranking round."""

    def rerank(self, given):
        return Answer(-given.scores * self.params["by"])


BACK = Row("backwards", "the last come first", f"{__name__}:Backwards",
           (Param("by", 2, "A factor", "number", 0, 9),), "Nowhere", "")  # fmt: skip
GONE = BACK._replace(name="gone", loads="mmr_no_such_module:Gone")


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


def test_plug_ins_add_methods(install, tmp_path):
    install(
        {"backwards": BACK, "broken": ImportError("No module named 'x'"), "own": BACK._replace(name="aqe")}
    )
    path = tmp_path / "h.jsonl"
    path.write_text('{"id":"q","hits":[{"id":"a","score":2},{"id":"b","score":1}]}\n')
    done = CliRunner().invoke(command, ["backwards", "--by", "3", str(path)])
    assert [hit["id"] for hit in json.loads(done.stdout)["hits"]] == ["b", "a"]
    assert json.loads(done.stdout)["via"] == ["rerank backwards by=3"]
    listed = CliRunner().invoke(command, ["--help"]).stdout
    assert "backwards" in listed and "Broken: pack_broken" in listed
    assert dict(table.plug_ins())["own"] == "pack_own:ROW: the name 'aqe' is taken"


def test_a_plug_in_that_cannot_be_loaded_breaks_nothing_else(install):
    install({"gone": GONE})
    with pytest.raises(UnavailableError, match="the method gone cannot be loaded"):
        table.method(table.find("gone"))
    assert table.method(table.find("aqe")) is not None


def test_the_line_that_closes_a_pair_is_none_of_the_answers(sh):
    lines = ['{"id":"q","vector":[1,0],"hits":[{"id":"a","score":0.5},{"id":"b","score":0.4}]}']
    sh(f"printf '%s\\n' '{lines[0]}' | mmr rerank cut --max 2 -o g.npy")
    assert '"eof":true' in sh("cat g.jsonl").stdout.decode()
    for method in ("cut --max 1", "assign --one-to-one", "duplicates"):
        done = sh(f"mmr rerank {method} g.npy")
        assert done.status == 0 and done.stdout and b"eof" not in done.stdout, done.stderr
    piped = sh("{ cat g.jsonl; } | mmr rerank cut --max 1")
    assert b'"eof":true' in piped.stdout
