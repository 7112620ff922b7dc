"""Memory requests: no node is overcommitted, workers are reused, and no trial waits for ever."""

from itertools import pairwise

import pytest

from orchestrator.execution.memory_request import Room, alone_text, memory_requests

GIB = 2**30


def test_all_trials_request_the_same_where_every_slot_has_room_for_the_largest():
    """Ray reuses a worker only for a trial with the same request."""
    requests = memory_requests({"small": GIB, "large": 3 * GIB}, [Room(memory=16 * GIB, slots=4), Room(memory=6 * GIB, slots=2)])
    assert (requests.bytes, requests.alone) == ({"small": 3 * GIB, "large": 3 * GIB}, ())


def test_no_node_is_overcommitted_where_memory_is_short():
    predicted = {f"t{number}": number * GIB // 4 for number in range(1, 40)}
    requests = memory_requests(predicted, [Room(memory=16 * GIB, slots=8)])
    assert all(predicted[name] <= size <= 16 * GIB for name, size in requests.bytes.items())
    assert all(size <= max(GIB, 1.5 * predicted[name]) for name, size in requests.bytes.items())
    assert len(set(requests.bytes.values())) <= 8  # few sizes, so that workers are reused
    assert requests.alone == ()


def test_requests_round_up_by_less_than_a_half():
    sizes = sorted({*memory_requests({str(n): n * GIB // 2 for n in range(1, 200)}, [Room(100 * GIB, 99)]).bytes.values()})
    assert all(after <= 1.5 * before for before, after in pairwise(sizes))


def test_a_trial_larger_than_every_node_requests_the_largest_and_is_reported():
    nodes = [Room(memory=4 * GIB, slots=2), Room(memory=8 * GIB, slots=2)]
    requests = memory_requests({"fits": 2 * GIB, "too large": 9 * GIB, "largest": 12 * GIB, "exact": 8 * GIB}, nodes)
    assert requests.bytes == {"fits": 2 * GIB, "too large": 8 * GIB, "largest": 8 * GIB, "exact": 8 * GIB}
    assert requests.alone == ("largest", "too large")
    text = alone_text(12 * GIB, 8 * GIB, others=1)
    assert "12.0 GiB" in text and "8.0 GiB" in text and "as do 1 more" in text


@pytest.mark.parametrize("predicted", [{}, {"a": 0, "b": 0}])
def test_a_trial_without_a_prediction_requests_no_memory(predicted: dict[str, int]):
    requests = memory_requests(predicted, [Room(memory=GIB, slots=4)])
    assert (requests.bytes, requests.alone) == (predicted, ())
