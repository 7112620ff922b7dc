"""What holds for every test: no choice of an execution path hangs on a timer. ``--fast`` leaves out the files that take seconds."""

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast", action="store_true", help="only files that start no process and load no library that takes seconds"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file that is left out is not even imported."""
    slow = config.getoption("--fast") and collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if slow and not is_fast(collection_path) else None
