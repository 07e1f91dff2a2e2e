"""`mmr compose` as it is typed."""

from __future__ import annotations

import json
import shlex
import shutil

import numpy as np
import pytest

from mmr.cli.main import run
from tests.compose.made import unit, units


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """A folder with pictures, an index of them, queries."""
    import subprocess

    from PIL import Image, ImageDraw

    from tests.conftest import program_environment

    folder = tmp_path_factory.mktemp("gallery")
    for name, colour in (("apple", "red"), ("pear", "green"), ("plum", "purple")):
        picture = Image.new("RGB", (48, 48), "white")
        ImageDraw.Draw(picture).ellipse((6, 6, 42, 40), fill=colour)
        picture.save(folder / f"{name}.png")
    line = "mmr embed *.png | mmr index -q pics.mmr"
    subprocess.run(
        ["bash", "-c", line], cwd=folder, env=program_environment(), check=True, capture_output=True
    )
    return folder


@pytest.fixture
def at(gallery, tmp_path, sh):
    """Run a line in a copy of the gallery."""
    home = tmp_path / "home"
    shutil.copytree(gallery, home)
    return lambda line, **more: sh(line, cwd=home, **more)


def records(done):
    assert done.status == 0, done.stderr
    return [json.loads(line) for line in done.lines]


def test_the_issue_by_hand(at):
    found = at('mmr compose sum --image apple.png --text "+green" --text "-red" --image "0.5:plum.png" '
               "| mmr query pics.mmr --format ids")  # fmt: skip
    assert found.lines == ["pear.png"], found.stderr
    found = at(
        'mmr compose and --text "a fruit" --text "something green" --not "an apple" | mmr query pics.mmr'
    )
    assert len(records(found)[0]["hits"]) == 3
    assert records(found)[0]["recipe"] == {
        "score": "and", "of": ["t1", "t2", {"not": "n"}], "by": "product", "scale": "minmax",
    }  # fmt: skip


def test_query_with_a_picture_and_words_is_the_default_composition(at):
    one = "mmr query pics.mmr --image apple.png green | jq -c '[.hits[].score]'"
    other = "mmr compose default --keep-reference --image apple.png --text green | mmr query pics.mmr | "
    other += "jq -c '[.hits[].score]'"
    assert at(one).lines == at(other).lines != []


def test_query_composes_what_has_parts_by_default(at):
    line = json.dumps({"id": "q", "image": "apple.png", "caption": "a red apple", "edited": "a green pear"})
    plain = json.dumps({"id": "p", "image": "plum.png", "text": "green"})
    last = plain.replace('"p"', '"s"')
    parts = json.dumps({"id": "r", "bindings": {"t_m": [1, 0]}, "model": "other#1"})
    found = records(at("mmr query pics.mmr", stdin=f"{plain}\n{line}\n{last}".encode()))
    assert [one["via"][-2].split()[1] for one in found[1:2]] == ["pdv-f"]
    composed = at("mmr compose pdv-f | mmr query pics.mmr", stdin=line.encode())
    assert records(composed)[0]["hits"] == found[1]["hits"]
    assert "builtin composed" in found[0]["via"][0]
    assert at("mmr query pics.mmr", stdin=parts.encode()).status == 65


def test_a_name_alone_searches_as_ever(at):
    line = "{} | mmr query pics.mmr | jq -c '.hits | map([.id, .score])'"
    picture = at(line.format("mmr embed apple.png")).lines
    assert at(line.format("mmr compose expr v --image apple.png --keep-reference")).lines == picture != []
    words = at(line.format("mmr embed --text 'a pear'")).lines
    assert at(line.format("mmr compose expr t_m --text 'a pear'")).lines == words != []


def test_a_recipe_over_composed_vectors(at):
    words = '--image apple.png --caption "an apple" --edited "a pear"'
    first = f'mmr compose expr "2*t_c - t_r" --into edit {words}'
    found = at(f"{first} | mmr compose product --of v,edit | mmr query pics.mmr --format ids")
    assert set(found.lines) == {"pear.png", "plum.png"}, found.stderr


