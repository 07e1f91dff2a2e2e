"""Man pages and completions: up to date, complete, well formed, and every example runs."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from mmr.cli.status import MEANINGS
from mmr.cli.table import COMMANDS
from tests.conftest import ROOT, program_environment

MAN = ROOT / "man"
COMPLETIONS = ROOT / "completions"
PAGES = [path for folder in ("man1", "man5", "man7") for path in sorted((MAN / folder).iterdir())]
ORDER = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "EXIT STATUS",
    "ENVIRONMENT",
    "FILES",
    "EXAMPLES",
    "SEE ALSO",
]
TITLES = ["mmr", *(f"mmr-{row.name}" for row in COMMANDS)]


def module(name: str):
    """A module of man/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"man_{name}", MAN / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def generate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(folder / "generate.py"), *arguments], text=True,
                          capture_output=True, env=program_environment())  # fmt: skip


def test_what_is_committed_is_what_the_commands_say():
    done = generate(MAN, "--check")
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_page_that_is_not_up_to_date_is_named(tmp_path):
    shutil.copytree(MAN, tmp_path / "man")
    shutil.copytree(COMPLETIONS, tmp_path / "completions")
    page = tmp_path / "man/man1/mmr-show.1"
    page.write_text(page.read_text().replace("self", "shelf", 1) + "x")
    (tmp_path / "completions/_mmr").unlink()
    done = generate(tmp_path / "man", "--check")
    assert done.returncode == 1
    assert "man/man1/mmr-show.1, completions/_mmr" in done.stderr
    assert generate(tmp_path / "man").returncode == 0
    assert generate(tmp_path / "man", "--check").returncode == 0
    assert generate(tmp_path / "man", "--chekc").returncode == 2


@pytest.mark.parametrize("title", TITLES)
def test_every_command_has_a_whole_page(title):
    page = (MAN / "man1" / f"{title}.1").read_text()
    headings = re.findall(r"^\.SH (.*)$", page, re.MULTILINE)
    assert [heading for heading in headings if heading in ORDER] == ORDER
    assert len(set(headings)) == len(headings)
    status = page.partition(".SH EXIT STATUS\n")[2].partition(".SH ")[0]
    assert re.findall(r"^\\fB(\d+)\\fR$", status, re.MULTILINE) == [str(code) for code in MEANINGS]


def test_every_option_is_on_its_page_and_in_the_completions():
    tree = module("tree")
    scripts = {path.name: path.read_text() for path in COMPLETIONS.iterdir()}
    assert set(scripts) == {"mmr.bash", "_mmr", "mmr.fish"}
    for command in tree.commands():
        page = (MAN / "man1" / f"mmr-{command.name}.1").read_text().replace("\\-", "-")
        assert len(command.options) > 5
        for option in command.options:
            for name in option.names:
                assert f"\\fB{name}\\fR" in page
                assert re.search(rf'"{command.name}"\) words="[^"]*(?<=[ "]){name}[ "]', scripts["mmr.bash"])
            longest = option.names[-1]
            if longest.startswith("--"):
                assert f"'__fish_seen_subcommand_from {command.name}' -l {longest[2:]}" in scripts[
                    "mmr.fish"
                ].replace(f"-s {option.names[0][1:]} ", "")


