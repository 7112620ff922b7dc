"""Execution paths: how a trial computes. A path is chosen once, pinned in the trial's folder, and recorded with its result.

Two execution paths compute the same function and differ only in rounding. On one path the same recipe gives the same bits.
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import torch

from fsl_core.backbones.available_loops import check_loops_available
from fsl_core.backbones.kernels import Convolution, Kernels, Layout, Normalisation, Stem
from fsl_core.checks import one_of, size, truth, whole
from fsl_core.errors import ExecutionPathError, SettingError
from fsl_core.recipe.matmul_precision import MatmulPrecision
from fsl_core.training.arithmetic import WORKSPACE, refuse_other_arithmetic
from fsl_core.training.compiler import check_compiler_available
from fsl_core.training.multiplying import check_precision_available, multiplying_in

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
_MIB = 2**20
_STEMS_TO_COMPILE: tuple[Stem, ...] = ("maps", "products")


@dataclass(frozen=True, kw_only=True)
class ExecutionPath:
    """How a trial computes. ``device`` is ``cpu`` or ``cuda``; ``threads`` counts CPU threads within one operation.

    ``episodes_at_once``: the number of episodes of a meta-batch that are differentiated together; the gradient is always that of the whole
    meta-batch. ``layout``, ``normalisation``, ``convolution`` and ``stem``: see :class:`fsl_core.backbones.kernels.Kernels`.
    ``captured``: the step is captured once as a CUDA graph and replayed. ``compiled``: torch.compile compiles the gradient of a step, for
    seconds or minutes at the start of a process. ``seeds_together``: the number of seeds of the recipe in one
    training, each of which differentiates so many episodes; ``place``, from 0, is this trial's place among them.
    """

    device: str = "cpu"
    threads: int = 1
    episodes_at_once: int = 1
    layout: Layout = "channels_last"
    normalisation: Normalisation = "fused"
    convolution: Convolution = "grouped"
    stem: Stem = "patches"
    captured: bool = False
    compiled: bool = False
    seeds_together: int = 1
    place: int = 0

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        episodes = f"{self.episodes_at_once} episode{'s' if self.episodes_at_once > 1 else ''} at once"
        forms = f"{self.layout}, {self.normalisation} normalisation, {self.convolution} convolution, stem on {self.stem}"
        together = f", seed {self.place + 1} of {self.seeds_together} together" if self.seeds_together > 1 else ""
        runs = f"{', compiled' if self.compiled else ''}{', captured' if self.captured else ''}"
        return f"{self.device}, {threads}, {episodes}; {forms}{runs}{together}"

    @property
    def kernels(self) -> Kernels:
        """The kernels of the backbone on this path."""
        return Kernels(layout=self.layout, normalisation=self.normalisation, convolution=self.convolution, stem=self.stem)

    def check_sound(self) -> None:
        """Raises SettingError unless every field has an accepted value."""
        one_of("device", self.device, ("cpu", "cuda"))
        size("threads", self.threads, 1)
        size("episodes_at_once", self.episodes_at_once, 1)
        one_of("layout", self.layout, get_args(Layout))
        one_of("normalisation", self.normalisation, get_args(Normalisation))
        one_of("convolution", self.convolution, get_args(Convolution))
        one_of("stem", self.stem, get_args(Stem))
        truth("captured", self.captured)
        size("seeds_together", self.seeds_together, 1)
        whole("place", self.place, 0, self.seeds_together - 1)
        if self.captured and self.device != "cuda":
            raise SettingError("captured", True, "a step is captured as a CUDA graph only on CUDA", beside=("device",))
        if self.stem == "loops" and (self.device != "cpu" or self.threads > 1):
            problem = "loops are compiled for one thread of a CPU"
            raise SettingError("stem", "loops", problem, beside=("device", "threads"), give={"stem": "patches"})
        truth("compiled", self.compiled)
        if self.compiled and (self.normalisation != "plain" or self.stem not in _STEMS_TO_COMPILE):
            problem = (
                "only elementwise operations, sums and products can be compiled: normalisation 'plain', stem 'maps' or 'products'"
            )
            stem = self.stem if self.stem in _STEMS_TO_COMPILE else _STEMS_TO_COMPILE[0]
            raise SettingError(
                "compiled", True, problem, beside=("normalisation", "stem"), give={"normalisation": "plain", "stem": stem}
            )

    def check_available(self, precision: MatmulPrecision = "float32") -> None:
        """Raises ExecutionPathError if this machine does not support the path in ``precision``,

        or its environment requests another arithmetic.
        """
        refuse_other_arithmetic()
        try:
            self.check_sound()
        except SettingError as error:
            raise ExecutionPathError(str(error)) from error
        if self.device == "cuda" and not cuda_is_here():
            raise ExecutionPathError("device is 'cuda', but this machine offers no CUDA device")
        check_precision_available(self.device, precision)
        if self.compiled:
            check_compiler_available()
        if self.stem == "loops":
            check_loops_available()

    @contextmanager
    def active(self, precision: MatmulPrecision = "float32") -> Iterator[torch.device]:
        """Compute on this path inside the block: its thread count, deterministic kernels, full float32 unless TF32 is requested."""
        if self.device == "cuda":
            fix_cublas_workspace()
            # cuDNN's LSTM copies weights that are tensors of their own, as ours are, into one: that is cheap
            warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk", UserWarning)
        self.check_available(precision)
        threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
        benchmark = torch.backends.cudnn.benchmark
        torch.set_num_threads(self.threads)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        keep_freed_memory()
        try:
            with multiplying_in(precision):
                yield torch.device(self.device)
        finally:
            torch.set_num_threads(threads)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark


def cuda_is_here() -> bool:
    """Return whether this machine has a CUDA device."""
    return torch.cuda.is_available()


def fix_cublas_workspace() -> None:
    """Fix the workspace size of cuBLAS for the rest of the process, unless the environment sets one.

    With its own choice, the rounding of a matrix product or of cuDNN's LSTM may differ from run to run. PyTorch documents this as the one
    value that fixes both (``torch.use_deterministic_algorithms``, ``torch.nn.LSTM``). It is read when CUDA is initialised.
    """
    if not os.environ.get(WORKSPACE):
        os.environ[WORKSPACE] = ":16:8"


def keep_freed_memory() -> None:
    """Ask glibc to keep the memory of freed activations for the next step, for the rest of the process.

    By default glibc returns every large block to the kernel, and each step faults its pages in again: on a CPU that costs more than
    half of a training step. Without glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2048 * _MIB - 1)
    mallopt(_M_TOP_PAD, 64 * _MIB)