def test_a_stored_item_is_a_reference_and_is_left_out(at):
    line = "mmr compose weighted --index pics.mmr --ref-id {} --text green | mmr query pics.mmr --format ids"
    assert set(at(line.format("apple.png")).lines) == {"pear.png", "plum.png"}
    gone = at(line.format("fig.png"))
    assert "no item 'fig.png'" in gone.stderr
    found = at("mmr compose image --ref-id apple.png")
    assert (found.status, "--index" in found.stderr) == (2, True)


def test_stored_vectors_are_taken_for_records(at):
    """With --index a picture that it holds is not read again: here its file is gone."""
    line = 'rm apple.png; echo \'{"id":"q","image":"apple.png","text":"green"}\' | mmr compose weighted '
    assert records(at(line + "--index pics.mmr"))[0]["id"] == "q"
    lost = at(line)
    assert lost.status == 3
    assert "apple.png" in lost.stderr


def test_records_are_embedded_by_their_fields_and_bad_ones_are_kept(at):
    lines = [
        {"id": "a", "image": "apple.png", "caption": "a red apple", "edited": ["a pear", "a green pear"]},
        {"id": "b", "image": "none.png", "caption": "x", "edited": "y"},
        {"id": "c", "image": "plum.png", "text": "green"},
        {"id": "d", "image": "plum.png", "caption": "a plum", "edited": "a pear", "more": [1]},
    ]
    text = "\n".join(map(json.dumps, lines)).encode()
    done = at("mmr compose pdv-f --errors bad.jsonl --explain; cp bad.jsonl ../; exit $?", stdin=text)
    found = [json.loads(line) for line in done.lines]
    assert [one["id"] for one in found] == ["a", "d"]
    assert found[1]["more"] == [1]
    assert "mean(t_c)" in found[0]["explain"]["weights"]
    bad = [json.loads(line) for line in at("cat bad.jsonl").lines]
    assert [(one["id"], one["stage"]) for one in bad] == [("b", "decode"), ("c", "compose")]


def test_an_edited_stream_gives_the_edited_result(at):
    first = 'echo \'{"id":"q","image":"apple.png","caption":"an apple","edited":"a plum"}\''
    plain = records(at(f"{first} | mmr compose pdv-t"))[0]
    edited = records(at(f"{first} | sed s/plum/pear/ | mmr compose pdv-t"))[0]
    fresh = records(at("mmr compose pdv-t --image apple.png --caption 'an apple' --edited 'a pear'"))[0]
    assert edited["vector"] == fresh["vector"] != plain["vector"]


def test_status_of_what_goes_wrong(gallery, monkeypatch, capsys):
    """In one process, which is all that usage errors need."""
    monkeypatch.chdir(gallery)

    def said(line):
        status = run(shlex.split(line)[1:])
        words = capsys.readouterr().err
        assert "fault in mmr" not in words
        return status, words

    status, words = said("mmr compose pdv-f --image apple.png --text night")
    assert (status, "pdv-f needs t_c and t_r" in words) == (2, True)
    status, words = said("mmr compose expr 'v - v' --image apple.png")
    assert (status, "apple.png" in words) == (65, True)
    status, words = said("mmr compose expr 'v - v' --image apple.png --on-zero skip")
    assert (status, "cancel out" in words) == (3, True)
    status, words = said("mmr compose expr 'v + * t_m' --image apple.png")
    assert (status, "column 5" in words) == (2, True)
    assert said("mmr compose weighted --a 2 --image apple.png")[0] == 2
    assert said("mmr compose weighted --sweep a=2 --image apple.png --text x")[0] == 2
    assert said("mmr compose weighted --sweep b=2 --image apple.png --text x")[0] == 2
    assert said("mmr compose weighted --a .5 --set a=.5 --image apple.png --text x")[0] == 2
    assert said("mmr compose weighted --image apple.png --from x.jsonl")[0] == 2
    assert said("mmr compose weighted --from none.jsonl")[0] == 66
    status, words = said("mmr compose image --image none.png")
    assert (status, "none.png does not exist" in words) == (66, True)
    assert said("mmr compose sum --image apple.png --image none.png")[0] == 66
    for line in ("compose text --text", "compose cirevl --text x --caption", "embed --text"):
        status, words = said(f"mmr {line} 'a\udcff'")
        assert (status, "is not UTF-8" in words) == (2, True), line
    assert said("mmr compose default --sweep a=1 --image apple.png")[0] == 2
    assert said("mmr compose nothing")[0] == 2
    status, words = said("mmr compose sum --image apple.png --text +")
    assert (status, "--text '+' has no words" in words) == (2, True)
    assert said("mmr compose and --text a --lo .3")[0] == 2
    assert said("mmr compose product --image apple.png")[0] == 2
    assert said("mmr compose image --image apple.png --model nothing")[0] == 2
    assert said("mmr compose weighted --bind v=none.npy")[0] == 66
    for line in (
        "weighted --image apple.png --text x --not y", "text --text x --edited y",
        "text --text x --caption y", "vote --text x --not y", "vote --text x --text -y",
        "product --image apple.png --text x --not y", "default --image apple.png --not y",
    ):  # fmt: skip
        assert said(f"mmr compose {line}")[0] == 2
    assert said("mmr compose cirevl --caption x --edited y")[0] == 0


