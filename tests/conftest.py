"""What holds for every test: no choice of an execution path hangs on a timer."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_timer() -> Iterator[None]:
    """Every path takes as long as every other, so that each trial of this process has the usual one and no bit hangs on a timer."""
    with pytest.MonkeyPatch.context() as equal:
        equal.setattr("fsl_core.training.path_choice.stopwatch_of", lambda *_: lambda: 1.0)
        yield
