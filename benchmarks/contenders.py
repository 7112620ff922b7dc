"""The contenders: ours, the baseline, and the peers. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.workloads import Kind, Workload

METRIC: tuple[Kind, ...] = ("prototypical", "matching", "matching_fce")
MAML: tuple[Kind, ...] = ("maml_order_1", "maml_order_2")


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A contender: its module, its precision, and whether it gets our allocator settings.

    ``kinds`` are its workloads; without ``strides`` it has only max-pools. ``needs`` is the measured package, None for code of this folder.
    ``rounds`` limits the rounds of a slow contender. ``remarks`` name the workloads in which its computation differs from ours, and how.
    """

    name: str
    label: str
    module: str
    kinds: tuple[Kind, ...] = (*METRIC, *MAML)
    strides: bool = True
    dtype: Literal["float32", "float64"] = "float32"
    our_allocator: bool = False
    needs: str | None = None
    rounds: int | None = None
    remarks: tuple[tuple[Kind, str], ...] = ()

    def has(self, workload: Workload) -> bool:
        """Return whether it can take the step of a workload."""
        too_slow = self.dtype == "float64" and workload.recipe.data.dataset == "mini_imagenet"
        return workload.kind in self.kinds and (self.strides or not workload.strides) and not too_slow

    def remark(self, workload: Workload) -> str:
        """How its computation in a workload differs from ours; empty if it does not."""
        return dict(self.remarks).get(workload.kind, "")

    def with_our_allocator(self) -> Contender:
        """The same contender with our allocator settings."""
        return replace(self, name=f"{self.name}+malloc", label=f"{self.label} + malloc", our_allocator=True)


OURS = Contender(name="ours", label="**ours**", module="ours")
BASELINE = Contender(name="baseline", label="baseline: commit 3b468da", module="baseline")
_READ_OUT: tuple[Kind, str] = ("matching_fce", "other full context embeddings")
_PEERS = (
    Contender(
        name="style_2018",
        label="2018 code (stand-in)",
        module="peers.style_2018",
        strides=False,
        remarks=(_READ_OUT,),
    ),
    Contender(
        name="style_learn2learn",
        label="learn2learn (stand-in)",
        module="peers.style_learn2learn",
        kinds=("maml_order_1", "maml_order_2"),
    ),
    Contender(
        name="easyfsl",
        label="easyfsl",
        module="peers.easyfsl_metric",
        kinds=("prototypical", "matching_fce"),
        needs="easyfsl",
        remarks=(_READ_OUT, ("prototypical", "another loss: the distance is not squared")),
    ),
    Contender(name="higher", label="higher", module="peers.higher_maml", kinds=("maml_order_2",), needs="higher"),
    Contender(name="torchopt", label="torchopt", module="peers.torchopt_maml", kinds=("maml_order_2",), needs="torchopt"),
)
_FLOAT64 = replace(_PEERS[0], name="style_2018_float64", label="2018 code (stand-in), its float64", dtype="float64", rounds=2)


def _every() -> Iterator[Contender]:
    yield from (OURS, BASELINE)
    for peer in _PEERS:
        yield from (peer, peer.with_our_allocator())
    yield _FLOAT64


CONTENDERS = {contender.name: contender for contender in _every()}
"""Every contender by name, in the order of the tables."""


def contenders_of(workload: Workload) -> tuple[Contender, ...]:
    """The contenders that have a workload."""
    return tuple(contender for contender in CONTENDERS.values() if contender.has(workload))
