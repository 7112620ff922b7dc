"""The workers of a Ray that this process has started, as tests look for them."""

import time

import psutil


def ray_workers(seconds: float = 10) -> list[psutil.Process]:
    """Those that train now. Between two calls of its trainable a worker has another title, so that it is looked for several times."""
    deadline = time.monotonic() + seconds
    while not (found := list(filter(_trains, psutil.Process().children(recursive=True)))) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _trains(process: psutil.Process) -> bool:
    try:
        return "Trainable" in "".join(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return False
