"""A training step captured once as a CUDA graph and replayed, so that no step waits for the host to launch kernels."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.training.state import TrainingState
from fsl_core.training.step import StepSettings, advance

_WARM_UPS = 3  # until CUDA's libraries have chosen kernels and allocated buffers, nothing can be captured


@dataclass(frozen=True, eq=False)
class RecordedStep:
    """Takes one step of ``state`` at each call.

    It keeps alive all that the graph reads and writes by address, above all the images of the samplers' banks and the code of a compiled
    gradient: a graph owns only its intermediate values. It must outlive every replay.
    """

    graph: torch.cuda.CUDAGraph
    state: TrainingState
    samplers: Sequence[EpisodeSampler]
    settings: StepSettings

    def __call__(self) -> None:
        """Take a step."""
        self.graph.replay()
        self.state.step += 1


def captured_step(state: TrainingState, samplers: Sequence[EpisodeSampler], settings: StepSettings) -> RecordedStep:
    """Capture one step of ``state`` (sampling, gradient, optimiser and sums) in one graph.

    The step's number is ``state.clock``, which the graph increments. The warm-up steps of the capture are undone. The graph writes to
    the present tensors of ``state``, which must not be replaced.
    """
    before = [(tensor, tensor.clone()) for tensor in _tensors(state)]
    graph = _recorded(functools.partial(advance, state, samplers, settings, step=state.clock))
    for tensor, values in before:
        tensor.copy_(values)
    return RecordedStep(graph, state, samplers, settings)


def _recorded(step: Callable[[], None]) -> torch.cuda.CUDAGraph:
    """Capture the graph of ``step`` after a few warm-up steps; the current stream is restored, also on failure."""
    stream, graph = _recording_stream(torch.cuda.current_device()), torch.cuda.CUDAGraph()
    gc.collect()  # during a capture CUDA cannot release an earlier graph, which a reference cycle may still hold
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            step()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    return graph


@functools.cache
def _recording_stream(device: int) -> torch.cuda.Stream:
    """The stream on which this process prepares and captures every step.

    cuBLAS keeps a workspace for each stream. A warm-up on the captured stream allocates it outside any graph's memory; otherwise it would
    be in the memory of the first graph, and later graphs would use it after that graph is gone.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _tensors(state: TrainingState) -> Iterator[torch.Tensor]:
    """Every tensor that a step writes to and later steps read."""
    yield from state.weights.values()
    yield from state.statistics.values()
    if state.optimiser is not None:
        yield from state.optimiser.tensors()
    yield from (state.interval_loss, state.interval_accuracy, state.clock)
