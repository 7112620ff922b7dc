"""Functions of tensors compiled by torch.compile.

A function is traced to one graph of tensor operations, autograd's derivatives included, which is then compiled. So any function can be
compiled as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from fsl_core.algorithms.algorithm import Result
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
_TENSOR = object()  # marks the place of a tensor among a result's constants


@dataclass(frozen=True, eq=False)
class CompiledFunctions:
    """Computes functions by code that is compiled at the first call for a name, a structure and the shapes of the arguments.

    It is a :class:`fsl_core.algorithms.algorithm.ComputePart` for functions whose gradients are not wanted. Arguments and results are
    tensors, or tuples and dictionaries of them; a result may also contain numbers, which are those of the first call.
    """

    _functions: dict[object, _Compiled] = field(default_factory=dict)

    def __call__(self, name: str, function: Callable[..., Result], *arguments: Any) -> Result:
        """The result of the function.

        Raises:
            ExecutionPathError: torch.compile does not work here.
        """
        values, structure = tree_flatten(arguments)
        tensors = [value.detach() for value in values]
        key = (name, structure, tuple((value.shape, value.dtype) for value in tensors))
        with torch.no_grad(), _repeatable():
            if key in self._functions:
                return self._functions[key](tensors)  # type: ignore[no-any-return]
            with _compiler_errors(), _without_its_advice():
                compiled = _compiled(function, structure, tensors)
                result = compiled(tensors)  # torch.compile compiles now
        self._functions[key] = compiled
        return result  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Compiled:
    """Compiled code for tensors with these ``strides``. The structure of its result has these ``constants`` between its tensors."""

    code: Callable[..., Sequence[torch.Tensor]]
    strides: Sequence[tuple[int, ...]]
    structure: TreeSpec
    constants: Sequence[Any]

    def __call__(self, tensors: Sequence[torch.Tensor]) -> Any:
        values = iter(self.code(*map(_laid_out, tensors, self.strides)))
        leaves = [next(values) if constant is _TENSOR else constant for constant in self.constants]
        return tree_unflatten(leaves, self.structure)


def _constant(leaf: Any) -> Any:
    """A number of a result, or the mark of a tensor.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(leaf, torch.Tensor):
        return _TENSOR
    if not isinstance(leaf, int | float):
        raise TypeError(f"a compiled function returned {type(leaf).__name__}; its result must consist of tensors and numbers")
    return leaf


def _laid_out(value: torch.Tensor, strides: tuple[int, ...]) -> torch.Tensor:
    """The values with these strides; torch would compile other code for others."""
    if value.stride() == strides:
        return value
    return torch.empty_strided(value.shape, strides, dtype=value.dtype, device=value.device).copy_(value)


def _compiled(function: Callable[..., Any], arguments: TreeSpec, tensors: Sequence[torch.Tensor]) -> _Compiled:
    traced: list[tuple[TreeSpec, list[Any]]] = []

    def flat(*values: torch.Tensor) -> list[torch.Tensor]:
        leaves, structure = tree_flatten(function(*tree_unflatten(values, arguments)))
        traced.append((structure, [_constant(leaf) for leaf in leaves]))
        return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]

    strides = [torch.empty_like(value).stride() for value in tensors]  # those of a copy, which has no stride of 0
    with _torchs_own_lstm():
        graph = make_fx(flat, decomposition_table=dict(REPEATABLE), tracing_mode="fake")(*map(_laid_out, tensors, strides))
    for node in graph.graph.nodes:  # a view of this machine's strides may not be one of those that the compiler chooses
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    graph.recompile()
    [(structure, constants)] = traced
    return _Compiled(code=generated(graph), strides=strides, structure=structure, constants=constants)


def generated(graph: Callable[..., Any]) -> Callable[..., Any]:
    """Code that computes the same as a graph of tensor operations, and always to the same bits; its first call generates it."""
    options: dict[str, Any] = {**_OPTIONS, "cpp.threads": torch.get_num_threads()}
    return torch.compile(graph, dynamic=False, fullgraph=True, options=options)


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
def _without_its_advice() -> Iterator[None]:
    """Inside the block the compiler does not warn: it advises TF32, which is a recipe's setting, and reports what it leaves out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\._inductor")
        yield


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
