"""Finds the workers of a Ray that this process has started."""

import time

import psutil


def ray_workers(seconds: float = 10) -> list[psutil.Process]:
    """The workers that train now. A worker's title changes between two calls of its trainable, so the search is repeated."""
    deadline = time.monotonic() + seconds
    while not (found := list(filter(_trains, psutil.Process().children(recursive=True)))) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _trains(process: psutil.Process) -> bool:
    try:
        return "Trainable" in "".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return False
