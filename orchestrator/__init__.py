"""Few-shot sweeps: a sweep file in, the paper's table out. ``import orchestrator as fsl`` has a call for each command.

Each call is imported when it is first used, so that this import loads none of torch, pandas, Ray and click.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.api.comparing import Comparisons, compare
    from orchestrator.api.exporting import Exports, export
    from orchestrator.api.loading import load
    from orchestrator.api.planning import PlannedSweep, plan
    from orchestrator.api.running import SweepRun, run
    from orchestrator.api.statuses import SweepStatus, status
    from orchestrator.api.tables import Table, table
    from orchestrator.launch.callbacks import Callbacks, SweepWarning
    from orchestrator.launch.launching import LaunchHooks
    from orchestrator.launch.workspace import Sweep, Workspace

__all__ = [
    "Callbacks",
    "Comparisons",
    "Exports",
    "LaunchHooks",
    "PlannedSweep",
    "Sweep",
    "SweepRun",
    "SweepStatus",
    "SweepWarning",
    "Table",
    "Workspace",
    "compare",
    "export",
    "load",
    "plan",
    "run",
    "status",
    "table",
]

_MODULES: Mapping[str, Callable[[], ModuleType]] = {
    "Callbacks": lambda: import_module("orchestrator.launch.callbacks"),
    "Comparisons": lambda: import_module("orchestrator.api.comparing"),
    "Exports": lambda: import_module("orchestrator.api.exporting"),
    "LaunchHooks": lambda: import_module("orchestrator.launch.launching"),
    "PlannedSweep": lambda: import_module("orchestrator.api.planning"),
    "Sweep": lambda: import_module("orchestrator.launch.workspace"),
    "SweepRun": lambda: import_module("orchestrator.api.running"),
    "SweepStatus": lambda: import_module("orchestrator.api.statuses"),
    "SweepWarning": lambda: import_module("orchestrator.launch.callbacks"),
    "Table": lambda: import_module("orchestrator.api.tables"),
    "Workspace": lambda: import_module("orchestrator.launch.workspace"),
    "compare": lambda: import_module("orchestrator.api.comparing"),
    "export": lambda: import_module("orchestrator.api.exporting"),
    "load": lambda: import_module("orchestrator.api.loading"),
    "plan": lambda: import_module("orchestrator.api.planning"),
    "run": lambda: import_module("orchestrator.api.running"),
    "status": lambda: import_module("orchestrator.api.statuses"),
    "table": lambda: import_module("orchestrator.api.tables"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562), and keep it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_MODULES[name](), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
