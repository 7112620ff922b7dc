"""The process that runs Ray: connects, has Tune schedule the trials, and passes on what happens. The only module that imports ray.

It is started by :mod:`orchestrator.execution.ray_process`, so that the death of a part of Ray, which ends this process without a word,
ends nothing else. Tune schedules and nothing more: every launch gives it a
fresh grid of the jobs that are missing, the store decides what is missing, and a trial resumes from its own checkpoint. So Tune's
experiment state is thrown away after use.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError

from fsl_core.code_digest import code_digest
from orchestrator.execution.job import TrialJob
from orchestrator.execution.messages import Cluster, DescribeCluster, End, GivenUp, Hello, Phase, RunTrials, WorkerDied
from orchestrator.execution.ray_environment import QUIET, WORKER
from orchestrator.execution.reports import WORKER_DEATHS_FORGIVEN
from orchestrator.execution.session_folder import RAYS_FOLDER
from orchestrator.slots import Node

Send = Callable[[object], None]


def main(descriptor: int) -> None:
    """Do what the driver asks over the pipe with this file descriptor, and end."""
    connection = Connection(descriptor)
    connection.send(Hello(code_digest=code_digest()))
    request = connection.recv()
    threading.Thread(target=_die_with_the_driver, args=(connection,), daemon=True).start()
    connection.send(_answer(request, connection.send))
    ray.shutdown()


def _die_with_the_driver(connection: Connection) -> None:
    """End at once when the other end of the pipe is gone: the driver says nothing more while it lives."""
    connection.poll(None)
    os.kill(os.getpid(), signal.SIGKILL)


def _answer(request: object, send: Send) -> object:
    if isinstance(request, DescribeCluster):
        return _connect(request.address, send) or _describe()
    assert isinstance(request, RunTrials)
    return (_connect(request.address, send) if request.address else _start(request, send)) or _fit(request, send)


def _connect(address: str, send: Send) -> End | None:
    send(Phase(f"connecting to the Ray cluster at {address}", waits_for="cluster"))
    try:
        ray.init(address=address, runtime_env={"env_vars": {**QUIET, **WORKER}}, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of many kinds: nothing answers, another version of Ray, a wrong token
        return End("refused", f"the Ray cluster at {address} cannot be joined: {_first_line(error)}")
    send(Phase("Ray is connected"))
    return None


def _describe() -> Cluster:
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return Cluster(nodes=tuple(Node(cpus=int(have.get("CPU", 0)), gpus=int(have.get("GPU", 0))) for have in alive))


def _start(request: RunTrials, send: Send) -> End | None:
    send(Phase("starting Ray", waits_for="start"))
    try:
        ray.init(
            address="local",  # without it Ray would join any cluster that runs on this machine
            num_cpus=request.cpus,
            include_dashboard=False,
            object_store_memory=200 * 2**20,
            runtime_env={"env_vars": {**QUIET, **WORKER}},
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(request.session / RAYS_FOLDER),
        )
    except Exception as error:  # Ray has no class of its own for a node that does not come up
        slow = "timed out during startup" in str(error)
        why = "Ray did not start in time: this machine is too busy, or ended a part of Ray"
        return End("refused", why if slow else f"Ray: {_first_line(error)}")
    send(Phase("Ray is up; its first workers start"))
    return None


def _fit(request: RunTrials, send: Send) -> End:
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    jobs = {job.fingerprint: job for job in request.jobs}
    first = request.jobs[0]
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trainable, jobs=jobs), {"cpu": first.threads, "gpu": first.gpus}),
        param_space={"trial": tune.grid_search(list(jobs))},
        tune_config=tune.TuneConfig(
            reuse_actors=True,
            max_concurrent_trials=request.at_once,
            trial_name_creator=lambda trial: trial.config["trial"],
            trial_dirname_creator=lambda trial: trial.config["trial"],
        ),
        run_config=tune.RunConfig(
            name=request.storage.name,
            storage_path=str(request.storage.parent),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=WORKER_DEATHS_FORGIVEN),
            callbacks=[_EventCallback(send)],
        ),
    )
    try:
        tuner.fit()
    except RuntimeError as error:
        if not isinstance(error.__cause__, OutOfMemoryError):
            raise
        return End("memory", str(error))  # Ray's memory monitor ended a worker: an error that Tune has no answer to
    return End("finished")


def _trainable(config: Mapping[str, Any], jobs: Mapping[str, TrialJob]) -> None:
    """What a Ray worker runs: the same function as every executor, its events sent through Tune."""
    from orchestrator.execution.worker import execute  # torch, in workers alone

    execute(jobs[config["trial"]], lambda event: tune.report({"event": event}))
    tune.report({"event": "ended"})  # Tune prints a line for a trial without a result that it can spell


class _EventCallback(tune.Callback):
    """Hands every event on to the driver."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks into a file that nobody reads

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        self._send(result.get("event"))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._send(WorkerDied(trial.config["trial"]))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._send(GivenUp(trial.config["trial"], _text(trial.error_file)))


def _text(path: str | None) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace") if path else ""
    except OSError as error:  # an exception in a callback would end the whole sweep
        return f"its error could not be read: {error}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
