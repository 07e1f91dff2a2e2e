"""A query with words for an index of ViT-B-32: whole processes beside open_clip and `import torch`.

Weights are random (seeded), since neither speed nor exactness depends on them. The peer does what a script
does: import open_clip, build the model from the same file, make tokens, encode one text. Ours also opens an
index of 100,000 x 512 and finds the ten nearest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks.measure import interleaved, report, run
from tests.conftest import program_environment

pytestmark = pytest.mark.bench
MMR = str(Path(sys.executable).parent / "mmr")
TEXT = "a dog on the beach"
ROUNDS = 5
TEXTS = 64
START = """
import sys
from mmr.encoders.torch_setup import import_open_clip
open_clip = import_open_clip()
import torch
torch.set_num_threads(1)
model = open_clip.create_model("ViT-B-32", pretrained=sys.argv[1]).eval()
tokens = open_clip.get_tokenizer("ViT-B-32")
"""
ONE = (
    START
    + """
with torch.inference_mode():
    model.encode_text(tokens([sys.argv[2]]), normalize=True)
"""
)
PICTURE = (
    START
    + """
from PIL import Image
preprocess = open_clip.image_transform(224, is_train=False)
with torch.inference_mode():
    model.encode_image(preprocess(Image.open(sys.argv[2]).convert("RGB"))[None], normalize=True)
"""
)
SPEED = (
    START
    + """
import json, time
from mmr.encoders import load
texts = [f"a photo of {word} in the {place}" for word in sys.argv[2].split() for place in sys.argv[3].split()]
encoder = load(f"open_clip:ViT-B-32@{sys.argv[1]}", precision="fp32", threads=1)
def seconds(function):
    function()
    times = []
    for _ in range(3):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)
with torch.inference_mode():
    whole = seconds(lambda: model.encode_text(tokens(texts), normalize=True))
print(json.dumps({"ours": seconds(lambda: encoder.encode_texts(texts)), "peer": whole, "texts": len(texts)}))
"""
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Weights of ViT-B-32, an index of 100,000 x 512 of that model with its tower, an own cache."""
    if find_spec("open_clip") is None or find_spec("torch") is None:
        pytest.skip("needs the extra `clip`: pip install 'mmr[clip]'")
    from mmr.encoders.torch_setup import import_open_clip

    open_clip = import_open_clip()
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tower")
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", load_weights=False)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.02 * torch.randn_like(parameter)
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(tensors, folder / "w.safetensors")
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", rng.standard_normal((100_000, 512), dtype=np.float32))
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    spec = f"open_clip:ViT-B-32@{folder}/w.safetensors"
    run(f"{MMR} embed -q --text x --precision fp32 --model {spec} -o {folder}/one.npy")
    name = json.loads((folder / "one.jsonl").read_text().splitlines()[0])["model"]
    run(f"{MMR} index -q {folder}/x.mmr {folder}/x.npy --model '{name}'")
    yield folder
    patch.undo()


def query(made):
    return [MMR, "query", str(made / "x.mmr"), TEXT]


def vector(made):
    """The vector that a query with the words carries."""
    done = subprocess.run(query(made), env=program_environment(), capture_output=True, check=True)
    return np.float32(json.loads(done.stdout)["vector"])


def test_first_hit_beside_open_clip_and_importing_torch(made):
    script = [sys.executable, "-c", ONE, str(made / "w.safetensors"), TEXT]
    ours, whole, bare = interleaved(ROUNDS, query(made), script, [sys.executable, "-c", "import torch"])
    name = "first hit, 100,000 x 512, words for ViT-B-32, against"
    first = report(f"{name} open_clip's vector alone", ours.wall, whole.wall, 0.1)
    second = report(f"{name} `import torch`", ours.wall, bare.wall, 0.3)
    assert first <= 0.1
    assert second <= 0.3


def test_first_hit_with_a_picture_beside_open_clip(made):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8))
    coarse.resize((640, 480), Image.Resampling.BICUBIC).save(made / "p.jpg", quality=85)
    script = [sys.executable, "-c", PICTURE, str(made / "w.safetensors"), str(made / "p.jpg")]
    ours, whole = interleaved(3, [MMR, "query", str(made / "x.mmr"), "--image", str(made / "p.jpg")], script)
    name = "first hit, 100,000 x 512, a picture for ViT-B-32, against open_clip's vector alone"
    assert report(name, ours.wall, whole.wall, 0.2) <= 0.2


def test_int8_beside_fp32(made):
    exact = vector(made)
    (fp32,) = interleaved(ROUNDS, query(made))
    before = next((made / "x.mmr").glob("tower-*")).stat().st_size
    run(f"{MMR} index -q {made}/x.mmr --export-tower int8")
    (int8,) = interleaved(ROUNDS, query(made))
    cosine = float(np.dot(exact, vector(made)))
    size = next((made / "x.mmr").glob("tower-*")).stat().st_size
    run(f"{MMR} index -q {made}/x.mmr --export-tower fp32")
    print(f"\nint8: {size / 1e6:.0f} MB against {before / 1e6:.0f}, cosine {cosine:.6f}")
    report("text tower of ViT-B-32 on disk, int8, against fp32", size / 1e6, before / 1e6, 0.3, "MB")
    report("first hit with an int8 tower, wall, against fp32", int8.wall, fp32.wall, 1.3)
    assert cosine > 0.999


def test_a_batch_of_texts_through_torch_is_cut(made):
    words = "dogs cats boats trees horses cars birds stones"
    places = "rain snow city forest desert harbour garden night"
    done = subprocess.run([sys.executable, "-c", SPEED, str(made / "w.safetensors"), words, places],
                          env=program_environment(), capture_output=True, text=True, check=True)  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["texts"] == TEXTS
    assert report("64 texts of 7 words, torch fp32, CPU, against open_clip's encode_text",
                  found["ours"], found["peer"], 0.4) <= 0.4  # fmt: skip