def test_every_variable_that_the_code_reads_is_documented():
    sources = [path.read_text() for path in (ROOT / "mmr").rglob("*.py")]
    used = {name for source in sources for name in re.findall(r"\bMMR_[A-Z_]+\b", source)}
    page = (MAN / "man1" / "mmr.1").read_text()
    assert used
    assert {name for name in used if f"\\fB{name}\\fR" not in page} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_well_formed(page):
    checkers = [["mandoc", "-Tlint", "-Wwarning"], ["groff", "-man", "-Tutf8", "-ww", "-z"]]
    checkers = [line for line in checkers if shutil.which(line[0])]
    if not checkers:
        pytest.skip("needs mandoc or groff: `apt-get install mandoc groff`")
    for line in checkers:
        done = subprocess.run([*line, str(page)], capture_output=True, text=True)
        assert (done.stdout + done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_pages_that_are_there(page):
    text = page.read_text().replace("\\-", "-").replace("\\fR", "").replace("\\fB", "")
    ours = {path.name for path in PAGES}
    for name, section in re.findall(r"\b(mmr(?:-[a-z]+)?)\((\d)\)", text):
        assert f"{name}.{section}" in ours


@pytest.mark.parametrize(
    ("prose", "printed"),
    [
        (".hidden files", "\\&.hidden files"),
        ("a `--long-name` b", "a \\fB\\-\\-long\\-name\\fR b"),
        ("back\\slash", "back\\eslash"),
        ("→", "\\[u2192]"),
        ("`'quoted'`", "\\fB\\(aqquoted\\(aq\\fR"),
    ],
)
def test_prose_is_escaped(prose, printed):
    assert module("roff").inline(prose) == printed


COMPLETED = [
    ("mmr qu", ["query"]),
    ("mmr query --with-v", ["--with-vectors"]),
    ("mmr query --format t", ["table", "trec"]),
    ("mmr query --model clip-", ["clip-large"]),
    ("mmr show --ht", ["--html"]),
    ("mmr --ver", ["--verbose", "--version"]),
]


@pytest.mark.parametrize(("typed", "offered"), COMPLETED)
def test_bash_completes(typed, offered):
    line = (
        "source completions/mmr.bash; COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
        'complete -p mmr >/dev/null && _mmr && printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", line, "_", typed], cwd=ROOT, capture_output=True, text=True
    )
    assert sorted(done.stdout.split()) == offered
    assert done.stderr == ""


def test_bash_completes_after_an_equals_sign():
    words = "COMP_WORDS=(mmr query --format = tr); COMP_CWORD=4"
    line = f"source completions/mmr.bash; {words}; _mmr; echo $COMPREPLY"
    done = subprocess.run(["bash", "--norc", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("trec\n", "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish: `apt-get install fish`")
@pytest.mark.parametrize(("typed", "offered"), COMPLETED)
def test_fish_completes(typed, offered, tmp_path):
    line = f"source completions/mmr.fish; complete -C '{typed}'"
    done = subprocess.run(["fish", "--no-config", "-c", line], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "HOME": str(tmp_path)})  # fmt: skip
    found = [row.split("\t")[0] for row in done.stdout.splitlines()]
    assert sorted(found) == offered


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh: `apt-get install zsh`")
def test_zsh_completes():
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="dumb", COLUMNS="200")
        os.execvp("zsh", ["zsh", "-f", "-i"])

    def answer(typed: str, until: bytes) -> bool:
        os.write(terminal, typed.encode())
        seen, end = b"", time.monotonic() + 30
        while until not in seen and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 65536)
        return until in seen

    try:
        setup = f"fpath=({COMPLETIONS} $fpath); autoload -U compinit; compinit -u -D; print REA''DY\n"
        assert answer(setup, b"READY")
        assert answer("mmr qu\t", b"query ")
        assert answer("--with-v\t", b"--with-vectors")
        assert answer(" --format tr\t", b"trec ")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


class Example(NamedTuple):
    """One example: where it stands, its lines, and what it needs ("skip: ..." or "needs: PROGRAM")."""

    where: str
    script: str
    note: str

    def __str__(self) -> str:
        return self.where


def page_examples() -> list[Example]:
    """Every indented block of an EXAMPLES section."""
    sections = module("roff").sections
    found = []
    for path in sorted((MAN / "prose").glob("*.md")):
        note, lines, number = "", [], 0
        for line in [*sections(path.read_text()).get("EXAMPLES", "").splitlines(), ""]:
            if line.startswith("<!--"):
                note = line.strip("<!-> ")
            elif line.startswith("    "):
                lines.append(line[4:])
            elif lines:
                number += 1
                found.append(Example(f"{path.stem} {number}", "\n".join(lines), note))
                note, lines = "", []
    return found


def downloads(line: str) -> str:
    """The note of an example whose model must be downloaded first, or that asks for a larger gallery."""
    if "fit quantizer" in line or "fitted=" in line:
        return "skip: needs hundreds of items and queries; golden/fit-quantizer has them"
    return "skip: needs a download" if "--model clip" in line or "a dog on the beach" in line else ""


