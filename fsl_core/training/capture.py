"""A training step recorded once as a CUDA graph and replayed, so that no step waits for the host to launch its kernels."""

from __future__ import annotations

import functools
import gc
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.training.state import TrainingState, begin_moments
from fsl_core.training.step import StepSettings, advance

_WARM_UPS = 3  # before CUDA's libraries have chosen their kernels and allocated their buffers nothing can be recorded


@dataclass(frozen=True, eq=False)
class RecordedStep:
    """One step of ``state`` each time that it is called.

    It holds all that the graph reads and writes by address, for a graph keeps none of that alive but its own intermediate values:
    the images of the samplers' banks above all. It must outlive every replay.
    """

    graph: torch.cuda.CUDAGraph
    state: TrainingState
    samplers: Sequence[EpisodeSampler]

    def __call__(self) -> None:
        """Take a step."""
        self.graph.replay()
        self.state.step += 1


def captured_step(state: TrainingState, samplers: Sequence[EpisodeSampler], settings: StepSettings) -> RecordedStep:
    """What takes one step of ``state`` each time that it is called: sampling, gradient, optimiser and sums, in one graph.

    The step's number is ``state.clock``, which the graph itself counts on. The steps that the recording needs beforehand are undone.
    The graph writes to the tensors that ``state`` has now: they must stay its own.
    """
    begin_moments(state.optimiser, state.step)
    before = [(tensor, tensor.clone()) for tensor in _tensors(state)]
    graph = _recorded(functools.partial(advance, state, samplers, settings, step=state.clock))
    for tensor, values in before:
        tensor.copy_(values)
    return RecordedStep(graph, state, samplers)


def _recorded(step: Callable[[], None]) -> torch.cuda.CUDAGraph:
    """The graph of ``step``, which is taken a few times before; the current stream is the same afterwards, also where this fails."""
    stream, graph = _recording_stream(torch.cuda.current_device()), torch.cuda.CUDAGraph()
    gc.collect()  # while a step is recorded CUDA refuses to release an earlier one, which a cycle may still hold
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        _warm_up(step)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    return graph


def _warm_up(step: Callable[[], None]) -> None:
    with warnings.catch_warnings():
        # Adam means a training that is never recorded.
        warnings.filterwarnings("ignore", "This instance was constructed with capturable=True")
        for _ in range(_WARM_UPS):
            step()


@functools.cache
def _recording_stream(device: int) -> torch.cuda.Stream:
    """The stream on which every step of this process is prepared and recorded.

    cuBLAS keeps a workspace for each stream. Preparing on the stream that is recorded has it allocated beforehand, outside of any graph's
    memory; else it would lie in that of the first graph, and the next graphs would use it when the first is gone.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _tensors(state: TrainingState) -> Iterator[torch.Tensor]:
    """Every tensor that a step writes to."""
    yield from state.weights.values()
    yield from state.statistics.values()
    if state.optimiser is not None:
        for weights in state.weights.values():
            yield from (value for value in state.optimiser.state[weights].values() if isinstance(value, torch.Tensor))
    yield from (state.interval_loss, state.interval_accuracy, state.clock)
