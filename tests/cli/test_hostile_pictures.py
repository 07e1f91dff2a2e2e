"""A folder of hostile pictures: one run embeds the good, says what is wrong with the others, ends with 3."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from struct import pack

import pytest

from tests.cli.unprivileged import unprivileged
from tests.conftest import Result, program_environment

Shell = Callable[..., Result]
Image = pytest.importorskip("PIL.Image")


def saved(image: object, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def plain(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> object:
    return Image.radial_gradient("L").resize(size).convert(mode)


def png(width: int, height: int, data: bytes = b"", *more: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand: its header may promise what nobody could hold in memory."""
    size = pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", size), *more, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        pack(">I", len(body)) + name + body + pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def tar(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
SQUARE = zlib.compress(b"\0" * 16)
JPEG = saved(plain(), "JPEG")
PNG = saved(plain(), "PNG")
GOOD: dict[str, bytes] = {
    "plain.jpg": JPEG,
    "one pixel.png": saved(plain(size=(1, 1)), "PNG"),
    "30,000 px wide.png": saved(plain(size=(30_000, 2)), "PNG"),
    "palette.gif": saved(plain("P"), "GIF"),
    "palette with a hole.png": saved(plain("P"), "PNG", transparency=0),
    "cmyk.jpg": saved(plain("CMYK"), "JPEG"),
    "grey and alpha.png": saved(plain("LA"), "PNG"),
    "sixteen bit.png": saved(plain("I;16"), "PNG"),
    "bilevel.png": saved(plain("1"), "PNG"),
    "float.tiff": saved(plain("F"), "TIFF"),
    "animated.gif": saved(plain(), "GIF", save_all=True, append_images=[plain("L"), plain("P")]),
    "animated.webp": saved(plain(), "WEBP", save_all=True, append_images=[plain()]),
    "upright.jpg": saved(plain(), "JPEG", exif=EXIF),
    "really a png.jpg": PNG,
    "rest after the end.jpg": JPEG + b"\0" * 1000,
    "UPPER.JPG": JPEG,
    "日本.png": PNG,
    "line\nbreak.png": PNG,
    "-o.png": PNG,
    "quote'\"$(rm).png": PNG,
    "\x1b[31mred.png": PNG,
    "in a folder.jpg/real.jpg": JPEG,
}
BAD: dict[str, tuple[bytes, str]] = {
    "truncated.jpg": (JPEG[: len(JPEG) // 2], "cut off"),
    "truncated.png": (saved(plain(size=(300, 300)), "PNG")[:-4000], "cut off"),
    "header alone.jpg": (JPEG[:20], "cut off"),
    "empty.jpg": (b"", "empty"),
    "words.jpg": (b"this is not a picture", "not a picture"),
    "web page.jpg": (b"<!DOCTYPE html><html>404</html>", "web page"),
    "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "svg as.png": (b'<?xml version="1.0"?><svg/>', "SVG"),
    "pdf.png": (b"%PDF-1.4", "PDF"),
    "zeros.png": (b"\0" * 5000, "not a picture"),
    "bomb.png": (png(30_000, 30_000), "178,956,970"),
    "no data.png": (png(10, 10), "cut off"),
    "wrong sum.png": (PNG[:45] + b"\xff" + PNG[46:], "damaged"),
    "huge text.png": (png(8, 8, SQUARE, (b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 99_000_000))), ""),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for name, data in {**GOOD, **{name: data for name, (data, _) in BAD.items()}}.items():
        path = folder / "pics" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    pics = folder / "pics"
    (Path(os.fsdecode(os.fsencode(pics) + b"/caf\xe9.png"))).write_bytes(PNG)
    (pics / "loop.png").symlink_to("loop.png")
    (pics / "gone.png").symlink_to("nowhere.png")
    (pics / "device.png").symlink_to("/dev/zero")
    (pics / "up").symlink_to("..")
    (pics / "round").symlink_to("round")
    os.mkfifo(pics / "pipe.png")
    (pics / ".hidden.png").write_bytes(PNG)
    (pics / "notes.txt").write_text("no picture")
    (pics / "shard.tar").write_bytes(
        tar({"a.jpg": JPEG, "../../b.jpg": JPEG, "c.jpg": JPEG[:100], "d.txt": b"x"})
    )
    (pics / "cut.tar").write_bytes(tar({"first.jpg": JPEG, "second.jpg": JPEG})[: 1024 + len(JPEG) + 600])
    return folder


class Run:
    """What one run over the corpus gave."""

    def __init__(self, done: Result) -> None:
        self.status = done.status
        self.talk = done.stderr
        self.records = {record["image"]: record for record in map(json.loads, done.stdout.splitlines())}

    def said(self, name: str) -> str:
        return "\n".join(line for line in self.talk.splitlines() if f"pics/{name}" in line)


@pytest.fixture(scope="module")
def embedded(corpus: Path) -> Run:
    command = ["mmr", "embed", "pics", "--errors", "bad.jsonl"]
    done = subprocess.run(command, cwd=corpus, env=program_environment(), capture_output=True, timeout=300)
    return Run(Result(done.stdout, done.stderr.decode(), done.returncode))


def test_one_run_ends_with_three_and_one_line_of_counts(embedded: Run) -> None:
    assert embedded.status == 3
    assert "Traceback" not in embedded.talk and "Warning" not in embedded.talk
    assert "failed" in embedded.talk.splitlines()[-1]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_picture_comes_through(embedded: Run, name: str) -> None:
    record = embedded.records[f"pics/{name}"]
    assert record["id"] == f"pics/{name}"
    assert abs(sum(x * x for x in record["vector"]) - 1) < 1e-3


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_named_with_its_reason(embedded: Run, name: str) -> None:
    assert f"pics/{name}" not in embedded.records
    said = embedded.said(name)
    assert said.count("\n") == 0 and BAD[name][1] in said and len(said) > len(name) + 20


@pytest.mark.parametrize(
    "name", ["caf\\udce9.png", "loop.png", "gone.png", "device.png", "pipe.png", "cut.tar"]
)
def test_a_hostile_place_is_named(embedded: Run, name: str) -> None:
    assert embedded.said(name)
    assert not [image for image in embedded.records if image.endswith(name)]


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("plain.jpg", ["UPPER.JPG", "rest after the end.jpg", "in a folder.jpg/real.jpg", "shard.tar#a.jpg"]),
        ("really a png.jpg", ["日本.png", "line\nbreak.png", "-o.png"]),
    ],
)
def test_the_same_picture_under_every_name_has_the_same_vector(
    embedded: Run, first: str, others: list[str]
) -> None:
    vectors = [embedded.records[f"pics/{name}"]["vector"] for name in (first, *others)]
    assert max(abs(x - y) for other in vectors for x, y in zip(vectors[0], other, strict=True)) <= 1e-6