def help_examples() -> list[Example]:
    """Every example line of a command's help."""
    tree = module("tree")
    return [
        Example(f"{command.name or 'mmr'} --help {number}", line, downloads(line))
        for command in [tree.program(), *tree.commands()]
        for number, line in enumerate(command.examples, 1)
    ]


def readme_examples() -> list[Example]:
    """Every indented line of README.md that runs mmr, as it is written."""
    lines = [line[4:] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("    ")]
    commands = [line for line in lines if "mmr " in line and not line.startswith(("make", "pip"))]
    return [Example(f"README {number}", line, downloads(line)) for number, line in enumerate(commands, 1)]


def test_the_readme_has_examples():
    assert len([example for example in readme_examples() if not example.note]) >= 8


SCORER = """#!/usr/bin/env python3
import json, sys
sys.stdin.readline()
print('{"tag": "example 1"}', flush=True)
for line in sys.stdin:
    print(json.dumps({"key": json.loads(line)["key"], "score": 0.5, "yes": 0.6, "no": 0.35}), flush=True)
"""


def words_and_programs(folder: Path) -> None:
    """Queries on their way to words, and programs: a captioner, a rewriter, a chat, an encoder of both."""
    query = {"id": "q1", "image": "pics/apple.png", "text": "in green"}
    (folder / "triplets.jsonl").write_text(json.dumps(query) + "\n")
    query["caption"] = "a red apple"
    (folder / "captions.jsonl").write_text(json.dumps(query) + "\n")
    (folder / "edited.jsonl").write_text(json.dumps({**query, "edited": "a green apple"}) + "\n")
    (folder / "replies.jsonl").write_text(json.dumps({**query, "reply": "Edited description: it"}) + "\n")
    hello = {"tag": "t", "dim": 2, "fingerprint": "f", "compose": True}
    answer = {"caption": "an apple", "edited": "a green apple", "vector": [1, 0]}
    speaks = f"""#!{sys.executable}
import json, sys
sys.stdin.readline()
print({json.dumps(hello)!r}, flush=True)
for line in sys.stdin:
    print(json.dumps(dict({answer!r}, key=json.loads(line)["key"])), flush=True)
"""
    chats = f"""#!{sys.executable}
import json, sys
for line in sys.stdin:
    print(json.dumps(dict(json.loads(line), reply="Edited description: a green apple")))
"""
    for name, text in (("blip", speaks), ("llm", speaks), ("magiclens", speaks), ("chat", chats)):
        (folder / f"{name}.sh").write_text(text)
        (folder / f"{name}.sh").chmod(0o755)


