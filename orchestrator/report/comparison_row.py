"""A row of a table with every answer behind it, as comparisons need it: read from exports, of today or of the first edition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from fsl_core.datasets.class_names import character_of
from orchestrator.errors import ExportError
from orchestrator.report.export_columns import RENAMED_SETTINGS
from orchestrator.sweep.cell_settings import SETTING_NAMES

Pairing = Literal["episodes", "evaluation"]
"""By what two rows are known to answer the same episodes: the episodes' own digest, or evaluation and images."""

_TABLES = ("cells", "trials", "episodes")
_SCORE_COLUMNS = {
    "query": "query_per_class",
    "evaluation_adaptation_steps": "adaptation_steps",
    "inductive": "inductive",
}
"""Settings of how a cell is scored by their columns in ``episodes``; a column of that name in ``trials`` is of the training."""
_TEST_CLASSES = ("dataset", "split", "rotations")


@dataclass(frozen=True)
class Questions:
    """What the trials of a row were asked.

    ``digest`` names the frozen episodes; None in exports from before it was written. ``derived_from`` is what they follow from where the
    same code draws them: the evaluation, the images, the class split. ``count`` is how many there are.
    """

    digest: str | None
    derived_from: tuple[str, ...]
    count: int

    def pairing(self, other: Questions) -> Pairing | None:
        """By what these are the same questions as others; None: they are not, or nobody can tell."""
        if self.count != other.count:
            return None
        if self.digest is not None and other.digest is not None:
            return "episodes" if self.digest == other.digest else None
        if self.digest is None and other.digest is None and self.derived_from == other.derived_from:
            return "evaluation"
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedRow:
    """One row of a table.

    ``number`` is its place in its table, from 1. ``settings`` are keys of sweep files with their values, as far as the exports say
    them. ``by_seed``: for each finished seed the accuracies of its episodes in percent, float64 ``[E]``; of seeds that were asked
    other questions than the first, none. ``trials`` are their ids, ``evaluation`` is that of how they are scored. ``classes``: int64
    ``[E, way]``, a number for each class that its turns share; None in exports from before they were written.
    """

    table: str
    number: int
    cell: str
    name: str
    settings: Mapping[str, object]
    questions: Questions | None
    by_seed: Mapping[int, np.ndarray]
    trials: tuple[str, ...] = ()
    evaluation: str | None = None
    classes: np.ndarray | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The finished seeds."""
        return tuple(self.by_seed)

    @property
    def accuracy(self) -> float | None:
        """The mean over seeds and episodes, in percent; None without a finished seed."""
        return float(np.mean([each.mean() for each in self.by_seed.values()])) if self.by_seed else None


def read_rows(folder: Path, name: str | None = None) -> tuple[ComparedRow, ...]:
    """The rows of a results folder, or of any folder of Parquet exports; ``name`` is what the table is called, by default as the folder.

    Raises:
        ExportError: a table is missing there, or is not one of these exports.
    """
    tables: dict[str, pd.DataFrame] = {}
    for export in _TABLES:
        path = folder / f"{export}.parquet"
        try:
            tables[export] = pd.read_parquet(path)
        except FileNotFoundError as error:
            raise ExportError(
                f"{folder} has no {path.name}; a folder to compare holds {', '.join(_TABLES)} as Parquet"
            ) from error
        except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
            raise ExportError(f"{path} cannot be read ({type(error).__name__})") from error
    try:
        return rows_of_tables(tables, name or folder.name)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(f"{folder} does not hold exports of a table ({type(error).__name__}: {error})") from error


def rows_of_tables(tables: Mapping[str, pd.DataFrame], name: str) -> tuple[ComparedRow, ...]:
    """The rows of a table called ``name``, from its exports ``cells``, ``trials`` and ``episodes``."""
    trials = tables["trials"].set_index("trial_id")
    scores = {
        key: part.sort_values("episode") for key, part in tables["episodes"].groupby(["trial_id", "evaluation_id"], sort=False)
    }
    return tuple(_row(name, number, cell, trials, scores) for number, (_, cell) in enumerate(tables["cells"].iterrows(), 1))


def _row(
    table: str,
    number: int,
    cell: pd.Series[Any],
    trials: pd.DataFrame,
    scores: Mapping[Any, pd.DataFrame],
) -> ComparedRow:
    known = {
        trial: scores[trial, cell["evaluation_id"]] for trial in cell["trial_ids"] if (trial, cell["evaluation_id"]) in scores
    }
    asked = {trial: _questions(part, trials.loc[trial]) for trial, part in known.items()}
    first = next(iter(asked.values()), None)
    alike = {trial: part for trial, part in known.items() if asked[trial] == first}
    recipe, any_score = trials.loc[cell["trial_ids"][0]], next(iter(alike.values()), None)
    return ComparedRow(
        table=table,
        number=number,
        cell=str(cell["cell_id"]),
        name=f"{cell['algorithm']} {cell['variant']} · {cell['dataset']} {cell['way']}-way {cell['shot']}-shot",
        settings=_settings(cell, recipe, any_score),
        questions=first,
        by_seed={int(part["seed"].iloc[0]): part["accuracy_percent"].to_numpy(np.float64) for part in alike.values()},
        trials=tuple(alike),
        evaluation=str(cell["evaluation_id"]),
        classes=None if any_score is None else _classes(any_score),
    )


def _classes(episodes: pd.DataFrame) -> np.ndarray | None:
    if "class_ids" not in episodes:
        return None
    names = np.stack([np.asarray(own, dtype=str) for own in episodes["class_ids"]])
    characters = [character_of(name) for name in names.ravel().tolist()]
    return np.unique(characters, return_inverse=True)[1].reshape(names.shape)


def _questions(episodes: pd.DataFrame, trial: pd.Series[Any]) -> Questions:
    digest = episodes["episodes_digest"].iloc[0] if "episodes_digest" in episodes else None
    data = (str(trial[name]) for name in ("data_digest", *_TEST_CLASSES))
    return Questions(None if digest is None else str(digest), (str(episodes["evaluation_id"].iloc[0]), *data), len(episodes))


def _settings(cell: pd.Series[Any], recipe: pd.Series[Any], episodes: pd.DataFrame | None) -> dict[str, object]:
    """The settings by their keys in sweep files, in the order of these; what is missing is left out."""
    found: dict[str, Any] = {"way": cell["way"], "shot": cell["shot"], "preset": cell.get("preset")}
    if episodes is not None:
        found |= {key: episodes[column].iloc[0] for key, column in _SCORE_COLUMNS.items() if column in episodes} | {
            "evaluation_episodes": len(episodes)
        }
    for key in SETTING_NAMES:
        column = RENAMED_SETTINGS.get(key, key)
        if key not in found and key not in _SCORE_COLUMNS and column in recipe:
            found[key] = recipe[column]
    return {key: _plain(found[key]) for key in SETTING_NAMES if key in found and not pd.isna(found[key])}


def _plain(value: Any) -> object:
    return value.item() if isinstance(value, np.generic) else value
