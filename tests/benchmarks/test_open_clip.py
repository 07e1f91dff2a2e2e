"""open_clip ViT-B-32 over 1,000 JPEGs: `mmr embed` beside the bare model, and beside an fp32 loop.

Weights are random (seeded), since speed does not depend on them; the cosine of bf16 to fp32 is of these.
CPU seconds of whole processes, one thread; what a process needs before its first picture is taken off
`mmr embed` by a second run over eight pictures, and is not counted by the peers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks.measure import report, run
from tests.conftest import SHARED, program_environment

pytestmark = pytest.mark.bench

PICTURES = 1000
SLOW_PICTURES = 200
ROUNDS = 2
START = """
import json, sys, time
from pathlib import Path
from mmr.encoders.torch_setup import import_open_clip
open_clip = import_open_clip()
import numpy as np, torch
from PIL import Image
torch.set_num_threads(1)
folder, weights, precision, count, out = sys.argv[1:]
files = sorted(Path(folder).iterdir())[:int(count)]
make = open_clip.create_model_and_transforms
model, _, preprocess = make("ViT-B-32", pretrained=weights, precision=precision)
model.eval()
kind = torch.bfloat16 if precision == "bf16" else torch.float32
def forward(batch):
    with torch.inference_mode():
        return torch.nn.functional.normalize(model.encode_image(batch.to(kind)).float(), dim=-1).numpy()
forward(torch.zeros(32, 3, 224, 224))
"""
APART = """
decode = model_seconds = 0.0
for first in range(0, len(files), 32):
    start = time.process_time()
    pictures = [preprocess(Image.open(file).convert("RGB")) for file in files[first:first + 32]]
    decode += time.process_time() - start
    batch = torch.stack(pictures)
    start = time.process_time()
    forward(batch)
    model_seconds += time.process_time() - start
print(json.dumps({"decode": decode, "model": model_seconds}))
"""
LOOP = """
class Files(torch.utils.data.Dataset):
    def __len__(self):
        return len(files)
    def __getitem__(self, number):
        return preprocess(Image.open(files[number]).convert("RGB"))
start = time.process_time()
rows = [forward(batch) for batch in torch.utils.data.DataLoader(Files(), batch_size=32)]
print(json.dumps({"all": time.process_time() - start}))
np.save(out, np.concatenate(rows))
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Iterator[Path]:
    """Seeded random weights of ViT-B-32, 605 MB, and a cache of its own for what `mmr embed` keeps."""
    if find_spec("open_clip") is None or find_spec("torch") is None:
        pytest.skip("needs the extra `clip`: pip install 'mmr[clip]'")
    from mmr.encoders.torch_setup import import_open_clip

    open_clip = import_open_clip()
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", load_weights=False)
    file = tmp_path_factory.mktemp("weights") / "vit-b-32.safetensors"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(file.parent / "cache"))
        yield file


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory) -> Path:
    """A folder of 1,000 JPEGs: photographs of Flickr8k where they are at hand, else drawn ones."""
    folder = tmp_path_factory.mktemp("jpegs")
    shard = SHARED / "data/pictures/flickr8k_test.tar"
    if shard.exists():
        with tarfile.open(shard) as tar:
            tar.extractall(folder, filter="data")
    else:
        rng = np.random.default_rng(0)
        for number in range(PICTURES):
            coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8))
            coarse.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{number:04}.jpg", quality=85)
    return folder


def peer(body: str, *words: object) -> dict[str, float]:
    """Run one of the scripts above and return what it measured of itself."""
    command = [sys.executable, "-c", START + body, *map(str, words)]
    done = subprocess.run(command, env=program_environment(), capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_embed_beside_the_bare_model_and_an_fp32_loop(weights, jpegs, tmp_path):
    from mmr.encoders.torch_setup import BF16_FLAGS, cpu_flags

    bf16 = bool(BF16_FLAGS & cpu_flags())
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted(jpegs.iterdir())[:8]:
        (few / file.name).write_bytes(file.read_bytes())
    embed = f"mmr embed --model open_clip:ViT-B-32@{weights} --threads 1 --device cpu -q"
    ours, bare, loop = [], [], []
    for number in range(ROUNDS):
        start = run(f"{embed} {few} -o {tmp_path}/few{number}.npy")
        whole = run(f"{embed} {jpegs} -o {tmp_path}/all{number}.npy")
        ours.append((whole.cpu - start.cpu) / (PICTURES - 8))
        apart = peer(APART, jpegs, weights, "bf16" if bf16 else "fp32", PICTURES, "-")
        bare.append((apart["decode"] + apart["model"]) / PICTURES)
        slow = peer(LOOP, jpegs, weights, "fp32", SLOW_PICTURES, tmp_path / "fp32.npy")
        loop.append(slow["all"] / SLOW_PICTURES)
        print(f"\nround {number + 1}: start {start.cpu:.1f} s, all {whole.cpu:.1f} s, apart {apart}, {slow}")
    ratio = report("a picture, embed / forward plus decode apart", min(ours), min(bare), 1 / 0.95)
    assert ratio <= 1 / 0.95
    ratio = report(
        "a picture, embed / fp32 open_clip with DataLoader", min(ours), min(loop), 1 / 3 if bf16 else 1.05
    )
    assert ratio <= (1 / 3 if bf16 else 1.05)
    cosines = (np.load(tmp_path / "all0.npy")[:SLOW_PICTURES] * np.load(tmp_path / "fp32.npy")).sum(axis=1)
    print(f"cosine of auto to fp32: median {np.median(cosines):.6f}, least {cosines.min():.6f}")
    assert np.median(cosines) >= 0.999
