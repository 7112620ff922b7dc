"""Runs trials on Ray Tune, on this machine or on a cluster; the only module that imports ray.

Tune schedules and nothing more: every launch gives it a fresh grid of the jobs that are missing, the store decides what is
missing, and a trial resumes from its own checkpoint. So Tune's experiment state is thrown away after use.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import ExecutorError
from orchestrator.execution.job import TrialEvent, TrialJob
from orchestrator.execution.memory_pressure import TRIES_ALONE, MemoryPressure
from orchestrator.execution.session_folder import session_folder
from orchestrator.execution.told import WORKER_DEATHS_FORGIVEN, Told, cause_of, record_failure

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_RESULT_BUFFER_LENGTH": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_MAX_PENDING_TRIALS_PG": "16",
}
# Keep the memory of freed activations: glibc reads these once, when a worker starts, also for the thread that Tune trains in.
_WORKER = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "67108864",
    "MALLOC_ARENA_MAX": "1",
}


@dataclass(frozen=True, kw_only=True)
class RayTuneExecutor:
    """Runs jobs as Tune trials.

    ``address`` joins a running cluster; without it a local one is started and ended here. ``max_concurrent`` bounds the trials
    that run at once, ``storage`` is the folder for Tune's own files of this launch; what Ray prints goes to ``<storage>.log``.
    """

    storage: Path
    address: str | None = None
    max_concurrent: int | None = None

    def run(self, jobs: Sequence[TrialJob], *, on_event: Callable[[TrialEvent], None]) -> None:
        """See :class:`orchestrator.execution.executor.Executor`.

        Where Ray ends workers because the memory runs out, what has not ended is launched anew, fewer trials at a time.
        """
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        with _stdout_in(self.storage.with_name(f"{self.storage.name}.log")):
            left, pressure = list(jobs), MemoryPressure(self.max_concurrent)
            while left:
                told = Told(on_event)
                try:
                    self._launch(left, told, pressure.at_once)
                    return
                except RuntimeError as error:
                    if not _is_out_of_memory(error):
                        raise
                    left = _after_memory_ran_out(left, told, pressure, str(error))

    def _launch(self, jobs: Sequence[TrialJob], told: Told, at_once: int | None) -> None:
        import ray

        with session_folder() as session:
            with _own_sigterm():
                self._connect(session)
            try:
                self._fit(jobs, told, at_once)
            finally:
                ray.shutdown()
                shutil.rmtree(self.storage, ignore_errors=True)

    def _connect(self, session: Path) -> None:
        import ray

        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "ignore_reinit_error": True}
        runtime_env = {"env_vars": _WORKER | {name: os.environ[name] for name in _QUIET}}
        if self.address is not None:
            ray.init(address=self.address, runtime_env=runtime_env, **quiet)
            return
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a cluster of this machine alone, on its loopback
        try:
            ray.init(
                address="local",  # without it Ray would join any cluster that runs on this machine
                include_dashboard=False,
                object_store_memory=200 * 2**20,
                runtime_env=runtime_env,
                _temp_dir=str(session),
                **quiet,
            )
        except Exception as error:  # Ray gives a node 30 s to come up, and has no class of its own for one that does not
            if "timed out during startup" not in str(error):
                raise
            again = "the same command goes on from here, and with --executor in-process it needs no Ray"
            raise ExecutorError(f"Ray did not start within 30 s: this machine is too busy; {again}") from error

    def _fit(self, jobs: Sequence[TrialJob], told: Told, at_once: int | None) -> None:
        from ray import tune

        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        by_fingerprint = {job.fingerprint: job for job in jobs}
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(_trainable, jobs=by_fingerprint), {"cpu": jobs[0].threads, "gpu": jobs[0].gpus}
            ),
            param_space={"trial": tune.grid_search(list(by_fingerprint))},
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                max_concurrent_trials=at_once,
                trial_name_creator=lambda trial: trial.config["trial"],
                trial_dirname_creator=lambda trial: trial.config["trial"],
            ),
            run_config=tune.RunConfig(
                name=self.storage.name,
                storage_path=str(self.storage.parent),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=WORKER_DEATHS_FORGIVEN),
                callbacks=[_callback(told)],
            ),
        )
        try:
            tuner.fit()
        finally:
            for fingerprint, error in told.lost.items():
                told(record_failure(by_fingerprint[fingerprint], cause_of(error), error))


def _trainable(config: Mapping[str, Any], jobs: Mapping[str, TrialJob]) -> None:
    """What a Ray worker runs: the same function as every executor, its events sent through Tune."""
    from ray import tune

    from orchestrator.execution.worker import execute

    execute(jobs[config["trial"]], lambda event: tune.report({"event": event}))
    tune.report({"event": "ended"})  # Tune prints a line for a trial without a result that it can spell


def _after_memory_ran_out(jobs: Sequence[TrialJob], told: Told, pressure: MemoryPressure, error: str) -> list[TrialJob]:
    """The jobs to go on with, after those concerned were told of it."""
    left = {job.fingerprint: job for job in jobs if job.fingerprint not in told.ended}
    if not left:
        return []
    hopeless = pressure.ran_out(told.running & left.keys(), next(iter(left)))
    if hopeless is not None:
        cause = f"the memory ran out {TRIES_ALONE} times while it ran alone; free memory, or ask for a smaller trial"
        told.on_event(record_failure(left.pop(hopeless), cause, error))
    for fingerprint in sorted(told.running & left.keys()):
        message = f"the memory ran out; it goes on from the last checkpoint, {_at_a_time(pressure.at_once)}"
        told.on_event(TrialEvent(kind="notice", fingerprint=fingerprint, message=message))
    return list(left.values())


def _at_a_time(most: int | None) -> str:
    return "as many trials at a time as at first" if most is None else f"{most} trial{'' if most == 1 else 's'} at a time"


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether Tune's controller gave up because Ray's memory monitor ended a worker: an error that Tune has no answer to."""
    from ray.exceptions import OutOfMemoryError

    return isinstance(error.__cause__, OutOfMemoryError)


@contextmanager
def _stdout_in(path: Path) -> Iterator[None]:
    """Keep the driver's stdout for data: a raylet that tells of a dead worker prints there, whatever it is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", buffering=1) as log, redirect_stdout(log):
        yield


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """``ray.init`` takes SIGTERM for itself and would end the driver at once; inside the block it may, after it no more."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as stop:  # Ray's handler, while no trial has started
        raise KeyboardInterrupt from stop
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _text(path: str | None) -> str:
    try:
        return Path(path).read_text() if path else ""
    except OSError as error:  # an exception in a callback would end the whole sweep
        return f"its error could not be read: {error}"


def _callback(told: Told) -> Any:
    """A Tune callback that hands on every event; the class needs ray, so it is made here."""
    from ray import tune

    class EventCallback(tune.Callback):
        told: Told

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune pickles its callbacks into a file that nobody reads

        def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
            self._pass_on(self.told, result.get("event"))

        def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self._pass_on(self.told.worker_died, trial.config["trial"])

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self._pass_on(self.told.given_up, trial.config["trial"], _text(trial.error_file))

        def _pass_on(self, tell: Callable[..., None], *what: Any) -> None:
            try:
                tell(*what)
            except Exception:  # an exception here would end the whole sweep
                logging.getLogger(__name__).exception("an event was lost")

    callback = EventCallback()
    callback.told = told  # an attribute, not a closure: the class itself is pickled too
    return callback
