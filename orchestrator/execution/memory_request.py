"""Chooses the memory that the scheduler reserves for each trial, so that no node is overcommitted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

_GIB = 2**30


@dataclass(frozen=True)
class Room:
    """A node's capacity for trials: bytes of memory, and the number of trials that its CPUs and GPUs hold at once."""

    memory: int
    slots: int


@dataclass(frozen=True)
class MemoryRequests:
    """The bytes to request by fingerprint; ``alone``: the trials predicted to need more than any node has, largest first.

    Such a trial requests all memory of the largest node, so that it runs there alone rather than never.
    """

    bytes: Mapping[str, int]
    alone: tuple[str, ...]


def memory_requests(predicted: Mapping[str, int], nodes: Collection[Room]) -> MemoryRequests:
    """The requests of trials, given the bytes that each is predicted to need.

    Ray reuses a worker only for a trial with the same request. So all trials request the same amount where every node can serve it in
    each of its slots; otherwise requests are rounded up to a few sizes.
    """
    largest_node = max((node.memory for node in nodes), default=0)
    largest_trial = max(predicted.values(), default=0)
    if all(node.slots * largest_trial <= node.memory for node in nodes):
        return MemoryRequests(dict.fromkeys(predicted, largest_trial), ())
    alone = sorted((name for name, size in predicted.items() if size > largest_node), key=lambda name: -predicted[name])
    return MemoryRequests({name: min(_size(needed), largest_node) for name, needed in predicted.items()}, tuple(alone))


def _size(needed: int) -> int:
    """The prediction rounded up to 1, 1.5, 2, 3, 4, 6, 8 … GiB; above 1 GiB by less than a half."""
    size = _GIB
    while size < needed:
        size = size * 3 // 2 if size & (size - 1) == 0 else size // 3 * 4
    return size if needed else 0


def alone_text(needed: int, largest_node: int, *, others: int) -> str:
    """The notice about the largest of the trials that no node has the memory for."""
    more = f", as do {others} more" if others else ""
    return (
        f"it is predicted to need {needed / _GIB:.1f} GiB of memory, and no node has more than {largest_node / _GIB:.1f} GiB: it runs "
        f"alone on such a node{more}"
    )