@pytest.fixture(scope="session")
def gallery(tmp_path_factory) -> Path:
    """A folder as the examples have it: pics/ and photos/, indexes of both, queries, a run."""
    from PIL import Image, ImageDraw

    folder = tmp_path_factory.mktemp("gallery")
    for name in ("pics", "photos"):
        (folder / name).mkdir()
        for number, fruit in enumerate(["apple", "pear", "plum", "lime", "fig"]):
            picture = Image.new("RGB", (64, 64), "white")
            colour = (250 - 40 * number, 40 * number, 90)
            ImageDraw.Draw(picture).ellipse((6, 6 + number, 58, 50), fill=colour)
            picture.save(folder / name / f"{fruit}.png")
    (folder / "unlabeled2017").mkdir()
    for number, fruit in ((1, "apple"), (2, "pear"), (3, "plum")):
        with Image.open(folder / "pics" / f"{fruit}.png") as picture:
            picture.save(folder / "unlabeled2017" / f"{number:012d}.jpg")
    (folder / "val.json").write_text(json.dumps([
        {"id": 0, "reference_img_id": 1, "relative_caption": "is blue", "shared_concept": "a fruit",
         "target_img_id": 2, "gt_img_ids": [2, 3], "semantic_aspects": ["color"]}
    ]))  # fmt: skip
    (folder / "queries.jsonl").write_text(
        '{"id":"q1","text":"a red apple","lang":"en"}\n{"id":"q2","text":"a cat","lang":"fr"}\n'
    )
    words = ["a plum", "green fruit", "a dog", "something red", "the night", "a round thing"]
    (folder / "log.jsonl").write_text("".join(f'{{"text":"{text}"}}\n' for text in words))
    words_and_programs(folder)
    (folder / "qrels.txt").write_text("q1 0 pics/apple.png 2\nq1 0 pics/pear.png 1\nq2 0 pics/plum.png 1\n")
    many = {"id": "q", "vector": [1, 0], "vectors": [[1, 0], [0, 1]],
            "hits": [{"id": "a", "score": 1, "vectors": [[1, 0], [0.6, 0.8]]}]}  # fmt: skip
    (folder / "many.jsonl").write_text(json.dumps(many) + "\n")
    for name in ("yesno.py", "slow.py"):
        (folder / name).write_text(SCORER)
        (folder / name).chmod(0o755)
    line = (
        "mmr embed pics/ | mmr index pics.mmr && mmr embed photos/ | mmr index photos.mmr && "
        "mmr index pics.mmr --dump | mmr index a.mmr && "
        "mmr query pics.mmr --from queries.jsonl > run.jsonl && "
        "mmr query pics.mmr --from queries.jsonl --exact --format trec > run.trec && "
        "mmr embed --queries queries.jsonl -o q.npy && mmr embed pics/ -o g.npy && "
        "cp run.jsonl dense.jsonl && cp run.trec lexical.trec && cp pics/apple.png apple.png && "
        "mmr index words.mmr --kind sparse:bm25 captions.jsonl && "
        "mmr query words.mmr --from queries.jsonl > sparse.jsonl && "
        "mmr index pics.mmr --dump | head -2 > mine.jsonl && "
        "mmr embed --tokens pics/ | mmr index pages.mmr --kind maxsim && "
        "mmr embed --grid 1x1,2x2 pics/ | mmr index regions.mmr --kind maxsim && "
        "cp -r pics.mmr captions.mmr && cp run.jsonl scores.jsonl && "
        "mmr embed unlabeled2017/ | mmr index gallery.mmr && "
        "mmr embed --queries log.jsonl -o bank.npy && "
        "mmr embed --text 'a car' --text 'a sea' -o others.npy && "
        "mmr fit nnn -q --index pics.mmr --bank bank.npy -o hubs.npz && cp queries.jsonl dev.jsonl && "
        "mmr query pics.mmr --from dev.jsonl -k 2 --format trec | awk '{print $1, 0, $3, 1}' > dev.tsv && "
        "mmr query pics.mmr --from dev.jsonl > hits.jsonl && "
        "mmr fit calibrate -q --qrels dev.tsv hits.jsonl -o cal.npz && "
        "mmr fit centre -q bank.npy --index pics.mmr -o centre.npz && "
        "for a in red blue green black white grey; do for b in apple car dog cup tree star house; do "
        'printf \'{"text": "a %s %s"}\\n\' $a $b; done; done > phrases.jsonl && '
        "mmr embed --queries phrases.jsonl -o old.npy && mmr normalize apply centre.npz old.npy -o new.npy"
        " && mmr fit map -q --source new.npy --target old.npy -o up.npz"
    )
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, capture_output=True, text=True,
                          env=program_environment(), timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("example", [*page_examples(), *help_examples(), *readme_examples()], ids=str)
def test_examples_run(example, gallery, tmp_path, sh):
    kind, _, what = example.note.partition(": ")
    if kind == "skip":
        pytest.skip(f"{example.where} {what}")
    needed = {what, *({"jq"} if "jq " in example.script else ())} - {""}
    missing = [program for program in needed if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {missing[0]}: `apt-get install {missing[0]}`")
    home = tmp_path / "home"
    shutil.copytree(gallery, home)
    if example.script.startswith("{"):
        done = sh("mmr show --strict", cwd=home, stdin=example.script.encode())
    else:
        done = sh(f"set -e -o pipefail\n{example.script}", cwd=home, timeout=300)
    assert done.status == 0, f"{example.script}\n{done.stderr}"
    assert "Traceback" not in done.stderr
