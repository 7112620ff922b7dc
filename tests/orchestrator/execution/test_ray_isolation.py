"""The isolation of a local Ray: its listeners, its clients, its environment, and the code that its workers import."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from fsl_core.provenance import running_code
from orchestrator.execution.job import TrialEvent
from orchestrator.execution.ray_environment import INHERITED_BY_LOCAL_RAY, cluster_environment, local_environment
from orchestrator.execution.ray_tune import RayTuneExecutor
from orchestrator.launch.driver import SweepOutcome
from orchestrator.process import environment
from orchestrator.records.store import Store
from tests.orchestrator.execution.ray_workers import ray_workers
from tests.orchestrator.executors import Followed
from tests.orchestrator.small_sweep import contents, launch, small_plan

STRANGER = """
import logging, sys
import ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
    print("served", ray.cluster_resources())
except BaseException as error:
    print("refused", type(error).__name__)
"""
KNOWN_TOKEN = "a-token-that-somebody-exported-once-0123456789"


@dataclass
class Observed:
    """Observations of a Ray that ran a sweep in a hostile environment."""

    listening: dict[str, str] = field(default_factory=dict)
    command_lines: list[str] = field(default_factory=list)
    token: str = ""
    strangers: dict[str, str] = field(default_factory=dict)
    folder_modes: list[int] = field(default_factory=list)
    outcome: SweepOutcome | None = None


def _own_processes() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _look_around(seen: Observed) -> None:
    processes = _own_processes()
    seen.token = next(filter(None, (each.environ().get("RAY_AUTH_TOKEN") for each in processes)))
    driver = next(process for process in processes if "ray_driver" in " ".join(process.cmdline()))
    seen.folder_modes.append(Path(driver.cwd()).parent.stat().st_mode & 0o777)
    for process in [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]:
        seen.command_lines.append(" ".join(process.cmdline()))
        for socket in process.net_connections(kind="inet"):
            if socket.status == psutil.CONN_LISTEN or (not socket.raddr and socket.type.name == "SOCK_DGRAM"):
                seen.listening[f"{process.name()} {socket.laddr.port}"] = socket.laddr.ip
    strangers = {
        "no token": {"RAY_AUTH_MODE": "disabled"},
        "another token": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": KNOWN_TOKEN},
        "its own token": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": seen.token},
    }
    [store] = [process for process in processes if "gcs_server" in process.name()]
    [port] = {each.laddr.port for each in store.net_connections(kind="tcp") if each.status == psutil.CONN_LISTEN}
    bare = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    bare |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # a client on loopback; another one dies before it is asked for a token
    bare |= {"RAY_gcs_rpc_server_connect_timeout_s": "5", "RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
    command = [sys.executable, "-P", "-c", STRANGER, f"127.0.0.1:{port}"]
    with _suspended(ray_workers()):
        clients = {
            name: subprocess.Popen(
                command, env=bare | secrets, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            for name, secrets in strangers.items()
        }
        seen.strangers |= {name: client.communicate(timeout=240)[0] for name, client in clients.items()}


@contextmanager
def _suspended(workers: Iterable[psutil.Process]) -> Iterator[None]:
    """Suspends the workers inside the block: the end of the sweep would end Ray while clients still query it."""
    still = list(workers)
    assert still
    for worker in still:
        worker.suspend()
    try:
        yield
    finally:
        for worker in still:
            worker.resume()


def look_around_once(event: TrialEvent) -> None:
    """Inspect Ray's processes while a trial trains."""
    if event.kind == "progress" and not SEEN.token:
        _look_around(SEEN)


