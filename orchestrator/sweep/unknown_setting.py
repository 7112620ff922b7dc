"""What a key that names no setting of a cell probably means: a synonym, a key of the file's top level, or a misspelling."""

from __future__ import annotations

from orchestrator.sweep.cell_settings import SETTING_NAMES
from orchestrator.sweep.document import close_to

SYNONYMS = {
    "lr": "outer_lr",
    "learning_rate": "outer_lr",
    "meta_lr": "outer_lr",
    "outer_learning_rate": "outer_lr",
    "inner_learning_rate": "inner_lr",
    "fast_lr": "inner_lr",
    "n_way": "way",
    "ways": "way",
    "k_shot": "shot",
    "n_shot": "shot",
    "shots": "shot",
    "queries": "query",
    "n_query": "query",
    "k_query": "query",
    "iterations": "steps",
    "epochs": "steps",
    "max_steps": "steps",
    "episodes": "evaluation_episodes",
    "test_episodes": "evaluation_episodes",
    "batch_size": "meta_batch_size",
    "meta_batch": "meta_batch_size",
    "tasks_per_batch": "meta_batch_size",
    "optimizer": "optimiser",
    "inner_optimizer": "inner_optimiser",
    "initialization": "initialisation",
    "normalize": "normalise",
    "inner_steps": "adaptation_steps",
    "test_adaptation_steps": "evaluation_adaptation_steps",
    "model": "backbone",
    "network": "backbone",
    "encoder": "backbone",
    "method": "algorithm",
    "metric": "distance",
    "early_stopping": "patience",
    "grad_clip": "clip_norm",
}
"""The settings by the names that papers and other libraries have for them."""
_OPTIONS = {
    "seed": "--seeds",
    "seeds": "--seeds",
    "data_root": "--data-root",
    "runs_root": "--runs-root",
    "results_root": "--results-root",
    "tracking_uri": "--tracking-uri",
    "max_concurrent": "--max-concurrent",
}
"""The options that replace keys of a file's top level."""
TOP_LEVEL = (*_OPTIONS, "name", "title", "description", "published", "short", "fallback_dataset")
"""The keys of a file outside its cells, and the singular of one."""


def unknown_setting(key: str, *, on_command_line: bool = False) -> str:
    """The problem with a key that is no setting, with the setting, the option or the place in the file that it probably means."""
    if key in TOP_LEVEL:
        return f"{key!r} is no setting of a cell; {_elsewhere(key, on_command_line)}"
    meant = SYNONYMS.get(key.lower().replace("-", "_")) or close_to(key, SETTING_NAMES)
    hint = f"did you mean {meant!r}?" if meant else "fsl plan SWEEP --settings shows the settings"
    return f"unknown setting {key!r}; {hint}"


def _elsewhere(key: str, on_command_line: bool) -> str:
    if not on_command_line:
        return f"write {'seeds' if key == 'seed' else key} at the top level of the file"
    return (
        f"use {_OPTIONS[key]}" if key in _OPTIONS else "it stands at the top level of the sweep file, and no option replaces it"
    )
