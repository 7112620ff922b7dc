"""Lists the differences between a cell's protocol and that of a published number, in words."""

from __future__ import annotations

from dataclasses import dataclass

from fsl_core.datasets.class_counts import class_counts
from fsl_core.recipe.setting import Weight
from fsl_core.written import written
from orchestrator.report.published import FULL_STEPS, PublishedCell
from orchestrator.report.weights import weight_of
from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings, defaults_beside, descriptions


@dataclass(frozen=True)
class Difference:
    """One setting that differs from the published one."""

    text: str
    weight: Weight


def differences(settings: CellSettings, published: PublishedCell) -> tuple[Difference, ...]:
    """Every setting in which the cell differs from the source, in the order of sweep files' keys, and what no cell can repeat."""
    settable = (difference for key in SETTING_NAMES for difference in _compare(key, settings, published))
    return (
        *settable,
        *_train_classes(settings, published),
        *(Difference(f"published: {text}", "noted") for text in published.unrepeatable),
    )


def _compare(key: str, settings: CellSettings, published: PublishedCell) -> list[Difference]:
    if key not in published.settings:
        return _unstated(key, settings, published)
    if not settings.has(key):
        return []
    ours, theirs = getattr(settings, key), published.settings[key]
    if ours == theirs:
        return []
    if key == "steps" and isinstance(ours, int) and isinstance(theirs, int) and ours > theirs:
        return [Difference(f"steps {ours}, published {theirs}", "noted")]
    if key == "retrain":
        text = "trained on meta-train classes alone, published with meta-validation classes added"
        return [Difference(text if theirs else "meta-validation classes added, published without", weight_of(key, settings))]
    if key == "inductive":
        said = {True: "inductively", False: "transductively"}
        return [Difference(f"scored {said[ours]}, published {said[bool(theirs)]}", weight_of(key, settings))]
    return [Difference(f"{key} {written(ours)}, published {written(theirs)}", weight_of(key, settings))]


def _unstated(key: str, settings: CellSettings, published: PublishedCell) -> list[Difference]:
    """The differences in settings that the source does not state: fewer steps than a full training, or no presumed default."""
    if key == "steps":
        return _shortfall(settings, published)
    ours = getattr(settings, key)
    if not descriptions()[key].presumed or not settings.has(key) or ours == defaults_beside(vars(settings)).get(key):
        return []
    return [Difference(f"{key} {written(ours)}, published without a word of it", weight_of(key, settings))]


def _train_classes(settings: CellSettings, published: PublishedCell) -> list[Difference]:
    """The difference in the number of training classes, which includes meta-validation with ``retrain``."""
    counts = class_counts(settings.data())
    if counts is None:
        return []
    ours = counts.characters["meta_train"] + (counts.characters["meta_validation"] if settings.retrain else 0)
    if published.train_classes in (None, ours):
        return []
    return [Difference(f"train_classes {ours}, published {published.train_classes}", "noted")]


def _shortfall(settings: CellSettings, published: PublishedCell) -> list[Difference]:
    full = published.settings.get(FULL_STEPS)
    if not isinstance(full, int) or settings.steps >= full:
        return []
    return [Difference(f"steps {settings.steps}, a full training has {full}", "budget")]
