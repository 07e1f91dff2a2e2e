"""open_clip models: the real library, with the preprocessing and the tokenizer of the weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.encoders import inject, torch_setup, weights
from mmr.encoders import open_clip_tokens as tokens
from mmr.encoders.open_clip_texts import shortened, too_long
from mmr.encoders.protocol import Many
from mmr.errors import BadDataError, UnavailableError, UsageError, shown

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from mmr.encoders.inversion import Inversion, Inverted

PREFIX = "open_clip:"
FORM = "Write open_clip:MODEL/PRETRAINED or open_clip:MODEL@FILE.safetensors."
PROBES = ("a photo of a cat", "Two RED apples, half-eaten!", "naïve café №5", "東京の夜 🌃", "it's <b>42</b>")
UNFIT = (RuntimeError, AssertionError, LookupError, ValueError, TypeError, AttributeError, EOFError)
PURE = {"bf16": "pure_bf16", "fp16": "pure_fp16"}  # all weights; open_clip's mixture breaks on CoCa
PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


class Named(NamedTuple):
    """What a spec says: the architecture, and either a row of open_clip's table or a file."""

    model: str
    tag: str
    file: str


def parse(spec: str) -> Named:
    """Split `open_clip:MODEL/PRETRAINED` or `open_clip:MODEL@FILE`; raises `UsageError` for anything else."""
    body = spec.removeprefix(PREFIX)
    model, at, file = body.partition("@")
    tag = ""
    if not at:
        model, _, tag = body.rpartition("/")
    if not model or not (tag or file):
        raise UsageError(f"the model {shown(spec)!r} is not complete", FORM)
    return Named(model.replace("/", "-"), tag, file)


def load(spec: str, *, device: str = "auto", precision: str = "auto", threads: int | None = None) -> OpenClip:
    """Load an open_clip model; options as in `mmr.encoders.load`.

    Raises `UsageError` for an unknown architecture or tag, `UnavailableError` when the package or the
    weights are not to be had, `MissingInputError` for a file that is not there, and `BadDataError` for
    weights that do not fit the architecture.
    """
    named = parse(spec)
    open_clip = torch_setup.import_open_clip()
    config, row = described(open_clip, named, spec)
    at = torch_setup.choose_device(device)
    kind = torch_setup.choose_precision(precision, at)
    torch_setup.set_threads(threads)
    file = weights.named_file(named.file) if named.file else weights.locate(row, spec)
    model = build(open_clip, named.model, file, row, kind, at)
    tokenizer = tokenizer_of(open_clip, named.model, config, spec)
    spec = f"{PREFIX}{named.model}@{file}" if named.file else spec
    return OpenClip(spec, open_clip, model, tokenizer, config, file, kind, at)


class Parts(NamedTuple):
    """What an encoder of open_clip is made of, for those who export it; `file` holds the weights."""

    open_clip: Any
    model: torch.nn.Module
    tokenizer: Any
    file: Path


