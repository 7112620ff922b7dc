"""The kinds of values in the records of a launch, as pydantic checks them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from fsl_core.plain_values import time_with_zone
from fsl_core.training.result import MOST_STEPS

Count = Annotated[int, Field(ge=0, le=MOST_STEPS)]
"""A number of trials or steps."""
Seconds = Annotated[float, Field(ge=0, le=1e12)]
"""A duration."""
Time = Annotated[str, AfterValidator(lambda text: time_with_zone(text, "at"))]
"""A time, ISO with its zone."""