def test_a_terminal_without_input_gets_the_help(at):
    done = at("mmr compose")
    assert (done.status, "Methods:" in done.stderr) == (2, True)


def test_files_of_one_row(at):
    """Alone they are one query; beside others they belong to each."""
    at("mmr embed apple.png -o v.npy; mmr embed --text green -o t.npy")
    alone = records(at("mmr compose weighted --bind v=v.npy --bind t_m=t.npy"))
    typed = records(at("mmr compose weighted --image apple.png --text green"))
    assert len(alone) == 1
    np.testing.assert_allclose(alone[0]["vector"], typed[0]["vector"], atol=1e-6)
    beside = records(at("mmr compose weighted --bind t_m=t.npy --image apple.png"))
    assert beside[0]["vector"] == typed[0]["vector"]
    product = records(at("mmr compose product --bind v=v.npy --bind t_m=t.npy"))
    assert set(product[0]["bindings"]) == {"v", "t_m"}
    lines = "".join(json.dumps({"id": name, "image": f"{name}.png"}) + "\n" for name in ("apple", "plum"))
    several = records(at("mmr compose weighted --bind t_m=t.npy", stdin=lines.encode()))
    assert [one["id"] for one in several] == ["apple", "plum"]
    at("mmr embed *.png -o all.npy")
    done = at("mmr compose weighted --bind v=all.npy --text green")
    assert (done.status, "3 rows, and the command line is one query" in done.stderr) == (2, True)
    at("sed -i s/builtin#/builtin#9/ t.jsonl")
    assert at("mmr compose weighted --bind t_m=t.npy --image apple.png").status == 65


def test_captions_fold_into_the_vectors_of_a_gallery(at):
    """WeiMoCIR scores (1 - b) q.g + b mean(q.c): a plain search of folded vectors that keep their length."""
    items = "\n".join(
        json.dumps({"id": name, "image": f"{name}.png", "captions": [f"a {name}", f"one {name} on white"]})
        for name in ("apple", "pear", "plum")
    )
    parts = records(at("mmr embed --bind v=image:image --bind c=text:captions", stdin=items.encode()))
    line = 'mmr compose expr "0.8*v + 0.2*mean(c)" --keep-length | mmr index -q folded.mmr'
    text = "\n".join(map(json.dumps, parts)).encode()
    assert at(line, stdin=text).status == 0
    (found,) = records(at("mmr embed --queries --text 'a pear' | mmr query folded.mmr"))
    q = np.array(found["vector"])
    naive = {
        one["id"]: 0.8 * q @ one["bindings"]["v"] + 0.2 * np.mean([q @ c for c in one["bindings"]["c"]])
        for one in parts
    }
    assert {hit["id"]: hit["score"] for hit in found["hits"]} == pytest.approx(naive, abs=1e-6)
    bare = at("mmr compose expr v --keep-length | jq -c .unit", stdin=text)
    assert bare.lines == ["false"] * 3


