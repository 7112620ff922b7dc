"""The keys of sweep files for the fields of recipes and evaluations, and for the errors that name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fsl_core.errors import SettingError

FILLED_FROM: Mapping[str, str] = {
    "train_way": "way",
    "train_shot": "shot",
    "validation_way": "train_way",
    "validation_shot": "train_shot",
    "evaluation_adaptation_steps": "adaptation_steps",
    "validation_adaptation_steps": "evaluation_adaptation_steps",
    "inductive": "algorithm",
    "batch_norm": "algorithm",
    "rotations": "dataset",
    "resize": "dataset",
    "normalise": "dataset",
}
"""The key that decides what another one is where it is not given itself."""
_PREFIXES = {
    "episode.": "train_",
    "validation.shape.": "validation_",
    "validation.": "validation_",
    "evaluation.shape.": "",
    "evaluation.": "evaluation_",
}
_KEYS = {"validation.patience": "patience", "validation.selection": "selection", "evaluation.inductive": "inductive"}


def key_of(field: str) -> str:
    """The key of a field by its path in a recipe, or by ``evaluation.`` and its path in an evaluation."""
    if field in _KEYS:
        return _KEYS[field]
    prefix = next((prefix for prefix in _PREFIXES if field.startswith(prefix)), None)
    return _PREFIXES[prefix] + field.removeprefix(prefix) if prefix else field.rpartition(".")[2]


@contextmanager
def named_by_key() -> Iterator[None]:
    """Errors of settings that are raised inside name them by their keys."""
    try:
        yield
    except SettingError as error:
        raise error.renamed(key_of) from error
