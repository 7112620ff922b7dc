"""How many trials run at once."""

import pytest

from orchestrator.slots import slots


@pytest.mark.parametrize(
    ("cpus", "gpus", "most", "wanted"),
    [(8, None, None, 8), (8, None, 3, 3), (8, 1, None, 4), (8, 2, None, 8), (2, 4, None, 2), (8, 0, None, 1), (1, None, 5, 1)],
)
def test_trials_share_cpus_and_gpus(cpus: int, gpus: int | None, most: int | None, wanted: int) -> None:
    assert slots(cpus=cpus, gpus=gpus, most=most) == wanted
