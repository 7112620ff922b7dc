"""Reads rows with the accuracy of every episode, for comparisons, from exports of this or the first edition."""

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
"""The evidence that two rows have the same episodes: the digest of the episodes, or evaluation and images."""

_TABLES = ("cells", "trials", "episodes")
_SCORE_COLUMNS = {
    "query": "query_per_class",
    "evaluation_adaptation_steps": "adaptation_steps",
    "inductive": "inductive",
}
"""The columns of settings of the evaluation in ``episodes``; columns of these names in ``trials`` are of the training."""
_TEST_CLASSES = ("dataset", "split", "rotations")


@dataclass(frozen=True)
class Questions:
    """The test episodes of a row's trials.

    ``digest`` names the frozen episodes; None in exports of earlier versions. ``derived_from`` determines them if the same code samples
    them: the evaluation, the images, the class split. ``count`` is their number.
    """

    digest: str | None
    derived_from: tuple[str, ...]
    count: int

    def pairing(self, other: Questions) -> Pairing | None:
        """The evidence that both are the same episodes; None: they are not, or it is unknown."""
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

    ``number`` is its place in its table, from 1. ``settings`` are the exported settings by their keys in sweep files. ``by_seed``: the
    accuracies of the episodes of each finished seed in percent, float64 ``[E]``, without seeds that have other episodes than the first.
    ``trials`` are the ids of the trials, ``evaluation`` that of the evaluation. ``classes``: int64 ``[E, way]``, a number per class,
    equal for its turns; None in exports of earlier versions.
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
    def episodes(self) -> int:
        """The number of test episodes; 0 without a finished seed."""
        return min(map(len, self.by_seed.values()), default=0)

    @property
    def accuracy(self) -> float | None:
        """The mean over seeds and episodes, in percent; None without a finished seed."""
        return float(np.mean([each.mean() for each in self.by_seed.values()])) if self.by_seed else None


def read_rows(folder: Path, name: str | None = None) -> tuple[ComparedRow, ...]:
    """The rows of a folder of Parquet exports; ``name`` is the table's, by default the folder's.

    Raises:
        ExportError: a table is missing, or is not such an export.
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
    """The settings by their keys in sweep files, in that order, without missing ones."""
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
