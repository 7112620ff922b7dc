"""Runs trials on Ray Tune, on this machine or on a cluster. This is the driver's side, which survives the death of Ray's processes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orchestrator.counted import counted
from orchestrator.errors import ExecutorError
from orchestrator.execution.executor import ignore_phase
from orchestrator.execution.job import EventListener, TrialEvent, TrialJob
from orchestrator.execution.memory_pressure import TRIES_ALONE, MemoryPressure
from orchestrator.execution.messages import End, GivenUp, Phase, RunTrials, WorkerDied
from orchestrator.execution.ray_address import CONNECT_SECONDS, check_reachable, no_answer
from orchestrator.execution.ray_environment import cluster_environment, local_environment
from orchestrator.execution.ray_process import RayProcess, ray_process, wait_for_end
from orchestrator.execution.running_trials import RunningTrials, cause_of, record_failure
from orchestrator.execution.session_folder import session_folder
from orchestrator.process.environment import usable_cpus

RAY_DEATHS_FORGIVEN = 3
"""How often in a row, with no trial ending in between, a part of Ray may die before the launch gives up."""
START_SECONDS = 180.0
"""The longest start of a local Ray; Ray itself usually gives up after 30 s."""
_POLL_SECONDS = 0.2
_SECONDS_TO_STOP = 2.0
_SECONDS_TO_SHUT_DOWN = 20.0
_RESUME = "the same command resumes, and with --executor in-process it needs no Ray"


@dataclass(frozen=True, kw_only=True)
class RayTuneExecutor:
    """Runs jobs as Tune trials.

    ``address`` is that of a running cluster to join; without it a local one is started and ended. ``max_concurrent`` bounds the trials
    that run at once. ``storage`` is the folder for Tune's own files of this launch; Ray's output goes to ``<storage>.log``.
    """

    storage: Path
    address: str | None = None
    max_concurrent: int | None = None

    def run(
        self,
        jobs: Sequence[TrialJob],
        *,
        on_event: EventListener,
        on_phase: Callable[[str], None] = ignore_phase,
    ) -> None:
        """See :class:`orchestrator.execution.executor.Executor`.

        If Ray ends workers because memory runs out, the remaining trials are relaunched, fewer at a time. If a part of Ray itself dies
        (its raylet, agent or store), Ray is restarted; where it is a local Ray, even if Ray itself does not notice the death.

        Raises:
            ExecutorError: Ray does not start, died too often, or the cluster cannot be joined.
        """
        if self.address is not None:
            check_reachable(self.address)
        left, pressure, deaths = list(jobs), MemoryPressure(self.max_concurrent), 0
        while left:
            trials = RunningTrials(on_event)
            try:
                end = _Launch(self, left, trials, on_phase).run(pressure.at_once)
            except OSError as error:  # no space or no permission for Ray's own files
                raise ExecutorError(f"Ray: {error.strerror}: {error.filename or 'a file'}; {_RESUME}") from error
            left = [rest for job in left if (rest := job.without(trials.ended)) is not None]
            if not left or end is None or end.why == "finished" or jobs[0].stop_file.exists():
                return
            if end.why == "refused":
                raise ExecutorError(f"{end.detail}; {_RESUME}")
            if end.why == "memory":
                left = _after_memory_ran_out(left, trials, pressure, end.detail)
                continue
            deaths = 1 if trials.ended else deaths + 1
            _after_ray_died(trials, on_phase, deaths, end.detail)


@dataclass(frozen=True)
class _Waiting:
    """A step of Ray's process that has a deadline, and its beginning."""

    what: Literal["start", "cluster"]
    since: float = field(default_factory=time.monotonic)

    def is_over(self) -> bool:
        return time.monotonic() - self.since > (START_SECONDS if self.what == "start" else CONNECT_SECONDS)

    def error(self, address: str | None) -> ExecutorError:
        if address is not None:
            return no_answer(address)
        return ExecutorError(f"Ray did not start within {START_SECONDS:g} s: this machine is too busy; {_RESUME}")


