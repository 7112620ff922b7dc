"""Profiles a step by kinds of operations, and counts the floating-point operations of the baseline's step."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contenders import BASELINE, Contender
from benchmarks.step_maker import make_step
from benchmarks.workloads import Workload

OUTSIDE = "outside operations"
_FIRST_BLOCK = "first block's loops"
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
KINDS = (_FIRST_BLOCK, *_KINDS, _OTHER, OUTSIDE)
"""The kinds of operations, in the order of the table.

``first block's loops`` has the Python around them too, and on other paths that alone; ``outside operations`` is Python and autograd's own.
"""


def profiled_step(contender: Contender, workload: Workload, threads: int) -> dict[str, object]:
    """A row: the processor milliseconds of a step, and the share of each kind of operation in another, in 0..1.

    The baseline's has ``gigaflop`` too: billions of floating-point operations in its convolutions and matrix products, all orders of
    gradients.
    """
    step = make_step(contender, workload, threads=threads)
    step()
    began = time.process_time()
    step()
    milliseconds = 1000 * (time.process_time() - began)
    counted = {"gigaflop": _gigaflop(step)} if contender.name == BASELINE.name else {}
    return {
        "contender": contender.name,
        "label": contender.label,
        "milliseconds": milliseconds,
        "shares": _shares(step),
        **counted,
    }


def _shares(step: Callable[[], None]) -> dict[str, float]:
    with profile(activities=[ProfilerActivity.CPU]) as profiler, record_function("step"):
        step()
    times: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        times[_kind(event.key)] += event.self_cpu_time_total
    whole = sum(times.values())
    return {kind: times[kind] / whole for kind in KINDS}


def _gigaflop(step: Callable[[], None]) -> float:
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops()) / 1e9


def _kind(key: str) -> str:
    if key.startswith("_FusedStem"):
        return _FIRST_BLOCK
    if not key.startswith("aten::"):
        return OUTSIDE
    name = key.removeprefix("aten::")
    for kind, prefixes in _KINDS.items():
        if any(name == prefix or (name.startswith(prefix) and prefix != "to") for prefix in prefixes):
            return kind
    return _OTHER
