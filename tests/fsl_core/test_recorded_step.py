"""What of recording a step needs no CUDA device: its warm-ups are undone, and what the graph reads by address is kept alive."""

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.training import capture
from fsl_core.training.capture import RecordedStep, captured_step
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_timing import step_along
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.test_cuda import Training, bits, recipe


class Stream:
    """In the place of a stream of a device."""

    def wait_stream(self, other: object) -> None:
        assert isinstance(other, Stream)


class Graph:
    """In the place of a CUDA graph, which takes the step that was recorded while its context was open."""

    def replay(self) -> None:
        pass


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens while a step is recorded without a device, where the recorded step is taken as well."""
    seen: list[str] = []
    there = Stream()

    @contextlib.contextmanager
    def recording(graph: Graph, *, stream: Stream) -> Iterator[None]:
        assert stream is there, "prepared and recorded on one stream"
        seen.append("recorded")
        yield

    def advanced(*arguments: Any, **named: Any) -> None:
        seen.append("step")
        step(*arguments, **named)

    step: Callable[..., None] = capture.advance
    monkeypatch.setattr(capture, "advance", advanced)
    monkeypatch.setattr(capture, "_recording_stream", lambda device: there)
    places: dict[str, object] = {
        "current_device": lambda: 0,
        "current_stream": lambda: there,
        "stream": lambda stream: contextlib.nullcontext(),
        "synchronize": lambda: None,
        "CUDAGraph": Graph,
        "graph": recording,
    }
    for name, value in places.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return seen


def test_the_warm_up_steps_of_a_capture_are_undone(happened: list[str], glyphs: SplitDataset) -> None:
    training = Training(recipe("maml order 2", "max_pool"), glyphs, device="cpu", captured=True)
    before = {name: value.clone() for name, value in bits(training.state).items()}
    take = captured_step(training.state, training.samplers, training.settings)
    assert happened == ["step"] * 3 + ["recorded", "step"]
    after = bits(training.state)
    assert (training.state.step, int(training.state.clock)) == (0, 0)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(bool(value.any()) for name, value in after.items() if name.startswith("exp_avg"))
    take()
    assert training.state.step == 1


def test_a_captured_step_keeps_the_images_that_its_graph_reads_alive(happened: list[str]) -> None:
    """A graph has their address alone: freed, they would be whatever came there next."""
    take = step_along(glyphs_recipe(), ExecutionPath(captured=True), (1, 28, 28), torch.device("cpu"))
    assert isinstance(take, RecordedStep)
    gc.collect()
    (sampler,) = take.samplers
    images, state = weakref.ref(sampler.bank.images), weakref.ref(take.state)
    del sampler
    gc.collect()
    assert images() is not None
    assert state() is not None
    take()
    del take
    gc.collect()
    assert images() is None


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_captures_after_released_ones_take_the_same_steps(glyphs: SplitDataset) -> None:
    """Memory of a graph that is gone is given to the next, and a step along a path owns what it reads."""
    device = torch.device("cuda")
    with ExecutionPath(device="cuda").active():
        seen = []
        for _ in range(3):
            take = step_along(glyphs_recipe(), ExecutionPath(device="cuda", captured=True), (1, 28, 28), device)
            gc.collect()
            torch.cuda.empty_cache()
            filled = [torch.full((1 << 20,), 255, dtype=torch.uint8, device=device) for _ in range(8)]
            for _ in range(3):
                take()
            assert isinstance(take, RecordedStep)
            seen.append(bits(take.state))
            del take, filled
        assert all(torch.equal(seen[0][name], each[name]) for each in seen for name in each)
