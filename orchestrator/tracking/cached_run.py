"""What the driver knows of a run in MLflow, and so what need not be sent to it again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.tracking.run_view import Point, curve_points


@dataclass
class CachedRun:
    """A run as it was read at the launch, kept up to date with what was sent since. ``waiting`` points are not sent yet."""

    run_id: str
    started_ms: int
    status: str
    tags: dict[str, str]
    params: set[str]
    has_dataset: bool
    waiting: list[Point] = field(default_factory=list)
    sent_at: float = 0.0

    def missing_params(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """The parameters that are not there. One that is there cannot be changed in MLflow."""
        return {key: value for key, value in wanted.items() if key not in self.params}

    def changed_tags(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """The tags that are missing or have another value."""
        return {key: value for key, value in wanted.items() if self.tags.get(key) != value}

    def add_points(self, step: int, metrics: Mapping[str, float], every_seconds: float) -> bool:
        """Let a step's metrics wait; true when the last points were sent so long ago that it is time again."""
        self.waiting.extend(curve_points(step, metrics))
        return time.monotonic() - self.sent_at >= every_seconds

    def take_waiting(self) -> list[Point]:
        """The points that wait, which are taken as sent now."""
        points, self.waiting, self.sent_at = self.waiting, [], time.monotonic()
        return points
