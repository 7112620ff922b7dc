"""Runs each measurement in its own process, which leaves neither memory nor allocator settings behind."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import ForkServerContext
from typing import ParamSpec, TypeVar

Answer = TypeVar("Answer")
Given = ParamSpec("Given")

_IMPORTED = ("benchmarks.step_maker", "torch.profiler", "torch.utils.flop_counter")


def own_processes(threads: int) -> ForkServerContext:
    """The context that starts new processes whose numerical libraries have this many threads.

    A server with torch imported forks each of them: importing it in each would take longer than the steps. The first call determines the
    number of threads.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context


def in_own_process(threads: int, function: Callable[Given, Answer], *args: Given.args, **settings: Given.kwargs) -> Answer:
    """Call ``function`` in a new process and return its result."""
    with ProcessPoolExecutor(max_workers=1, mp_context=own_processes(threads)) as pool:
        return pool.submit(function, *args, **settings).result()