def described(open_clip: Any, named: Named, spec: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the architecture's configuration and the row of the weights: place and preprocessing.

    The preprocessing of a file is that of `open_clip_config.json` beside it, else what all weights of
    that architecture in open_clip's table share, else open_clip's default.
    """
    config = open_clip.get_model_config(named.model)
    if config is None:
        hint = near(named.model, open_clip.list_models())
        raise UsageError(
            f"open_clip knows no architecture {shown(named.model)!r}{hint}",
            '`python -c "import open_clip; print(open_clip.list_models())"` lists them.',
        )
    tags = open_clip.list_pretrained_tags_by_model(named.model)
    if named.tag:
        row: dict[str, Any] = open_clip.get_pretrained_cfg(named.model, named.tag)
        if not row:
            what = f"open_clip has no weights {shown(named.tag)!r} for {named.model}{near(named.tag, tags)}"
            raise UsageError(what, f"It has {', '.join(tags)}." if tags else FORM)
        return {**config, **({"quick_gelu": True} if row.get("quick_gelu") else {})}, row
    beside = Path(named.file).expanduser().with_name("open_clip_config.json")
    if beside.is_file():
        return config, said_beside(beside)
    rows = [open_clip.get_pretrained_cfg(named.model, tag) for tag in tags]
    shared = {key: rows[0].get(key) for key in PREPROCESSING} if rows else {}
    same = all({key: row.get(key) for key in PREPROCESSING} == shared for row in rows)
    return config, shared if same else {}


def near(name: str, names: Sequence[str]) -> str:
    """The end of an error: "; did you mean ...?" with the nearest of `names`, or nothing."""
    from difflib import get_close_matches

    match = get_close_matches(name, names, n=1)
    return f"; did you mean {match[0]!r}?" if match else ""


def said_beside(file: Path) -> dict[str, Any]:
    """The preprocessing that `open_clip_config.json` states; raises `BadDataError` when it is not JSON."""
    try:
        return dict(json.loads(file.read_bytes()).get("preprocess_cfg", {}))
    except (ValueError, AttributeError, TypeError) as error:
        what = f"{file} is not a configuration of open_clip: {error}"
        raise BadDataError(what, "Mend it, or move it away.") from error


def build(
    open_clip: Any, name: str, file: Path, row: dict[str, Any], precision: str, device: torch.device
) -> torch.nn.Module:
    """Build the architecture and read the weights into it; raises `BadDataError` when they do not fit."""
    import pickle
    import warnings

    from safetensors import SafetensorError

    try:
        with warnings.catch_warnings(action="ignore"), torch_setup.initial_values_left_out():
            model: torch.nn.Module = open_clip.create_model(
                name, pretrained=str(file), precision=PURE.get(precision, precision), device=device,
                force_quick_gelu=bool(row.get("quick_gelu")),
                force_preprocess_cfg={key: row[key] for key in PREPROCESSING if row.get(key) is not None},
            )  # fmt: skip
    except ImportError as error:
        raise UnavailableError(
            f"the architecture {name} needs the package {error.name}", f"Run `pip install {error.name}`."
        ) from error
    except (SafetensorError, pickle.UnpicklingError, *UNFIT) as error:
        what = f"{file} holds no weights for {name}: {weights.first_line(error)}"
        raise BadDataError(what, "Name the architecture that the file was made with.") from error
    return model.eval()


def tokenizer_of(open_clip: Any, name: str, config: dict[str, Any], spec: str) -> Any:
    """The tokenizer of an architecture; one of Hugging Face comes from its cache before the network."""
    repository = config["text_cfg"].get("hf_tokenizer_name")
    if not repository:
        return open_clip.get_tokenizer(name)
    part, where = "tokenizer's files", f"{weights.hub()}/{repository}"
    try:
        try:
            return open_clip.get_tokenizer(name, local_files_only=True)
        except OSError:
            weights.require_server(weights.hub(), spec, where, part)
            return open_clip.get_tokenizer(name)
    except ImportError as error:
        what = f"the tokenizer of {name} needs the package {error.name}"
        raise UnavailableError(what, f"Run `pip install {error.name}`.") from error
    except OSError as error:
        raise weights.missing(spec, where, weights.first_line(error), part) from error


class OpenClip:
    """An `Encoder` around one open_clip model, with `Prepares`, `Injects`, `Tokens`, `Cuts` and `Runs`.

    runs  what the vectors were computed with: precision, device and versions; recorded, never compared
    """

    late = False

    def __init__(
        self, spec: str, open_clip: Any, model: torch.nn.Module, tokenizer: Any, config: dict[str, Any],
        file: Path, precision: str, device: torch.device,
    ) -> None:  # fmt: skip
        import torch

        self.spec = spec
        self.dim = int(config["embed_dim"])
        versions = f"open_clip {open_clip.__version__}, torch {torch.__version__}"
        self.runs = f"{precision} on {device.type}, {versions}"
        self._open_clip = open_clip
        self._model: Any = model
        self._tokenizer = tokenizer
        self._file = file
        self.cut = 0
        self._exact: OpenClip | None = self if precision == "fp32" and device.type == "cpu" else None
        self._device = device
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        preprocess = self._model.visual.preprocess_cfg
        self._resize, self._mean, self._std = preprocessing(open_clip, preprocess, device)
        self.fingerprint = fingerprint(file, config, preprocess, tokenizer)

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Return (n, d) float32, one unit vector a text; a text beyond the model's length is cut."""
        import torch

        if not texts:
            return self._none()
        rows = self._tokenizer(texts)
        self.cut += too_long(self._tokenizer, texts, rows)
        ids = rows.to(self._device)
        with torch.inference_mode(), enough_memory(len(texts)), shortened(self._model, ids) as cut:
            return unit(self._model.encode_text(cut), self.spec)

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Return (n, d) float32, one unit vector an RGB picture of any size."""
        return self.encode_prepared([self.prepare(image) for image in images])

    def prepare(self, image: Image.Image) -> np.ndarray:
        """Resize and crop one picture as the weights want it: (height, width, 3) uint8; in any thread."""
        import numpy as np

        for step in self._resize:
            image = step(image)
        return np.asarray(image)

    def encode_prepared(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """Return (n, d) float32, one unit vector a picture that `prepare` has made ready."""
        import torch

        if not prepared:
            return self._none()
        with torch.inference_mode(), enough_memory(len(prepared)):
            return unit(self._model.encode_image(self._scaled(prepared)), self.spec)

    def _scaled(self, prepared: Sequence[np.ndarray]) -> torch.Tensor:
        """Prepared pictures as the model takes them, (n, 3, height, width)."""
        import numpy as np
        import torch

        pixels = torch.from_numpy(np.stack(prepared)).to(self._device)
        scaled = pixels.permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(255)
        return scaled.sub_(self._mean).div_(self._std).to(self._dtype)

    def no_tokens(self, kind: str) -> str:
        """Say why there are no vectors of patches ("image") or tokens ("text"); "" where there are."""
        own = tokens.no_patches(self._model) if kind == "image" else ""
        return own or (tokens.no_words(self._model, self._tokenizer) if kind == "text" else "")

    def encode_tokens(self, pictures: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> Many:
        """Return the unit vectors of the patches of prepared pictures, and what each shows."""
        import torch

        if not pictures:
            return Many([], [], {})
        with torch.inference_mode(), enough_memory(len(pictures)):
            found = tokens.patches(self._model, self._scaled(pictures))
            rows = unit(found.rows.flatten(0, 1), self.spec).reshape(*found.rows.shape)
        side, mode = tokens.sizes_of(self._model.visual.preprocess_cfg)
        places = [tokens.boxes(found[1:], size, side, mode) for size in sizes]
        some = [(one[~empty], boxes[~empty]) for one, (boxes, empty) in zip(rows, places, strict=True)]
        return Many([one for one, _ in some], [boxes for _, boxes in some], {})

    def encode_word_tokens(self, texts: list[str]) -> Many:
        """Return the unit vectors of the tokens of words, without start, end and padding."""
        import torch

        if not texts:
            return Many([], [], {})
        ids = self._tokenizer(texts)
        self.cut += too_long(self._tokenizer, texts, ids)
        with torch.inference_mode(), enough_memory(len(texts)):
            found, counts = tokens.words(self._model, self._tokenizer, ids.to(self._device))
            rows = tokens.split(unit(found, self.spec), counts)
        failed = {row: "the model finds no token in its words" for row, n in enumerate(counts) if not n}
        return Many(rows, [None] * len(rows), failed)

    def inject(self, templates: list[str], words: np.ndarray) -> np.ndarray:
        """Return (n, d) float32, one unit vector a text whose `{}` holds `words` (n, tokens, width)."""
        import torch

        if not templates:
            return self._none()
        text = inject.placed(self._tokenizer, templates, words.shape[1])
        text = inject.Placed(*(part.to(self._device) for part in text))
        with torch.inference_mode(), enough_memory(len(templates)):
            at = torch.from_numpy(words).to(self._device)
            return unit(inject.encoded(self._model, text, at, shortened), self.spec)

    def invert(self, vectors: np.ndarray, how: Inversion) -> Inverted:
        """Learn the token embeddings whose text comes nearest to each unit vector of (n, d)."""
        import torch

        from mmr.encoders.inversion import invert

        self._model.requires_grad_(False)
        with enough_memory(len(vectors)):
            targets = torch.from_numpy(vectors).to(self._device)
            return invert(self._model, self._tokenizer, targets, how, shortened)

    def parts(self) -> Parts:
        """The model and its tokenizer, to read and not to change."""
        return Parts(self._open_clip, self._model, self._tokenizer, self._file)

    def exact(self) -> OpenClip:
        """This model at fp32 on the processor: itself, or loaded once more."""
        if self._exact is None:
            import torch

            threads = int(torch.get_num_threads())
            self._exact = load(self.spec, device="cpu", precision="fp32", threads=threads)
        return self._exact

    def _none(self) -> np.ndarray:
        import numpy as np

        return np.zeros((0, self.dim), np.float32)


def preprocessing(
    open_clip: Any, config: dict[str, Any], device: torch.device
) -> tuple[list[Any], torch.Tensor, torch.Tensor]:
    """Split open_clip's preprocessing: the steps on a picture, then the mean and deviation (1, 3, 1, 1).

    Raises `UnavailableError` for a version of open_clip whose preprocessing ends in other steps.
    """
    import torch
    from torchvision.transforms import Normalize, ToTensor

    steps = open_clip.image_transform(
        config["size"], is_train=False, mean=config["mean"], std=config["std"],
        interpolation=config["interpolation"], resize_mode=config["resize_mode"],
        fill_color=config["fill_color"],
    ).transforms  # fmt: skip
    if not (isinstance(steps[-2], ToTensor) and isinstance(steps[-1], Normalize)):
        what = f"the preprocessing of open_clip {open_clip.__version__} ends in steps that mmr does not know"
        raise UnavailableError(what, "Run `pip install 'open_clip_torch==3.3.0'`.")
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=device).reshape(1, 3, 1, 1)
        for values in (steps[-1].mean, steps[-1].std)
    )
    return steps[:-2], mean, std


@contextmanager
def enough_memory(count: int) -> Iterator[None]:
    """Say which batch was too large when the device's memory runs out (`UnavailableError`)."""
    import torch

    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        what = f"the device has no memory for a batch of {count:,}: {weights.first_line(error)}"
        raise UnavailableError(what, f"Use a smaller one: --batch {max(1, count // 2)}.") from error


def unit(vectors: torch.Tensor, spec: str) -> np.ndarray:
    """Return the rows at unit length as float32; raises `BadDataError` when one is not finite or zero."""
    import numpy as np

    rows: np.ndarray = vectors.float().cpu().numpy()
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        what = f"{spec} gave a vector that is zero or not finite"
        raise BadDataError(what, "Use --precision fp32; if it stays, the weights are damaged.")
    rows /= lengths
    return rows


def fingerprint(file: Path, config: dict[str, Any], preprocess: dict[str, Any], tokenizer: Any) -> str:
    """Twelve hex digits over the weights, the architecture, the preprocessing and what the tokenizer does.

    The tokenizer counts by the tokens that it gives for fixed texts, so that another version of its
    library, which splits as before, changes nothing.
    """
    parts = {
        "weights": weights.file_hash(file),
        "architecture": config,
        "preprocessing": preprocess,
        "tokens": tokenizer(list(PROBES)).tolist(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
