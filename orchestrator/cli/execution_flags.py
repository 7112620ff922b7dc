"""The options about who runs trials, on what, and how their time is predicted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from fsl_core.checks import MOST_SIZE
from orchestrator.cli.options import Command, Decorator, gathered
from orchestrator.execution.catalogue import EXECUTORS
from orchestrator.execution.compute import GPU_SHARE
from orchestrator.launch.execution_options import ExecutionOptions
from orchestrator.launch.forecasting import ProbingOptions

_EXECUTION: Mapping[str, Decorator] = {
    "address": click.option(
        "--address",
        envvar="RAY_ADDRESS",
        show_envvar=True,
        help="Ray cluster to run on, host:port or auto; default: a Ray of this launch's own, on this machine.",
    ),
    "executor": click.option(
        "--executor", type=click.Choice(tuple(EXECUTORS)), default="ray", show_default=True, help="Who runs trials."
    ),
    "max_concurrent": click.option("--max-concurrent", type=click.IntRange(1, MOST_SIZE), help="Most trials at once."),
    "device": click.option(
        "--device", type=click.Choice(("auto", "cpu", "cuda")), default="auto", show_default=True, help="Where to compute."
    ),
    "threads": click.option(
        "--threads",
        type=click.IntRange(1, MOST_SIZE),
        default=1,
        show_default=True,
        help="CPU threads of each trial, and its CPUs.",
    ),
    "gpus_per_trial": click.option(
        "--gpus-per-trial",
        type=click.FloatRange(0, min_open=True),
        help=f"Of a GPU that each trial sets aside on CUDA, such as 0.1, or whole GPUs; default by memory, at least {GPU_SHARE:g}.",
    ),
    "path": click.option(
        "--path",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Execution path of trials that have none yet: a file such as a trial's path.json; default: the fastest, measured once.",
    ),
    "seeds_together": click.option(
        "--seeds-together",
        type=click.IntRange(1, MOST_SIZE),
        help="Most seeds of a recipe that one process trains on CUDA, in the same steps if that is faster; default: as many as "
        "never delay the sweep.",
    ),
}
_PROBING: Mapping[str, Decorator] = {
    "no_probe": click.option("--no-probe", is_flag=True, help="Time nothing: what never ran here stays unknown."),
    "fresh": click.option(
        "--fresh", is_flag=True, help="Predict by new probes alone, not by earlier trials and remembered probes."
    ),
}


def execution_options(command: Command) -> Command:
    """Give a command the options of :class:`ExecutionOptions`, as its argument ``execution``."""
    return gathered("execution", ExecutionOptions, _EXECUTION)(command)


def probing_options(command: Command) -> Command:
    """Give a command the options of :class:`ProbingOptions`, as its argument ``probing``."""
    return gathered("probing", ProbingOptions, _PROBING)(command)