def test_npy_to_npy_and_its_pair(at, tmp_path):
    v, t = units(0, 700, 16), units(1, 700, 16)
    np.save(tmp_path / "v.npy", v)
    np.save(tmp_path / "t.npy", t)
    done = at("cd ..; mmr compose weighted --bind v=v.npy --bind t_m=t.npy -o q.npy")
    assert done.stderr == "mmr compose: 700 queries composed.\n"
    expected = unit(0.2 * v.astype(np.float64) + 0.8 * t)
    np.testing.assert_allclose(np.load(tmp_path / "q.npy"), expected, atol=1e-6)
    lines = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    length = np.linalg.norm(0.2 * v[7].astype(np.float64) + 0.8 * t[7])
    assert lines[7] == {"id": "7", "via": [f"compose weighted a=0.8 norm={length:.4f}"]}
    assert lines[-1]["items"] == 700
    same = at("cd ..; mmr compose weighted --bind v=v.npy --bind t_m=t.npy | mmr normalize l2 -o p.npy")
    assert same.status == 0
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), np.load(tmp_path / "q.npy"), atol=1e-6)
    named = at("cd ..; mmr compose weighted --bind v=v.npy --bind t_m=t.npy --model 'm#1' -o m.npy")
    assert named.status == 0
    assert json.loads((tmp_path / "m.jsonl").read_text().splitlines()[0])["model"] == "m#1"
    blocks = at("cd ..; mmr compose weighted --bind v=v.npy --bind t_m=t.npy --format npy > b.npy; "
                "mmr normalize l2 b.npy -o c.npy")  # fmt: skip
    assert blocks.status == 0
    np.testing.assert_allclose(np.load(tmp_path / "c.npy"), np.load(tmp_path / "q.npy"), atol=1e-7)


def test_a_query_a_line_gets_its_answer_before_the_next_is_sent(at, gallery):
    import subprocess

    from tests.conftest import program_environment

    program = subprocess.Popen(["mmr", "compose", "weighted"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=program_environment(), cwd=gallery)  # fmt: skip
    with program:
        for name in ("a", "b"):
            line = {"id": name, "bindings": {"v": [1, 0], "t_m": [0, 1]}}
            program.stdin.write(json.dumps(line).encode() + b"\n")
            program.stdin.flush()
            assert json.loads(program.stdout.readline())["id"] == name
        program.stdin.close()
    assert program.returncode == 0


def test_a_closed_pipe_ends_it_silently(at):
    line = """yes '{"id":"a","bindings":{"v":[1,0],"t_m":[0,1]}}' | mmr compose weighted | head -2"""
    done = at(line, timeout=60)
    assert (len(done.lines), done.stderr) == (2, "")


def test_a_plug_in_is_a_preset(at, tmp_path):
    package = tmp_path / "site"
    (package / "mine-1.dist-info").mkdir(parents=True)
    (package / "mine-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    entries = "[mmr.compositions]\nfar = mine:FAR\nbroken = mine:NONE\n"
    (package / "mine-1.dist-info" / "entry_points.txt").write_text(entries)
    row = (
        "from mmr.compose.table import Param, Row\n"
        'FAR = Row("far", "the words, far from the picture", "u(t_m - $far*v)", '
        '(Param("far", .5, "How far", 0, 1),), "Never", "nobody")\n'
    )
    (package / "mine.py").write_text(row)
    env = {"PYTHONPATH": f"{package}:{program_path()}"}
    found = at("mmr compose far --far .25 --image apple.png --text green", env=env)
    assert records(found)[0]["via"][-1].startswith("compose far far=0.25")
    listed = at("mmr compose --help", env=env)
    assert "The words, far from the picture." in listed.stdout.decode()
    assert "Broken: mine:NONE" in listed.stdout.decode()
    assert "plug-in far" in at("mmr --version --verbose", env=env).stdout.decode()


def program_path():
    from tests.conftest import ROOT

    return ROOT
