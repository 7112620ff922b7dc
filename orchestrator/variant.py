"""What sets one form of an algorithm apart from its others, in the words of tables and plans."""

from __future__ import annotations

from collections.abc import Sequence

from fsl_core.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings
from fsl_core.backbone_settings import BackboneSettings, MlpSettings
from orchestrator.cell_settings import SETTING_NAMES, CellSettings

_DISTANCES = {"squared_euclidean": "squared Euclidean", "cosine": "cosine"}
_AXES = {"algorithm", "dataset", "split", "rotations", "way", "shot", "order"}
"""What a table shows in columns of its own, or that follows from them."""


def form_of(algorithm: AlgorithmSettings, backbone: BackboneSettings) -> str:
    """The form of an algorithm as it trains: ``cosine, scale 10, FCE``, or ``order 2, MLP``."""
    if isinstance(algorithm, MamlSettings):
        parts = [f"order {algorithm.order}"]
    else:
        parts = [_DISTANCES[algorithm.distance]]
        learns = isinstance(algorithm, MatchingSettings) and algorithm.learn_scale
        if learns or algorithm.scale != 1:
            parts.append(f"{'learned ' if learns else ''}scale {algorithm.scale:g}")
        if isinstance(algorithm, MatchingSettings) and algorithm.fce:
            parts.append("FCE")
    return ", ".join(parts + (["MLP"] if isinstance(backbone, MlpSettings) else []))


def variants(cells: Sequence[CellSettings]) -> tuple[str, ...]:
    """For each cell what sets it apart in the table, beside its columns.

    The form of its algorithm comes first; a setting in which cells that would read the same differ follows by its name.
    """
    plain = [_plain_variant(cell) for cell in cells]
    keys = [(variant, *(getattr(cell, name) for name in sorted(_AXES))) for cell, variant in zip(cells, plain, strict=True)]
    alike = {key: [cell for cell, other in zip(cells, keys, strict=True) if other == key] for key in set(keys)}
    return tuple(
        ", ".join(part for part in (variant, _apart(cell, alike[key])) if part)
        for cell, variant, key in zip(cells, plain, keys, strict=True)
    )


def _plain_variant(cell: CellSettings) -> str:
    recipe = cell.recipe(0)
    form = form_of(recipe.algorithm, recipe.backbone)
    if cell.order is None:
        return form
    after = f"{cell.evaluation_adaptation_steps} adaptation step{'' if cell.evaluation_adaptation_steps == 1 else 's'}"
    return ", ".join([*form.split(", ")[1:], after])  # the order has a column of its own


def _apart(cell: CellSettings, among: Sequence[CellSettings]) -> str:
    differing = [name for name in SETTING_NAMES if len({getattr(other, name) for other in among}) > 1]
    if "steps" in differing and [other.steps for other in among if other.steps == 0] == [cell.steps]:
        return "untrained"
    if len(differing) > 1 and len({other.preset for other in among}) == len(among):
        return f"preset {cell.preset}"
    brief = [name for name in differing if name != "train_query" and not name.startswith("validation_")]
    told = brief if len({tuple(getattr(other, name) for name in brief) for other in among}) == len(among) else differing
    return ", ".join(f"{name} {getattr(cell, name)}" for name in told)
