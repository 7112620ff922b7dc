"""The best rates of this machine: convolutions, matrix products and copies of the sizes in training."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from benchmarks.allocator import keep_freed_memory

ROOF = "convolution 64 to 64 channels, 14x14, forward, channels last"
"""The reference row for a step's convolutions."""

_IMAGES = 360  # those of a Prototypical step, 60-way 1-shot with 5 queries
_COPIED = 2**26  # float32 values: 268 MB, more than any cache
_SIDE = 1024


def roofline(threads: int, times: int) -> list[dict[str, object]]:
    """One row per operation: its name, the unit, and the median and best rate over this many repetitions."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    return [_row(*operation, times) for operation in _operations()]


def _row(name: str, unit: str, work: float, repeat: Callable[[], object], times: int) -> dict[str, object]:
    repeat()
    seconds = []
    for _ in range(times):
        began = time.process_time()
        repeat()
        seconds.append(time.process_time() - began)
    return {"operation": name, "unit": unit, "rate": work / statistics.median(seconds) / 1e9, "best": work / min(seconds) / 1e9}


def _operations() -> Iterator[tuple[str, str, float, Callable[[], object]]]:
    for layout in (torch.channels_last, torch.contiguous_format):
        name = "channels last" if layout == torch.channels_last else "channels first"
        yield from _convolution("convolution 64 to 64 channels, 14x14", 64, 14, layout, name)
        yield from _convolution("first convolution 1 to 64 channels, 28x28", 1, 28, layout, name)
    left, right = torch.randn(_SIDE, _SIDE), torch.randn(_SIDE, _SIDE)
    yield f"matrix product {_SIDE}", "GFLOP/s", 2 * _SIDE**3, lambda: left @ right
    values, place = torch.randn(_COPIED), torch.empty(_COPIED)
    yield "copy of 268 MB, read and written", "GB/s", 2 * 4 * _COPIED, lambda: place.copy_(values)
    yield "addition of 268 MB, read twice and written", "GB/s", 3 * 4 * _COPIED, lambda: torch.add(values, values, out=place)


def _convolution(
    name: str, channels: int, side: int, layout: torch.memory_format, layout_name: str
) -> Iterator[tuple[str, str, float, Callable[[], object]]]:
    images = torch.randn(_IMAGES, channels, side, side).to(memory_format=layout)
    weight = torch.randn(64, channels, 3, 3).to(memory_format=layout)
    work = 2.0 * _IMAGES * side**2 * 9 * channels * 64
    upstream = functional.conv2d(images, weight, padding=1)
    wanted = [channels > 1, True, False]  # the gradient of the images themselves is not needed
    yield f"{name}, forward, {layout_name}", "GFLOP/s", work, lambda: functional.conv2d(images, weight, padding=1)
    yield (
        f"{name}, backward, {layout_name}",
        "GFLOP/s",
        work * sum(wanted),
        lambda: torch.ops.aten.convolution_backward(
            upstream, images, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted
        ),
    )
