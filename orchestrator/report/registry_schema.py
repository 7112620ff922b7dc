"""The schema of a registry: which keys a file of published numbers may have and what their values may be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from fsl_core.checks import MOST_WHOLE
from fsl_core.recipe.data_settings import data_sets
from orchestrator.report.stated_settings import Count, Protocol, Strict, Variant

Kind = Literal["paper", "authors_code", "independent"]
"""Whose numbers a registry has: those of the paper that describes the method, of its authors' code run again, or of anybody's own code."""
LABEL_CHARACTERS = 18
"""The most that a registry's label may have: it heads a column of numbers."""


def _known_data_set(name: str) -> str:
    if name not in data_sets():
        raise PydanticCustomError("dataset", "accepted: {known}", {"known": ", ".join(map(repr, data_sets()))})
    return name


DatasetName = Annotated[str, AfterValidator(_known_data_set)]
"""The name of a data set, that of a plug-in among them."""


class RegistryCell(Strict):
    """One printed accuracy, as a file has it.

    ``ci95``: half the 95% interval over test episodes; ``std_seeds``: the standard deviation over ``seeds`` trainings, whose mean the
    accuracy then is. ``episodes``: of the test. ``inherits: false``: of the registry's protocol only what the cell says itself holds.
    """

    table: str
    algorithm: str
    variant: Variant = Variant()
    dataset: DatasetName
    way: Annotated[int, Field(ge=2, le=MOST_WHOLE)]
    shot: Count
    accuracy: Annotated[float, Field(gt=0, le=100)]
    ci95: Annotated[float, Field(gt=0, lt=100)] | None = None
    seeds: Count | None = None
    std_seeds: Annotated[float, Field(ge=0, lt=100)] | None = None
    decimals: Annotated[int, Field(ge=0, le=4)] = 1
    episodes: Count | None = None
    inherits: bool = True
    settings: Protocol = Protocol()
    doubt: str | None = None

    @field_validator("std_seeds")
    @classmethod
    def _is_of_several_trainings(cls, deviation: float | None, info: ValidationInfo) -> float | None:
        if deviation is not None and (info.data.get("seeds") or 1) < 2:
            raise PydanticCustomError("spread", "a deviation over trainings: seeds must say over how many, 2 at least")
        return deviation


class RegistryFile(Strict):
    """The top level of a registry. ``label`` heads its column in tables."""

    id: str
    title: str
    label: Annotated[str, Field(min_length=1, max_length=LABEL_CHARACTERS)]
    kind: Kind
    source: str
    protocols: dict[DatasetName, Protocol]
    cells: Annotated[list[RegistryCell], Field(min_length=1)]
