"""Runs trials on Ray Tune, on this machine or on a cluster; the only module that imports ray.

Tune schedules and nothing more: every launch gives it a fresh grid of the jobs that are missing, the store decides what is missing,
and a trial resumes from its own checkpoint. So Tune's experiment state is thrown away after use.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.execution.job import TrialEvent, TrialJob

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
_WORKER_DEATHS_FORGIVEN = 3


@dataclass(frozen=True, kw_only=True)
class RayTuneExecutor:
    """Runs jobs as Tune trials.

    ``address`` joins a running cluster; without it a local one is started and ended here. ``max_concurrent`` bounds the trials that
    run at once, ``storage`` is the folder for Tune's own files of this launch.
    """

    storage: Path
    address: str | None = None
    max_concurrent: int | None = None

    def run(self, jobs: Sequence[TrialJob], *, on_event: Callable[[TrialEvent], None]) -> None:
        """See :class:`orchestrator.execution.executor.Executor`."""
        if not jobs:
            return
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        import ray

        with tempfile.TemporaryDirectory(prefix="fsl-ray-", ignore_cleanup_errors=True) as session:
            self._connect(Path(session), jobs)
            try:
                self._fit(jobs, on_event)
            finally:
                ray.shutdown()
        shutil.rmtree(self.storage, ignore_errors=True)

    def _connect(self, session: Path, jobs: Sequence[TrialJob]) -> None:
        import ray

        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "ignore_reinit_error": True}
        runtime_env = {"env_vars": _WORKER | {name: os.environ[name] for name in _QUIET}}
        if self.address is not None:
            ray.init(address=self.address, runtime_env=runtime_env, **quiet)
            return
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a cluster of this machine alone, on its loopback
        ray.init(
            include_dashboard=False,
            object_store_memory=200 * 2**20,
            runtime_env=runtime_env,
            _temp_dir=str(session),
            **quiet,
        )

    def _fit(self, jobs: Sequence[TrialJob], on_event: Callable[[TrialEvent], None]) -> None:
        from ray import tune

        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        by_fingerprint = {job.fingerprint: job for job in jobs}
        told = _Told(on_event)
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(_trainable, jobs=by_fingerprint), {"cpu": jobs[0].threads, "gpu": jobs[0].gpus}
            ),
            param_space={"trial": tune.grid_search(list(by_fingerprint))},
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                max_concurrent_trials=self.max_concurrent,
                trial_name_creator=lambda trial: trial.config["trial"],
                trial_dirname_creator=lambda trial: trial.config["trial"],
            ),
            run_config=tune.RunConfig(
                name=self.storage.name,
                storage_path=str(self.storage.parent),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=_WORKER_DEATHS_FORGIVEN),
                callbacks=[_callback(told)],
            ),
        )
        tuner.fit()
        for fingerprint in by_fingerprint:
            if fingerprint not in told.ended:
                message = f"its worker process died {_WORKER_DEATHS_FORGIVEN + 1} times"
                on_event(TrialEvent(kind="failed", fingerprint=fingerprint, message=message))


def _trainable(config: Mapping[str, Any], jobs: Mapping[str, TrialJob]) -> None:
    """What a Ray worker runs: the same function as every executor, its events sent through Tune."""
    from ray import tune

    from orchestrator.execution.worker import execute

    execute(jobs[config["trial"]], lambda event: tune.report({"event": event}))


class _Told:
    """Passes events on to the driver and remembers which trials have ended. An event that cannot be passed on harms nobody."""

    def __init__(self, on_event: Callable[[TrialEvent], None]) -> None:
        self.on_event = on_event
        self.ended: set[str] = set()

    def __call__(self, event: object) -> None:
        if not isinstance(event, TrialEvent):
            return
        if event.kind in ("finished", "diverged", "failed", "stopped"):
            self.ended.add(event.fingerprint)
        self.on_event(event)


def _callback(told: _Told) -> Any:
    """A Tune callback that hands on every event; the class needs ray, so it is made here."""
    from ray import tune

    class EventCallback(tune.Callback):
        told: _Told

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune pickles its callbacks into a file that nobody reads

        def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
            try:
                self.told(result.get("event"))
            except Exception:  # an exception here would end the whole sweep
                logging.getLogger(__name__).exception("an event was lost")

    callback = EventCallback()
    callback.told = told  # an attribute, not a closure: the class itself is pickled too
    return callback