def test_members_of_a_tar(embedded: Run) -> None:
    found = sorted(image for image in embedded.records if ".tar#" in image)
    assert found == ["pics/cut.tar#first.jpg", "pics/shard.tar#a.jpg", "pics/shard.tar#b.jpg"]
    assert embedded.said("shard.tar#c.jpg")


def test_links_are_not_walked_in_circles_and_hidden_files_not_at_all(embedded: Run) -> None:
    assert not [
        image for image in embedded.records if "/up/" in image or "/round" in image or "hidden" in image
    ]


def test_the_rejects_hold_every_bad_picture_and_can_be_tried_again(
    embedded: Run, corpus: Path, sh: Shell
) -> None:
    rejected = [json.loads(line) for line in (corpus / "bad.jsonl").read_bytes().splitlines()]
    images = {record.get("image") for record in rejected}
    assert {f"pics/{name}" for name in BAD} <= images
    assert all(record["error"] and record["stage"] for record in rejected)
    (corpus / "again.jsonl").write_bytes(
        b"".join(
            json.dumps(record).encode() + b"\n"
            for record in rejected
            if record.get("image") == "pics/empty.jpg"
        )
    )
    (corpus / "pics" / "empty.jpg").write_bytes(JPEG)
    done = sh("mmr embed again.jsonl", cwd=corpus)
    (corpus / "pics" / "empty.jpg").write_bytes(b"")
    assert (done.status, json.loads(done.stdout)["id"]) == (0, "pics/empty.jpg")


def test_odd_names_go_all_the_way(embedded: Run, corpus: Path, sh: Shell) -> None:
    done = sh(
        "find pics -name '*.png' -print0 | mmr embed -q -0 --files-from - | mmr index -q x.mmr; "
        "echo ${PIPESTATUS[@]}; "
        "mmr query x.mmr --image $'pics/line\\nbreak.png' -k 50 > hits.jsonl && "
        "mmr show hits.jsonl && mmr show hits.jsonl --html page.html", cwd=corpus,
    )  # fmt: skip
    assert done.lines[0] == "0 3 0", done
    assert done.status == 0 and b"\x1b" not in done.stdout
    hits = json.loads((corpus / "hits.jsonl").read_bytes())["hits"]
    assert {"pics/line\nbreak.png", "pics/\x1b[31mred.png", "pics/日本.png", "pics/-o.png"} <= {
        h["id"] for h in hits
    }
    assert not [h for h in hits if h["id"].removeprefix("pics/") in BAD]


def test_a_page_of_pictures_that_are_gone(corpus: Path, sh: Shell) -> None:
    lines = [{"id": "gone", "image": "pics/nowhere.png"}, {"id": "bad", "image": "pics/truncated.png"},
             {"id": "good", "image": "pics/plain.jpg"}]  # fmt: skip
    done = sh("mmr show --html -", cwd=corpus, stdin="\n".join(map(json.dumps, lines)).encode())
    assert done.status in (0, 3) and "Traceback" not in done.stderr
    assert done.stdout.count(b"data:image/jpeg;base64,") == 1
    assert "nowhere.png" in done.stderr or b"nowhere.png" in done.stdout


def test_what_may_not_be_read(sh: Shell, tmp_path: Path) -> None:
    for name in ("a.jpg", "secret.jpg", "inside/b.jpg", "closed/c.jpg"):
        (tmp_path / "pics" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pics" / name).write_bytes(JPEG)
    (tmp_path / "pics" / "secret.jpg").chmod(0)
    (tmp_path / "pics" / "closed").chmod(0)
    try:
        done = unprivileged("mmr embed pics", tmp_path)
        whole = unprivileged("mmr embed pics --eof", tmp_path)
    finally:
        (tmp_path / "pics" / "closed").chmod(0o755)
    assert [json.loads(line)["id"] for line in done.lines] == ["pics/a.jpg", "pics/inside/b.jpg"]
    assert done.status == 3
    assert "pics/secret.jpg: cannot be read (permissions)" in done.stderr
    assert "pics/closed: cannot be read (permissions)" in done.stderr
    assert not [line for line in whole.lines if "eof" in line]


def test_there_are_forty() -> None:
    from tests.cli.test_hostile_streams import FILES, LINES

    assert len(GOOD) + len(BAD) > 30 and len(FILES) + len(LINES) > 30