@dataclass
class _Launch:
    """One process of Ray, with the jobs that it runs and the trials that are running."""

    executor: RayTuneExecutor
    jobs: Sequence[TrialJob]
    trials: RunningTrials
    on_phase: Callable[[str], None]
    waiting: _Waiting | None = None
    stopping_since: float | None = None
    end: End | None = field(default=None)

    def run(self, at_once: int | None) -> End | None:
        """Run the jobs. Returns the reason for the end, see :class:`End`; None where the launch is stopped while no trial runs."""
        storage, address = self.executor.storage, self.executor.address
        environment = local_environment(os.environ) if address is None else cluster_environment(os.environ)
        with ExitStack() as stack:
            session = stack.enter_context(session_folder())
            stack.callback(shutil.rmtree, storage, ignore_errors=True)
            log = storage.with_name(f"{storage.name}.log")
            (session / "cwd").mkdir()
            process = stack.enter_context(ray_process(environment, folder=session / "cwd", log=log))
            process.ask(
                RunTrials(
                    jobs=tuple(self.jobs),
                    address=address,
                    cpus=usable_cpus(),
                    at_once=at_once,
                    storage=storage,
                    session=session,
                )
            )
            return self._listen(process)

    def _listen(self, process: RayProcess) -> End | None:
        try:
            while not self._stopped():
                message = process.next_message(_POLL_SECONDS)
                if isinstance(message, End):
                    wait_for_end(process, _SECONDS_TO_SHUT_DOWN)
                    return message
                self._take(message)
                if isinstance(message, TrialEvent) and message.kind == "started":
                    process.parts.look()  # its worker, which might outlive Ray and keep the trial's lock
                if self._watched and (lost := process.parts.lost()) is not None:
                    return End("died", f"{lost} died, and Ray did not notice it")
        except EOFError:
            return End("died", f"its last output: {process.last_words()}")
        return None

    @property
    def _watched(self) -> bool:
        """Whether the parts of Ray are this launch's own, and have started: before that Ray itself reports what dies."""
        return self.executor.address is None and self.waiting is None

    def _take(self, message: object) -> None:
        if isinstance(message, TrialEvent):
            self.trials.event(message)
        elif isinstance(message, WorkerDied):
            for trial in self._left_of(message.fingerprint):
                self.trials.worker_died(trial.fingerprint)
        elif isinstance(message, GivenUp):
            for trial in self._left_of(message.fingerprint):
                self.trials.event(record_failure(trial, cause_of(message.error), message.error))
        elif isinstance(message, Phase):
            self.waiting = _Waiting(message.waits_for) if message.waits_for else None
            self.on_phase(message.doing)
        if self.waiting is not None and self.waiting.is_over():
            raise self.waiting.error(self.executor.address)

    def _left_of(self, name: str) -> list[TrialJob]:
        """The trials of a job that have not ended. None of its trials runs any more."""
        [job] = [each for each in self.jobs if each.fingerprint == name]
        self.trials.running.difference_update(trial.fingerprint for trial in job.trials)
        left = job.without(self.trials.ended)
        return list(left.trials) if left else []

    def _stopped(self) -> bool:
        """Whether the launch is to stop, and no running trial has yet to write its checkpoint."""
        if self.trials.running or not self.jobs[0].stop_file.exists():
            self.stopping_since = None
            return False
        self.stopping_since = self.stopping_since or time.monotonic()
        return time.monotonic() - self.stopping_since > _SECONDS_TO_STOP


def _after_ray_died(trials: RunningTrials, on_phase: Callable[[str], None], deaths: int, how: str) -> None:
    """Report that Ray is restarted. Raises ExecutorError when it died too often."""
    if deaths > RAY_DEATHS_FORGIVEN:
        raise ExecutorError(f"Ray died {deaths} times, and no trial ended in between ({how}); {_RESUME}")
    trials.all_died("Ray died; the trial resumes from its last checkpoint")
    on_phase(f"Ray died and is restarted ({deaths} of {RAY_DEATHS_FORGIVEN} times)")


def _after_memory_ran_out(
    jobs: Sequence[TrialJob], trials: RunningTrials, pressure: MemoryPressure, error: str
) -> list[TrialJob]:
    """The jobs to resume, after a notice about each of them that was running."""
    left = {job.fingerprint: job for job in jobs}
    if not left:
        return []
    running = [name for name, job in left.items() if any(trial.fingerprint in trials.running for trial in job.trials)]
    hopeless = pressure.ran_out(running, next(iter(left)))
    if hopeless is not None:
        cause = f"the memory ran out {TRIES_ALONE} times while it ran alone; free memory, or ask for a smaller trial"
        for trial in left.pop(hopeless).trials:
            trials.event(record_failure(trial, cause, error))
    trials.all_died(f"the memory ran out; the trial resumes from its last checkpoint, {_at_a_time(pressure.at_once)}")
    return list(left.values())


def _at_a_time(most: int | None) -> str:
    return "with no limit on concurrent trials" if most is None else f"{counted(most, 'trial')} at a time"
