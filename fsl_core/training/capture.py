"""A training step recorded once as a CUDA graph and replayed, so that no step waits for the host to launch its kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.training.state import TrainingState, begin_moments
from fsl_core.training.step import StepSettings, advance

_WARM_UPS = 3  # before CUDA's libraries have chosen their kernels and allocated their buffers nothing can be recorded


def captured_step(state: TrainingState, samplers: Sequence[EpisodeSampler], settings: StepSettings) -> Callable[[], None]:
    """What takes one step of ``state`` each time that it is called: sampling, gradient, optimiser and sums, in one graph.

    The step's number is ``state.clock``, which the graph itself counts on. The steps that the recording needs beforehand are undone.
    The graph writes to the tensors that ``state`` has now: they must stay its own.
    """
    begin_moments(state.optimiser, state.step)
    before = [(tensor, tensor.clone()) for tensor in _tensors(state)]

    def record() -> None:
        advance(state, samplers, settings, step=state.clock)

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            record()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        record()
    for tensor, values in before:
        tensor.copy_(values)

    def replay() -> None:
        graph.replay()
        state.step += 1

    return replay


def _tensors(state: TrainingState) -> Iterator[torch.Tensor]:
    """Every tensor that a step writes to."""
    yield from state.weights.values()
    yield from state.statistics.values()
    for weights in state.weights.values():
        yield from (value for value in state.optimiser.state[weights].values() if isinstance(value, torch.Tensor))
    yield from (state.interval_loss, state.interval_accuracy, state.clock)
