"""What ``fsl run`` puts together before the driver starts: images, device, executor, tracker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from fsl_core.checks import MOST_SIZE
from fsl_core.errors import DataMissingError
from orchestrator.cli.opened import images_of
from orchestrator.cli.options import Command, Places, gathered
from orchestrator.errors import ExecutorError
from orchestrator.execution.executor import Executor
from orchestrator.execution.messages import Cluster
from orchestrator.execution.ray_address import given_address
from orchestrator.execution.slots import GPU_SHARE, Share
from orchestrator.launch.driver import sweep_folder
from orchestrator.sweep.plan import Plan
from orchestrator.sweep.spec import SweepSpec

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class HowToRun:
    """Who runs the trials, and on what."""

    address: str | None
    executor: Literal["ray", "in-process"]
    max_concurrent: int | None
    device: Literal["auto", "cpu", "cuda"]
    threads: int
    gpus_per_trial: float | None
    path: Path | None

    @property
    def cluster_address(self) -> str | None:
        """The address of the cluster to join; None where trials run on this machine."""
        return given_address(self.address)


_HOW = (
    click.option(
        "--address",
        envvar="RAY_ADDRESS",
        show_envvar=True,
        help="Ray cluster to run on, host:port or auto; default: a Ray of this launch's own, on this machine.",
    ),
    click.option(
        "--executor", type=click.Choice(("ray", "in-process")), default="ray", show_default=True, help="Who runs trials."
    ),
    click.option("--max-concurrent", type=click.IntRange(1, MOST_SIZE), help="Most trials at once."),
    click.option(
        "--device", type=click.Choice(("auto", "cpu", "cuda")), default="auto", show_default=True, help="Where to compute."
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, MOST_SIZE),
        default=1,
        show_default=True,
        help="CPU threads of each trial, and its CPUs.",
    ),
    click.option(
        "--gpus-per-trial",
        type=click.FloatRange(0, min_open=True),
        help=f"Of a GPU that each trial sets aside on CUDA, such as 0.1, or whole GPUs; default {GPU_SHARE:g}.",
    ),
    click.option(
        "--path",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Execution path of trials that have none yet: a file such as a trial's path.json; default: the fastest, measured once.",
    ),
)


def takes_how(command: Command) -> Command:
    """Give a command the options of :class:`HowToRun`, as its argument ``how``."""
    return gathered("how", HowToRun, _HOW)(command)


@contextmanager
def shown_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """What to tell of how many images are done, of how many: a bar on a terminal, a line each quarter elsewhere, on stderr.

    Nothing is shown before the first call.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line_each_quarter(what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = ProgressBar(*columns, console=console)
    task = bar.add_task(what)

    def show(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()


def _line_each_quarter(what: str) -> Callable[[int, int], None]:
    told = 0

    def show(done: int, total: int) -> None:
        nonlocal told
        quarter = 4 * done // total
        if quarter > told:
            click.echo(f"{what}: {done} of {total}", err=True)
        told = max(told, quarter)

    return show


def prepare_images(plan: Plan, places: Places, announce: Callable[[str], None]) -> None:
    """Find, download or prepare every data set of a plan once, and verify every byte of it, before any trial asks for it.

    Raises:
        DataError: if one cannot be had; the message says what to do.
        EpisodeError: if one has too few classes or images for some trial.
    """
    from fsl_core.datasets.catalogue import open_dataset, prepared_folder
    from fsl_core.episodes.feasibility import check_feasible

    for folder in dict.fromkeys(prepared_folder(trial.recipe.data, places.cache_root) for trial in plan.trials):
        if folder.exists():
            announce(f"verifying the images in {folder}")
    for data in dict.fromkeys(trial.recipe.data for trial in plan.trials):
        with shown_progress("images read") as progress:
            dataset = open_dataset(
                data, data_root=places.data_root, cache_root=places.cache_root, announce=announce, progress=progress
            )
        for trial in plan.trials:
            if trial.recipe.data == data:
                check_feasible(trial.recipe, trial.evaluations, dataset)


def can_have_images(spec: SweepSpec, places: Places, announce: Callable[[str], None]) -> bool:
    """Whether the sweep's data sets can be had, by a download too. Damaged files are an error, not a reason to fall back."""
    from fsl_core.datasets.catalogue import prepare

    try:
        for data in images_of(spec):
            with shown_progress("images read") as progress:
                prepare(data, data_root=places.data_root, cache_root=places.cache_root, announce=announce, progress=progress)
    except DataMissingError as error:
        announce(str(error))
        return False
    return True


def reach_cluster(how: HowToRun) -> Cluster | None:
    """What the cluster has that the command line names; None without one.

    Raises:
        ExecutorError: no cluster answers there.
    """
    if how.cluster_address is None or how.executor != "ray":
        return None
    from orchestrator.execution.cluster import describe_cluster

    return describe_cluster(how.cluster_address)


def choose_device(how: HowToRun, cluster: Cluster | None) -> Device:
    """The device that trials run on; see :func:`wanted_device`.

    Raises:
        ExecutionPathError: CUDA was asked for on this machine, which has none.
        ExecutorError: CUDA was asked for on a cluster without GPUs.
    """
    device = wanted_device(how, cluster)
    if cluster is None:
        from fsl_core.training.execution_path import ExecutionPath

        ExecutionPath(device=device).check_available()
    return device


def wanted_device(how: HowToRun, cluster: Cluster | None) -> Device:
    """The device that was asked for, be it here or not, or what ``auto`` stands for: what the cluster has, else this machine.

    Raises:
        ExecutorError: CUDA was asked for on a cluster without GPUs.
    """
    if how.device == "cpu":
        return "cpu"
    if cluster is not None:
        if how.device == "cuda" and not cluster.gpus:
            raise ExecutorError(f"device is 'cuda', but the Ray cluster at {how.cluster_address} has no GPU")
        return "cuda" if cluster.gpus else "cpu"
    if how.device == "cuda":
        return "cuda"
    from orchestrator.execution.machine import cuda_is_here

    return "cuda" if cuda_is_here() else "cpu"


def share_of_a_trial(how: HowToRun, device: Device) -> Share:
    """What each trial takes of a machine. Raises ExecutionPathError where no trial can take that."""
    return Share.of(device, threads=how.threads, gpus=how.gpus_per_trial)


def make_executor(how: HowToRun, plan: Plan, places: Places) -> Executor:
    """The executor that was asked for."""
    if how.executor == "in-process":
        from orchestrator.execution.in_process import InProcessExecutor

        return InProcessExecutor()
    from orchestrator.execution.ray_tune import RayTuneExecutor

    storage = sweep_folder(places.runs_root, plan) / "ray"
    return RayTuneExecutor(
        storage=storage, address=how.cluster_address, max_concurrent=how.max_concurrent or plan.spec.max_concurrent
    )
