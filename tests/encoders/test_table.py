"""The table of encoders: names, plug-ins, what is at hand."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from mmr import encoders
from mmr.encoders import Row, list_models, load, resolve, table
from mmr.errors import UnavailableError, UsageError

TOY = Row("toy:", f"{__name__}:make_toy", "A toy.", "toy:SIZE", ("device",))
TAKEN = Row("cmd:", f"{__name__}:make_toy", "Takes a name.", "cmd:")
NOWHERE = Row("nowhere", "mmr_no_such_module:load", "Loads nothing.", "nowhere", (), "clip")


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """No plug-in of this machine, no cache of this user."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("MMR_MODEL", raising=False)
    set_plug_ins(monkeypatch, {})
    yield
    table.plugged.cache_clear()


def set_plug_ins(monkeypatch, objects):
    """Make `entry_points` give these names; a string is raised as an ImportError when it is loaded."""

    class Point(EntryPoint):
        def load(self):
            value = objects[self.name]
            if isinstance(value, BaseException):
                raise value
            return value

    points = [Point(name, f"pack_{name}:ROW", table.GROUP) for name in objects]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points * (group == table.GROUP))
    table.plugged.cache_clear()


def test_names_resolve(monkeypatch):
    assert resolve(None) == "builtin"
    assert resolve("clip") == "open_clip:ViT-B-32/laion2b_s34b_b79k"
    assert resolve("open_clip:A/b") == "open_clip:A/b"
    assert resolve(" cmd:./x y ") == "cmd:./x y"
    monkeypatch.setenv("MMR_MODEL", "siglip")
    assert resolve(None) == "open_clip:ViT-B-16-SigLIP2/webli"
    assert resolve("builtin") == "builtin"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clipp", "did you mean 'clip'?"),
        ("openclip:ViT-B-32/x", "did you mean 'open_clip:'?"),
        ("xyzzy", "no such model 'xyzzy'\n"),
        ("a\x1b[31m", r"'a\\x1b[31m'"),
    ],
)
def test_unknown_names_say_the_nearest_and_the_list(name, words):
    with pytest.raises(UsageError) as caught:
        load(name)
    assert words in str(caught.value)
    assert "`mmr embed --list-models`" in str(caught.value)


def test_plug_ins_add_rows(monkeypatch):
    set_plug_ins(monkeypatch, {"toy": TOY})
    monkeypatch.setattr(encoders, "loader", lambda row: lambda spec, device: (spec, device))
    assert load("toy:3", device="cpu") == ("toy:3", "cpu")
    assert list(table.plug_ins()) == [("toy:", "")]
    assert ("toy:", "plug-in") in {(model.name, model.state) for model in list_models()}


def test_a_broken_plug_in_is_listed_with_its_reason_and_breaks_nothing_else(monkeypatch):
    gone = ImportError("No module named 'gone'")
    set_plug_ins(monkeypatch, {"bad": gone, "odd": 3, "own": TAKEN, "toy": TOY})
    problems = dict(table.plug_ins())
    assert problems["bad"] == "pack_bad:ROW: ImportError: No module named 'gone'"
    assert "is a int, not a mmr.encoders.table.Row" in problems["odd"]
    assert "the name 'cmd:' is taken" in problems["own"]
    assert problems["toy:"] == ""
    states = {model.name: model.state for model in list_models()}
    assert states["bad"] == "broken: pack_bad:ROW: ImportError: No module named 'gone'"
    assert resolve("toy:1") == "toy:1"
    with pytest.raises(UsageError, match="The plug-in 'bad' cannot be used: pack_bad:ROW: ImportError"):
        resolve("bad:model")


def test_plug_ins_are_not_looked_up_for_a_name_of_the_table(monkeypatch):
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: pytest.fail("looked up"))
    table.plugged.cache_clear()
    assert resolve("clip").startswith("open_clip:")


def test_a_row_whose_code_is_gone_names_the_extra(monkeypatch):
    set_plug_ins(monkeypatch, {"nowhere": NOWHERE})
    with pytest.raises(UnavailableError, match=r"pip install 'mmr\[clip\]'"):
        load("nowhere")


def test_options_that_an_encoder_has_no_use_for_are_refused():
    with pytest.raises(UsageError, match="'builtin' has no choice of device"):
        load("builtin", device="cuda")
    with pytest.raises(UsageError, match="'builtin' has no choice of precision"):
        load("builtin", precision="bf16")


def test_the_list_says_what_is_cached(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    snapshot = tmp_path / "hub/models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K/snapshots/1a2b"
    snapshot.mkdir(parents=True)
    (snapshot / "open_clip_config.json").write_text("{}")
    (tmp_path / "hub/models--timm--ViT-B-16-SigLIP2/snapshots/1a2b").mkdir(parents=True)
    states = {model.name: model.state for model in list_models()}
    assert states["builtin"] == "built in"
    assert states["clip"] == states["siglip"] == "needs a download"
    (snapshot / "open_clip_model.safetensors").write_bytes(b"x")
    assert {model.name: model.state for model in list_models()}["clip"] == "cached here"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    states = {model.name: model.state for model in list_models()}
    assert states["clip"] == states["open_clip:"] == "needs mmr[clip]"
    assert states["cmd:"] == "at hand"


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({"HOME": "/d"}, "/d/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_the_hub_keeps_it(monkeypatch, environment, folder):
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(table.cache_folder()) == folder


def test_short_names_stand_in_open_clips_table(open_clip):
    for short in table.SHORT:
        model, _, tag = short.spec.removeprefix("open_clip:").rpartition("/")
        row = open_clip.get_pretrained_cfg(model, tag)
        assert row["hf_hub"].rstrip("/") == short.repository
        assert open_clip.get_model_config(model)["embed_dim"] == short.dim


def test_nothing_heavy_is_imported():
    code = (
        "import sys, mmr.encoders as e; e.list_models(); e.resolve('clip')\n"
        "print([m for m in ('numpy', 'torch', 'open_clip', 'PIL', 'click', 'orjson') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_named_is_there():
    for name in encoders.__all__:
        assert hasattr(encoders, name)


def test_threads_reach_the_built_in_encoder(monkeypatch):
    import mmr.encoders.builtin as builtin

    asked = []
    monkeypatch.setattr(builtin, "load", lambda spec, **options: asked.append((spec, options)))
    load("builtin", threads=3)
    assert asked == [("builtin", {"threads": 3})]
