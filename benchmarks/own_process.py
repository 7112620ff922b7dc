"""A function in a process of its own, which leaves neither its memory nor its allocator's settings behind."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

Answer = TypeVar("Answer")
Given = ParamSpec("Given")


def in_own_process(threads: int, function: Callable[Given, Answer], *args: Given.args, **settings: Given.kwargs) -> Answer:
    """What ``function`` answers in a new process whose numerical libraries have so many threads."""
    limit_threads(threads)
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args, **settings).result()


def limit_threads(threads: int) -> None:
    """Give the numerical libraries of processes that start from now on so many threads."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
