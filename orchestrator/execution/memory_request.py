"""How much memory a scheduler is asked to set aside for each trial, so that no node is promised more than it has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

_GIB = 2**30


@dataclass(frozen=True)
class Room:
    """What a node has for trials: bytes of memory, and as many slots as its CPUs and GPUs hold trials at once."""

    memory: int
    slots: int


@dataclass(frozen=True)
class MemoryRequests:
    """The bytes to ask for by fingerprint, and the trials that are predicted to need more than any node has, largest first.

    Such a trial asks for all that the largest node has, so that it runs there alone rather than never.
    """

    bytes: Mapping[str, int]
    alone: tuple[str, ...]


def memory_requests(predicted: Mapping[str, int], nodes: Collection[Room]) -> MemoryRequests:
    """What to ask for trials that are predicted to need so many bytes each.

    A worker is kept for the next trial that asks for the same. So all ask for the same where every node has room for that in each of
    its slots; elsewhere the requests are rounded up to a few sizes.
    """
    largest_node = max((node.memory for node in nodes), default=0)
    largest_trial = max(predicted.values(), default=0)
    if all(node.slots * largest_trial <= node.memory for node in nodes):
        return MemoryRequests(dict.fromkeys(predicted, largest_trial), ())
    alone = sorted((name for name, size in predicted.items() if size > largest_node), key=lambda name: -predicted[name])
    return MemoryRequests({name: min(_size(needed), largest_node) for name, needed in predicted.items()}, tuple(alone))


def _size(needed: int) -> int:
    """The next of 1, 1.5, 2, 3, 4, 6, 8 … GiB: at most half as much again, from 1 GiB on."""
    size = _GIB
    while size < needed:
        size = size * 3 // 2 if size & (size - 1) == 0 else size // 3 * 4
    return size if needed else 0


def alone_text(needed: int, largest_node: int, *, others: int) -> str:
    """What people are told of the largest trial that no node has the memory for."""
    more = f", as do {others} more" if others else ""
    return (
        f"it is predicted to need {needed / _GIB:.1f} GiB of memory, and no node has more than {largest_node / _GIB:.1f} GiB: it runs "
        f"alone on such a node{more}"
    )
