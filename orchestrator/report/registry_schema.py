"""The schema of a registry, a file of published numbers: its keys and their values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from fsl_core.checks import MOST_WHOLE
from fsl_core.recipe.data_settings import data_sets
from orchestrator.report.stated_settings import Count, Protocol, Strict, Variant

RegistryKind = Literal["paper", "authors_code", "independent"]
"""The origin of a registry's numbers: the paper of the method, its authors' code run again, or independent code."""
LABEL_CHARACTERS = 18
"""The longest label of a registry, which is the heading of a column of numbers."""


def _known_data_set(name: str) -> str:
    if name not in data_sets():
        raise PydanticCustomError("dataset", "accepted: {known}", {"known": ", ".join(map(repr, data_sets()))})
    return name


DatasetName = Annotated[str, AfterValidator(_known_data_set)]
"""The name of a data set, including those of plug-ins."""


class RegistryCell(Strict):
    """One printed accuracy, as a file has it.

    ``ci95``: half the 95% interval over test episodes; ``std_seeds``: the standard deviation over ``seeds`` trainings, of which the
    accuracy is then the mean. ``episodes``: of the test. ``inherits: false``: the registry's protocol does not apply to this cell.
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
            raise PydanticCustomError("spread", "a deviation over trainings: seeds must give their number, at least 2")
        return deviation


class RegistryFile(Strict):
    """The top level of a registry. ``label`` is the heading of its column in tables."""

    id: str
    title: str
    label: Annotated[str, Field(min_length=1, max_length=LABEL_CHARACTERS)]
    kind: RegistryKind
    source: str
    protocols: dict[DatasetName, Protocol]
    cells: Annotated[list[RegistryCell], Field(min_length=1)]
