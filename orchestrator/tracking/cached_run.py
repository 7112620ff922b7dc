"""Caches the state of a run in MLflow, so that nothing is sent twice."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.tracking.run_view import Point, curve_points


@dataclass
class CachedRun:
    """A run as it was read at the launch, updated with everything sent since. ``waiting`` points are not sent yet.

    ``sent_at`` is the time of the last transfer of points, at first the time at which the run was created or read: a trial of a
    second or two sends its record alone.
    """

    run_id: str
    started_ms: int
    status: str
    tags: dict[str, str]
    params: set[str]
    has_dataset: bool
    waiting: list[Point] = field(default_factory=list)
    sent_at: float = field(default_factory=time.monotonic)

    def missing_params(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """The parameters that the run lacks. MLflow cannot change a parameter."""
        return {key: value for key, value in wanted.items() if key not in self.params}

    def changed_tags(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """The tags that the run lacks or has with another value."""
        return {key: value for key, value in wanted.items() if self.tags.get(key) != value}

    def add_points(self, step: int, metrics: Mapping[str, float], every_seconds: float) -> bool:
        """Add a step's metrics to the waiting points; true when ``every_seconds`` have passed since the last were sent."""
        self.waiting.extend(curve_points(step, metrics))
        return time.monotonic() - self.sent_at >= every_seconds

    def take_waiting(self) -> list[Point]:
        """Return the waiting points, and count them as sent now."""
        points, self.waiting, self.sent_at = self.waiting, [], time.monotonic()
        return points
