"""What holds for every test: no choice of an execution path hangs on a timer, and no process that a test starts ignores a signal.

``--fast`` leaves out the files that take seconds.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fast_selection import is_fast


@pytest.fixture(scope="session", autouse=True)
def no_timer() -> Iterator[None]:
    """Every path takes as long as every other, so that each trial of this process has the usual one and no bit hangs on a timer."""
    with pytest.MonkeyPatch.context() as equal:
        equal.setattr("fsl_core.training.path_choice.stopwatch_of", lambda *_: lambda: 1.0)
        yield


def pytest_configure() -> None:
    """Ignored signals are inherited: in the background of a shell, and under nohup, the tests of signals would fail.

    A signal that has a handler here has its default in what the tests start, and a hangup still does not end the tests.
    """
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast", action="store_true", help="only files that start no process and load no library that takes seconds"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file that is left out is not even imported."""
    slow = config.getoption("--fast") and collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if slow and not is_fast(collection_path) else None
