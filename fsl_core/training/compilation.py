"""An algorithm's meta-gradient compiled by torch.compile: one function for each shape of a meta-batch.

The whole computation, autograd's derivatives included, is traced to one graph of tensor operations, which is then compiled. So every
algorithm can be compiled as it is, at every order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from fsl_core.algorithms.algorithm import Algorithm, MetaGradient
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import LayerStatistics, Weights
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.errors import ExecutionPathError
from fsl_core.memory_shortage import is_memory_shortage
from fsl_core.training.repeatable_operations import REPEATABLE

_OPTIONS = {
    "deterministic": True,
    "fallback_random": True,
    "max_autotune": False,
    "max_autotune_gemm": False,
    "max_autotune_pointwise": False,
    "coordinate_descent_tuning": False,
    "benchmark_fusion": False,
    "triton.cudagraphs": False,
}
"""Nothing in the generated code depends on a timer, whatever the environment asks of the compiler."""


class CompiledGradient:
    """Computes the meta-gradient of an algorithm. The first call for a shape of episodes compiles, for seconds or minutes.

    The weights must have the same names, shapes and layouts at every call.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self._functions: dict[object, _Compiled] = {}

    def __call__(
        self, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch, *, loss_factor: float, kernels: Kernels
    ) -> MetaGradient:
        """As :meth:`fsl_core.algorithms.algorithm.Algorithm.meta_gradient`.

        Raises:
            ExecutionPathError: torch.compile does not work here.
        """
        key = (episodes.support.shape, episodes.query.shape, episodes.words is None, loss_factor, kernels)
        arguments = _arguments(weights, episodes)
        with torch.no_grad(), _repeatable():
            if key in self._functions:
                return self._functions[key](arguments)
            with _compiler_errors():
                function = _compiled(self._algorithm, tuple(weights), arguments, loss_factor=loss_factor, kernels=kernels)
                meta = function(arguments)  # torch.compile compiles now
        self._functions[key] = function
        return meta


@dataclass(frozen=True, eq=False, kw_only=True)
class _Compiled:
    """A compiled function of tensors; ``counts`` are those of the statistics of each layer."""

    function: Callable[..., Sequence[torch.Tensor]]
    weights: tuple[str, ...]
    counts: dict[str, int]

    def __call__(self, arguments: Sequence[torch.Tensor]) -> MetaGradient:
        *values, loss, accuracy = self.function(*arguments)
        gradient, moments = values[: len(self.weights)], values[len(self.weights) :]
        layers = zip(self.counts.items(), moments[::2], moments[1::2], strict=True)
        return MetaGradient(
            gradient=dict(zip(self.weights, gradient, strict=True)),
            statistics={
                name: LayerStatistics(mean=mean, variance=variance, count=count) for (name, count), mean, variance in layers
            },
            loss=loss,
            accuracy=accuracy,
        )


def _compiled(
    algorithm: Algorithm, names: tuple[str, ...], arguments: Sequence[torch.Tensor], *, loss_factor: float, kernels: Kernels
) -> _Compiled:
    traced: list[tuple[tuple[str, ...], dict[str, int]]] = []

    def flat(*tensors: torch.Tensor) -> list[torch.Tensor]:
        weights, episodes = _structured(names, tensors)
        meta = algorithm.meta_gradient(weights, episodes, loss_factor=loss_factor, kernels=kernels)
        traced.append((tuple(meta.gradient), {name: each.count for name, each in meta.statistics.items()}))
        moments = [moment for each in meta.statistics.values() for moment in (each.mean, each.variance)]
        return [*meta.gradient.values(), *moments, meta.loss, meta.accuracy]

    with _torchs_own_lstm():
        graph = make_fx(flat, decomposition_table=dict(REPEATABLE), tracing_mode="fake")(*arguments)
    for node in graph.graph.nodes:  # a view of this machine's strides may not be one of those that the compiler chooses
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    graph.recompile()
    [(weights, counts)] = traced
    return _Compiled(function=generated(graph), weights=weights, counts=counts)


def generated(graph: Callable[..., Any]) -> Callable[..., Any]:
    """Code that computes the same as a graph of tensor operations, and always to the same bits; its first call generates it."""
    options: dict[str, Any] = {**_OPTIONS, "cpp.threads": torch.get_num_threads()}
    return torch.compile(graph, dynamic=False, fullgraph=True, options=options)


def _arguments(weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch) -> list[torch.Tensor]:
    words = [] if episodes.words is None else [episodes.words]
    return [*(value.detach() for value in weights.values()), episodes.support, episodes.query, *words]


def _structured(names: tuple[str, ...], tensors: Sequence[torch.Tensor]) -> tuple[Weights, EpisodeBatch]:
    """The inverse of :func:`_arguments`."""
    count = len(names)
    return dict(zip(names, tensors[:count], strict=True)), EpisodeBatch(*tensors[count:])


@contextmanager
def _torchs_own_lstm() -> Iterator[None]:
    """Inside the block an LSTM is that of torch: those of oneDNN and cuDNN cannot be traced. Traced convolutions stay theirs."""
    libraries: tuple[Any, ...] = (torch.backends.mkldnn, torch.backends.cudnn)
    before = [library.enabled for library in libraries]
    for library in libraries:
        library.enabled = False
    try:
        yield
    finally:
        for library, enabled in zip(libraries, before, strict=True):
            library.enabled = enabled


@contextmanager
def _repeatable() -> Iterator[None]:
    """Inside the block torch and its compiler refuse operations whose bits may differ from run to run."""
    memory: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled()
    warn_only, fill = torch.is_deterministic_algorithms_warn_only_enabled(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # every value is written before it is read
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        memory.fill_uninitialized_memory = fill


@contextmanager
def _compiler_errors() -> Iterator[None]:
    """Report an error of the compiler as one of the execution path; a lack of memory and an algorithm's own errors stay what they are."""
    try:
        yield
    except RuntimeError as error:  # every error of torch's compiler is one
        if is_memory_shortage(error):
            raise
        lines = [line for line in str(error).splitlines() if line and not line.endswith(":")]  # the first may say "… raised:"
        reason = next(iter(lines), "")
        raise ExecutionPathError(
            f"the execution path is compiled, but torch.compile could not compile a step here ({type(error).__name__}: {reason}); "
            "on a CPU it needs a C++ compiler, on CUDA triton"
        ) from error
