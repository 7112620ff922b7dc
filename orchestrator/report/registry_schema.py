"""The schema of a registry: which keys a file of published numbers may have and what their values may be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from fsl_core.checks import MOST_WHOLE
from fsl_core.recipe.data_settings import DatasetName, Resize
from fsl_core.recipe.matmul_precision import MatmulPrecision
from fsl_core.training.model_selection import Selection

Kind = Literal["paper", "authors_code", "independent"]
"""Whose numbers a registry has: those of the paper that describes the method, of its authors' code run again, or of anybody's own code."""
LABEL_CHARACTERS = 18
"""The most that a registry's label may have: it heads a column of numbers."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Variant(_Strict):
    """What sets two forms of one algorithm apart. A cell without such a setting is of any form."""

    distance: Literal["squared_euclidean", "cosine"] = "squared_euclidean"
    similarity: Literal["softmax"] = "softmax"
    fce: bool = False
    fine_tuned: bool = False
    order: Literal[1, 2] = 1
    backbone: Literal["conv4", "mlp"] = "conv4"
    transductive: bool = False  # of Reptile, which no sweep here trains


_Count = Annotated[int, Field(ge=1, le=MOST_WHOLE)]
_Rate = Annotated[float, Field(gt=0, le=1e38)]


class Protocol(_Strict):
    """The settings that a source can state: the keys of sweep files that can be unlike it."""

    split: str = ""
    rotations: bool = True
    distinct_characters: bool = False
    resize: Resize = "antialiased"
    normalise: bool = True
    scale: _Rate = 1.0
    query: _Count = 1
    evaluation_episodes: _Count = 1
    train_way: _Count = 1
    train_shot: _Count = 1
    train_query: _Count = 1
    steps: _Count = 1
    full_steps: _Count = 1
    meta_batch_size: _Count = 1
    outer_lr: _Rate = 1.0
    halve_every: _Count | None = None
    first_halving: _Count | None = None
    selection: Selection = "loss"
    filters: _Count = 1
    retrain: bool = False
    matmul_precision: MatmulPrecision = "float32"
    learn_scale: bool = False
    reading_steps: _Count = 1
    clamp: _Rate | None = None
    adaptation_steps: _Count = 1
    evaluation_adaptation_steps: _Count = 1
    inductive: bool = False
    inner_lr: _Rate = 1.0
    inner_reduction: Literal["mean", "sum_over_shot"] = "mean"
    outer_reduction: Literal["mean", "sum_over_shot"] = "mean"
    adapt_batch_norm: bool = True
    clip_norm: _Rate | None = None
    clip_value: _Rate | None = None
    backbone: Literal["conv4", "mlp"] = "conv4"
    downsampling: Literal["max_pool", "stride"] = "max_pool"
    train_classes: _Count | None = None
    padding: Literal["symmetric", "same"] = "symmetric"
    batch_norm_scale: bool = True
    batch_norm_epsilon: _Rate = 1e-5
    initialisation: Literal["fan_in", "finn_2017"] = "fan_in"
    unrepeatable: list[str] = []

    def stated(self) -> dict[str, bool | int | float | str | None]:
        """The settings that the file states, never a default, and nothing that is no setting."""
        return self.model_dump(exclude_unset=True, exclude={"unrepeatable", "train_classes"})


class RegistryCell(_Strict):
    """One printed accuracy, as a file has it.

    ``ci95``: half the 95% interval over test episodes; ``std_seeds``: the standard deviation over ``seeds`` trainings, whose mean the
    accuracy then is. ``episodes``: of the test. ``inherits: false``: of the registry's protocol only what the cell says itself holds.
    """

    table: str
    algorithm: str
    variant: Variant = Variant()
    dataset: DatasetName
    way: Annotated[int, Field(ge=2, le=MOST_WHOLE)]
    shot: _Count
    accuracy: Annotated[float, Field(gt=0, le=100)]
    ci95: Annotated[float, Field(gt=0, lt=100)] | None = None
    seeds: _Count | None = None
    std_seeds: Annotated[float, Field(ge=0, lt=100)] | None = None
    decimals: Annotated[int, Field(ge=0, le=4)] = 1
    episodes: _Count | None = None
    inherits: bool = True
    settings: Protocol = Protocol()
    doubt: str | None = None

    @field_validator("std_seeds")
    @classmethod
    def _is_of_several_trainings(cls, deviation: float | None, info: ValidationInfo) -> float | None:
        if deviation is not None and (info.data.get("seeds") or 1) < 2:
            raise PydanticCustomError("spread", "a deviation over trainings: seeds must say over how many, 2 at least")
        return deviation


class RegistryFile(_Strict):
    """The top level of a registry. ``label`` heads its column in tables."""

    id: str
    title: str
    label: Annotated[str, Field(min_length=1, max_length=LABEL_CHARACTERS)]
    kind: Kind
    source: str
    protocols: dict[DatasetName, Protocol]
    cells: Annotated[list[RegistryCell], Field(min_length=1)]
