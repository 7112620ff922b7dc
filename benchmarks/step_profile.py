"""Where a step's time goes, by kinds of operations; and how many floating-point operations the baseline's step has."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contenders import Contender
from benchmarks.step_maker import make_step
from benchmarks.workloads import Workload

OUTSIDE = "outside operations"
_OTHER = "elementwise, sums, indexing"
_KINDS = {
    "convolution": ("conv", "_conv", "mkldnn_conv", "thnn_conv", "_slow_conv", "slow_conv", "im2col", "col2im"),
    "matrix products, LSTM": ("mm", "addmm", "bmm", "baddbmm", "linear", "matmul", "dot", "mkldnn_rnn", "lstm", "_thnn_"),
    "BatchNorm": ("batch_norm", "_batch_norm", "native_batch_norm", "_native_batch_norm", "cudnn_batch_norm", "var_mean"),
    "pooling": ("max_pool", "_max_pool", "mkldnn_max_pool", "avg_pool", "adaptive_avg"),
    "copies and layout": (
        "copy",
        "_to_copy",
        "clone",
        "contiguous",
        "to",
        "empty",
        "cat",
        "stack",
        "fill_",
        "zero",
        "new_",
        "lift",
    ),
}
KINDS = (*_KINDS, _OTHER, OUTSIDE)
"""The kinds of operations, in the order of the table; ``outside operations`` is Python and autograd's own."""

_STEPS = 3


def profiled_step(contender: Contender, workload: Workload, threads: int) -> dict[str, object]:
    """A row: the processor milliseconds of a step, and the share of each kind of operation in it, in 0..1."""
    step = make_step(contender, workload, threads=threads)
    step()
    milliseconds = []
    for _ in range(_STEPS):
        began = time.process_time()
        step()
        milliseconds.append(1000 * (time.process_time() - began))
    with profile(activities=[ProfilerActivity.CPU]) as profiler, torch.profiler.record_function("step"):
        step()
    times: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        times[_kind(event.key)] += event.self_cpu_time_total
    whole = sum(times.values())
    return {
        "contender": contender.name,
        "label": contender.label,
        "milliseconds": statistics.median(milliseconds),
        "shares": {kind: times[kind] / whole for kind in KINDS},
    }


def counted_gigaflop(contender: Contender, workload: Workload) -> float:
    """The billions of floating-point operations in the convolutions and matrix products of a step, all orders of gradients."""
    step = make_step(contender, workload, threads=1)
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / 1e9


def _kind(key: str) -> str:
    if not key.startswith("aten::"):
        return OUTSIDE
    name = key.removeprefix("aten::")
    for kind, prefixes in _KINDS.items():
        if any(name == prefix or (name.startswith(prefix) and prefix != "to") for prefix in prefixes):
            return kind
    return _OTHER
