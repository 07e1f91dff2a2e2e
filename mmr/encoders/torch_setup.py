"""torch and open_clip made ready: the import, the device, the precision and the threads."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmr.errors import UnavailableError, UsageError, shown

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept_alive: list[Any] = []


def import_open_clip() -> Any:
    """Import and return open_clip; raises `UnavailableError` that names the extra when it is not there.

    Before torch is loaded its idle threads are told to sleep rather than spin (unless OMP_WAIT_POLICY is
    set): where another process holds a core, spinning costs two thirds of the speed per CPU second.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import torch  # noqa: F401

        import_torchvision()
        return importlib.import_module("open_clip")
    except ImportError as error:
        what = f"open_clip cannot be imported: {shown(str(error))}"
        raise UnavailableError(what, "Run `pip install 'mmr[clip]'`.") from error


def import_torchvision() -> None:
    """Import torchvision also where its compiled part cannot load, as beside a CPU build of torch.

    open_clip needs its transforms, which are Python. Without the compiled part the import stops at
    `operator torchvision::nms does not exist` (pytorch/vision issues 8985, 9077, 9085), so the two
    missing operators are declared, without an implementation, and the import is repeated. Where the
    compiled part loads, nothing is declared.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        import torch

        library = torch.library.Library("torchvision", "DEF")
        for schema in OPERATORS:
            library.define(schema)
        _kept_alive.append(library)
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        importlib.import_module("torchvision")


def choose_device(name: str) -> torch.device:
    """Return the torch device for "auto" (cuda, else mps, else cpu) or for a name such as "cuda:1".

    Raises `UsageError` for a name that torch does not know, `UnavailableError` for one not at hand.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = shown(str(error).splitlines()[0])
        if "Expected one of" in reason or "Invalid device string" in reason:
            fix = "Use auto, cpu, cuda, cuda:1 or mps."
            raise UsageError(f"no such device {shown(name)!r}", fix) from error
        what = f"the device {shown(name)!r} is not available here: {reason}"
        raise UnavailableError(what, "Use --device cpu, or leave the option out.") from error
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """Return "fp32", "bf16" or "fp16"; "auto" is bf16 weights where the device multiplies them, else fp32."""
    import torch

    if name not in PRECISIONS:
        raise UsageError(f"no such precision {shown(name)!r}", f"Use one of {', '.join(PRECISIONS)}.")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and BF16_FLAGS & cpu_flags() else "fp32"


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """The processor's features as Linux names them; empty where it does not say."""
    try:
        with open(cpuinfo, encoding="ascii", errors="replace") as lines:
            return next((set(line.split()) for line in lines if line.startswith("flags")), set())
    except OSError:
        return set()


def set_threads(threads: int | None) -> int:
    """Give torch `threads` threads, by default one for each processor at hand; returns the number."""
    import torch

    at_hand = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(threads or at_hand)
    return int(torch.get_num_threads())


@contextmanager
def initial_values_left_out() -> Iterator[None]:
    """Leave new parameters unset, since a checkpoint that must hold every one is read into them next."""
    import torch
    from torch.overrides import TorchFunctionMode

    drawn = {torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_, torch.nn.init.normal_}
    drawn |= {torch.nn.init.uniform_, torch.nn.init.kaiming_uniform_}

    class LeaveOut(TorchFunctionMode):  # type: ignore[misc]  # torch is not read by mypy
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func in drawn:
                return args[0] if args else kwargs["tensor"]
            return func(*args, **(kwargs or {}))

    with LeaveOut():
        yield
