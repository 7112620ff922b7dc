"""The settings that a source of published numbers can state: keys of sweep files, and some that no sweep has."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from fsl_core.checks import MOST_WHOLE
from orchestrator.sweep.cell_settings import SETTING_NAMES, descriptions, setting_kinds

Count = Annotated[int, Field(ge=1, le=MOST_WHOLE)]
_Steps = Annotated[int, Field(ge=0, le=MOST_WHOLE)]
_Rate = Annotated[float, Field(gt=0, le=1e38)]
_OWN = {"preset", "algorithm", "dataset", "way", "shot", "evaluation_seed"}
"""Settings that have their own field in a registry's cell, or that no source can state."""


class Strict(BaseModel):
    """A part of a file that rejects unknown keys and values of a wrong type."""

    model_config = ConfigDict(strict=True, extra="forbid")


class _Variant(Strict):
    """The settings that distinguish forms of one algorithm. A cell without such a setting is of any form."""

    similarity: Literal["softmax"] = "softmax"
    fine_tuned: bool = False


class _Protocol(Strict):
    """The settings that a source can state, and its further statements."""

    full_steps: Count = 1
    train_classes: Count | None = None
    unrepeatable: list[str] = []

    def stated(self) -> dict[str, bool | int | float | str | None]:
        """The settings that the file states, without defaults and further statements."""
        return self.model_dump(exclude_unset=True, exclude={"unrepeatable", "train_classes"})


def _accepted(key: str) -> Any:
    """The type of a key's values with the bounds of a count or a rate, including None where it switches a feature off."""
    kind = setting_kinds()[key]
    kinds = [each for each in (typing.get_args(kind) or (kind,)) if each is not type(None)]
    if bool in kinds or typing.get_origin(kind) is Literal:
        return kind
    if float in kinds:
        number: Any = _Rate
    elif int in kinds:
        number = _Steps if key.endswith("adaptation_steps") else Count
    else:
        return kind
    return number | None if descriptions()[key].none_is_off else number


def _fields(keys: Iterable[str]) -> dict[str, Any]:
    """Fields of a model, whose defaults are never read, because only a file's statements count."""
    return {key: (_accepted(key), None) for key in keys}


if TYPE_CHECKING:
    Variant = _Variant
    Protocol = _Protocol
else:
    _FORMS = [key for key, said in descriptions().items() if said.form and key not in _OWN]
    Variant = create_model("Variant", __base__=_Variant, **_fields(_FORMS))
    Protocol = create_model("Protocol", __base__=_Protocol, **_fields(key for key in SETTING_NAMES if key not in _OWN))
