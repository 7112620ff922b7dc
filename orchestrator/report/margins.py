"""Reads the assumptions of verdicts: margins of equivalence, and errors that neither side reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.report.episode_spread import EpisodeSpread
from orchestrator.report.registry_schema import DatasetName
from orchestrator.report.seed_spread import SeedSpread, Trainings, pooled


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """The file of margins.

    ``points``: the largest difference of equivalent accuracies, by data set and way. ``spreads``: the spread over trainings that others
    measured, by data set and algorithm (None: any). ``answers``: the correlation of the answers of an episode, by data set. ``episodes``,
    ``query``: the test of a published number whose source does not state it. A missing entry is unknown.
    """

    points: Mapping[tuple[str, int], float] = field(default_factory=dict)
    spreads: Mapping[tuple[str, str | None], SeedSpread] = field(default_factory=dict)
    answers: Mapping[str, EpisodeSpread] = field(default_factory=dict)
    episodes: int = 600
    query: int = 5

    def spread(self, dataset: str, algorithm: str) -> SeedSpread | None:
        """The spread over trainings that others measured for the algorithm, else for any on the data set."""
        return self.spreads.get((dataset, algorithm)) or self.spreads.get((dataset, None))


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


_Points = Annotated[float, Field(gt=0, lt=100)]
_Count = Annotated[int, Field(ge=1, le=1_000_000)]


class _Margin(_Strict):
    dataset: DatasetName
    way: int
    points: _Points


class _Trainings(_Strict):
    accuracy: _Points
    std: Annotated[float, Field(ge=0, lt=100)]
    seeds: Annotated[int, Field(ge=2, le=1_000_000)]


class _Spread(_Strict):
    dataset: DatasetName
    algorithm: str | None = None
    freedom: Annotated[float, Field(ge=1, le=1_000_000)]
    trainings: Annotated[list[_Trainings], Field(min_length=1)]

    def value(self) -> SeedSpread:
        spread = pooled([Trainings(**each.model_dump()) for each in self.trainings], "prior")
        assert spread is not None
        return dataclasses.replace(spread, freedom=self.freedom)


class _Answers(_Strict):
    dataset: DatasetName
    correlation: Annotated[float, Field(ge=0, lt=1)]


class _Test(_Strict):
    episodes: _Count
    query: _Count


class MarginsFile(_Strict):
    """The schema of the file of margins: its keys and their values."""

    margins: list[_Margin]
    spreads: list[_Spread] = []
    answers: list[_Answers] = []
    unstated: _Test | None = None

    def repeated_key(self) -> str | None:
        """The key of a list with two entries for the same cells; None where there is none."""
        keys: dict[str, list[tuple[object, ...]]] = {
            "margins": [(each.dataset, each.way) for each in self.margins],
            "spreads": [(each.dataset, each.algorithm) for each in self.spreads],
            "answers": [(each.dataset,) for each in self.answers],
        }
        return next((name for name, listed in keys.items() if len(set(listed)) < len(listed)), None)

    def assumptions(self) -> Assumptions:
        """The content of the file."""
        return Assumptions(
            points={(each.dataset, each.way): each.points for each in self.margins},
            spreads={(each.dataset, each.algorithm): each.value() for each in self.spreads},
            answers={each.dataset: EpisodeSpread(each.correlation) for each in self.answers},
            **({} if self.unstated is None else self.unstated.model_dump()),
        )
