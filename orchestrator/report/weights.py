"""What a difference of one setting does to a verdict: everything is material but for what is listed here, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.report.published import Setting
from orchestrator.sweep.cell_settings import CellSettings

Weight = Literal["material", "budget", "noted"]
"""``material``: the two numbers answer different questions, so that nothing is compared. ``budget``: the training was shorter. ``noted``:
the same question, asked or answered a little differently; the reader should know."""


@dataclass(frozen=True, kw_only=True)
class Lighter:
    """A setting in which two runs of an ``algorithm`` (None: of any) may differ without being incomparable, and the ``reason``.

    ``where``: the cell's other settings under which that holds.
    """

    reason: str
    weight: Literal["budget", "noted"] = "noted"
    algorithm: str | None = None
    where: Mapping[str, Setting] = field(default_factory=dict)

    def holds(self, settings: CellSettings) -> bool:
        """Whether it is about a cell."""
        of_algorithm = self.algorithm in (None, settings.algorithm)
        return of_algorithm and all(getattr(settings, key) == value for key, value in self.where.items())


_SURER = "a query is answered by itself, so that more of them make the same score surer"
_UNWRITTEN_SCALE = "the cosine's text has no scale and says nothing against one"
_CODE_ALONE = "the text says nothing of it, so that a number made without it answers the text's question"
_PACE = "the same objective, approached at another pace"

LIGHTER: Mapping[str, tuple[Lighter, ...]] = {
    "distinct_characters": (Lighter(reason="few episodes hold two turns of one character"),),
    "resize": (Lighter(reason="the same drawings"),),
    "normalise": (Lighter(reason="the same photographs, and a BatchNorm follows the first convolution"),),
    "initialisation": (Lighter(reason=_CODE_ALONE),),
    "batch_norm_scale": (Lighter(reason=_CODE_ALONE),),
    "batch_norm_epsilon": (Lighter(reason=_CODE_ALONE),),
    "padding": (Lighter(reason=_CODE_ALONE),),
    "clamp": (Lighter(reason="it changes the gradient of a hopeless query alone, never an answer"),),
    "scale": (Lighter(reason=_UNWRITTEN_SCALE, where={"distance": "cosine"}),),
    "learn_scale": (Lighter(reason=_UNWRITTEN_SCALE, where={"distance": "cosine"}),),
    "outer_reduction": (Lighter(reason="Adam's step does not depend on the size of the loss", algorithm="maml"),),
    "query": (
        Lighter(reason=_SURER, algorithm="prototypical"),
        Lighter(reason=_SURER, algorithm="matching"),
        Lighter(reason=_SURER, algorithm="maml", where={"inductive": True}),
    ),
    "evaluation_episodes": (Lighter(reason="more episodes make the same score surer"),),
    "halve_every": (Lighter(reason=_PACE),),
    "first_halving": (Lighter(reason=_PACE),),
    "meta_batch_size": (Lighter(reason="a less noisy gradient of the same objective"),),
    "clip_norm": (Lighter(reason="Adam's step depends little on a gradient's size"),),
    "clip_value": (Lighter(reason=_CODE_ALONE),),
    "selection": (Lighter(reason="other weights of the same training"),),
    "retrain": (Lighter(reason="a sixth to a quarter more classes of the same data set"),),
    "matmul_precision": (Lighter(reason="the same training, rounded more coarsely; what scores is in full float32"),),
    "steps": (Lighter(reason="a shorter training says nothing of a longer one", weight="budget"),),
}
"""By the keys of sweep files."""


def weight_of(key: str, settings: CellSettings) -> Weight:
    """What a difference in one setting of a cell does to its verdict."""
    return next((each.weight for each in LIGHTER.get(key, ()) if each.holds(settings)), "material")