SEEN = Observed()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def seen(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Runs a sweep on Ray under another cluster's variables, in a folder with modules named like ours and Python's."""
    foreign = tmp_path_factory.mktemp("foreign")
    for name in ("fsl_core/__init__.py", "orchestrator/__init__.py", "statistics.py", "numpy.py", "torch.py"):
        (foreign / name).parent.mkdir(exist_ok=True)
        (foreign / name).write_text("raise RuntimeError('a module of the current folder was imported')")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(foreign)
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_AUTH_TOKEN", KNOWN_TOKEN)
        patch.setenv("RAY_ADDRESS", "127.0.0.1:1")
        patch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"runtime_env": {"pip": ["nonsense"]}}))
        executor = Followed(RayTuneExecutor(storage=runs / "ray" / "launch", max_concurrent=1), look_around_once)
        SEEN.outcome = launch(small_plan(runs, steps="60"), runs, executor=executor)
    return SEEN


@pytest.mark.slow
def test_a_local_ray_listens_on_loopback_alone(seen: Observed) -> None:
    assert len(seen.listening) >= 5  # the store, the raylet, the agent, the driver, the worker
    assert set(seen.listening.values()) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}, seen.listening


@pytest.mark.slow
@pytest.mark.parametrize("who", ["no token", "another token"])
def test_a_client_without_the_token_is_refused(seen: Observed, who: str) -> None:
    assert seen.strangers[who].startswith("refused ConnectionError")
    assert seen.strangers["its own token"].startswith("served")  # so the token makes the difference


@pytest.mark.slow
def test_another_user_of_the_machine_can_open_no_file_of_it(seen: Observed) -> None:
    assert seen.folder_modes == [0o700]


@pytest.mark.slow
def test_its_token_is_new_and_appears_in_no_command_line_log_or_record(seen: Observed, runs: Path) -> None:
    assert len(seen.token) == 64 and seen.token != KNOWN_TOKEN
    assert not [line for line in seen.command_lines if seen.token in line]
    assert not [path for path in runs.rglob("*") if path.is_file() and seen.token.encode() in path.read_bytes()]


@pytest.mark.slow
def test_its_workers_import_nothing_from_the_current_folder(seen: Observed, runs: Path, tmp_path: Path) -> None:
    assert seen.outcome is not None and seen.outcome.complete
    launch(small_plan(tmp_path, steps="60"), tmp_path)
    assert contents(runs) == contents(tmp_path)
    for fingerprint in seen.outcome.computed:
        record = Store(runs).read(fingerprint).execution
        assert record is not None and record.code_digest == running_code().code_digest


@pytest.mark.slow
def test_it_leaves_no_process_and_no_folder(seen: Observed) -> None:
    assert not [process for process in _own_processes() if "ray" in " ".join(process.cmdline()).lower()]


INHERITED = {
    "PATH": "/bin",
    "RAY_ADDRESS": "head:6379",
    "RAY_AUTH_MODE": "disabled",
    "RAY_AUTH_TOKEN": KNOWN_TOKEN,
    "RAY_AUTH_TOKEN_PATH": "/token",
    "RAY_memory_usage_threshold": "0.9",
    "RAY_memory_monitor_refresh_ms": "100",
    "RAY_raylet_start_wait_time_s": "60",
    "RAY_worker_niceness": "0",
    "TUNE_RESULT_DIR": "/elsewhere",
}


def test_a_local_ray_inherits_only_the_ray_settings_that_a_user_may_set() -> None:
    made = local_environment(INHERITED)
    assert made["PATH"] == "/bin"
    assert {name for name in INHERITED_BY_LOCAL_RAY if made.get(name) == INHERITED[name]} == INHERITED_BY_LOCAL_RAY
    assert {row.name for row in environment.INHERITED if row.name.startswith("RAY_") and row.decision == "used"} == {
        "RAY_ADDRESS",
        *INHERITED_BY_LOCAL_RAY,
    }
    assert made["RAY_AUTH_MODE"] == "token" and made["RAY_AUTH_TOKEN"] != KNOWN_TOKEN
    assert made["RAY_AUTH_TOKEN"] != local_environment(INHERITED)["RAY_AUTH_TOKEN"]
    assert not {"RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH", "TUNE_RESULT_DIR"} & made.keys()


def test_a_cluster_is_joined_with_its_own_token() -> None:
    made = cluster_environment(INHERITED)
    assert {name: made[name] for name in INHERITED} == INHERITED
    assert made["RAY_USAGE_STATS_ENABLED"] == "0"


def test_relative_import_paths_mean_the_same_in_both_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_environment({"PYTHONPATH": f"lib{os.pathsep}/abs"})["PYTHONPATH"] == f"{tmp_path}/lib{os.pathsep}/abs"
