"""Checks the decision on every environment variable, here or in the test of its effect."""

import io
import os
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from fsl_core.errors import ExecutionPathError
from fsl_core.provenance import for_git
from fsl_core.training.arithmetic import OTHER_LAST_BITS, recorded
from fsl_core.training.process_facts import versions
from orchestrator.cli.main import main
from orchestrator.errors import InheritedError
from orchestrator.process.environment import INHERITED, decision_on, settle
from orchestrator.process.terminal import spell_anything
from orchestrator.tracking.mlflow_experiments import connect
from orchestrator.tracking.tracking_uri import default_address
from tests.orchestrator.small_sweep import SMALL

ROOT = Path(__file__).parents[3]
FSL = [sys.executable, "-c", "from orchestrator.cli.main import main; main()"]
TEST_OF = {
    "FSL_DATA_ROOT": "tests/orchestrator/cli/test_places.py::test_a_flag_comes_before_the_environment_and_that_before_the_sweep_file",
    "FSL_RUNS_ROOT": "tests/orchestrator/cli/test_places.py::test_a_flag_comes_before_the_environment_and_that_before_the_sweep_file",
    "MLFLOW_TRACKING_URI": "tests/orchestrator/cli/test_places.py::test_the_store_is_named_by_the_environment_too",
    "FSL_DEBUG": "tests/orchestrator/process/test_environment.py::test_debug_shows_a_traceback_and_without_it_a_file_does",
    **dict.fromkeys(
        ("MLFLOW_TRACKING_*", "MLFLOW_HTTP_REQUEST_*", "MLFLOW_S3_*", "MLFLOW_MYSQL_SSL_*", "AWS_*", "MLFLOW_*", "_MLFLOW_*"),
        "tests/orchestrator/process/test_environment.py::test_the_user_sets_how_mlflow_is_reached_and_not_where_runs_are_logged",
    ),
    "RAY_ADDRESS": "tests/orchestrator/process/test_environment.py::test_an_option_is_taken_from_the_environment",
    "CUDA_VISIBLE_DEVICES": "tests/orchestrator/process/test_environment.py::test_variables_of_the_gpu_reach_the_computation_unchanged",
    "PYTORCH_CUDA_ALLOC_CONF": "tests/orchestrator/process/test_environment.py::test_variables_of_the_gpu_reach_the_computation_unchanged",
    **dict.fromkeys(
        (
            "TORCHINDUCTOR_CACHE_DIR",
            "TORCHINDUCTOR_*",
            "TORCHDYNAMO_*",
            "TORCH_COMPILE_*",
            "TRITON_CACHE_DIR",
            "NUMBA_CACHE_DIR",
            "NUMBA_*",
        ),
        "tests/orchestrator/process/test_environment.py::test_the_user_sets_where_compiled_code_is_kept_and_not_how_it_is_compiled",
    ),
    "SLURM_CPUS_ON_NODE": "tests/orchestrator/process/test_usable_cpus.py::test_a_batch_job_uses_the_cpus_that_it_was_granted",
    "TMPDIR": "tests/orchestrator/process/test_environment.py::test_debug_shows_a_traceback_and_without_it_a_file_does",
    "HOME": "tests/orchestrator/cli/test_places.py::test_a_tilde_and_a_variable_stand_for_what_they_stand_for_in_a_shell",
    "RAY_*": "tests/orchestrator/execution/test_ray_isolation.py::test_a_local_ray_inherits_only_the_ray_settings_that_a_user_may_set",
    "HTTP_PROXY": "tests/orchestrator/tracking/test_mlflow_server.py::test_requests_to_a_server_on_loopback_bypass_a_dead_proxy",
    "COLUMNS": "tests/orchestrator/process/test_environment.py::test_the_user_sets_width_and_colours_of_the_live_view",
    "LINES": "tests/orchestrator/process/test_environment.py::test_the_user_sets_width_and_colours_of_the_live_view",
    "NO_COLOR": "tests/orchestrator/process/test_environment.py::test_the_user_sets_width_and_colours_of_the_live_view",
    "TERM": "tests/orchestrator/process/test_environment.py::test_the_user_sets_width_and_colours_of_the_live_view",
    "LANG": "tests/orchestrator/process/test_environment.py::test_a_locale_without_unicode_ends_no_command",
    "LC_ALL": "tests/orchestrator/process/test_environment.py::test_a_locale_without_unicode_ends_no_command",
    "PYTHONIOENCODING": "tests/orchestrator/process/test_environment.py::test_a_character_that_the_terminal_lacks_is_replaced",
    "GIT_CONFIG_GLOBAL": "tests/orchestrator/launch/test_provenance.py::test_the_users_own_settings_of_git_count",
    "GIT_*": "tests/orchestrator/launch/test_provenance.py::test_a_variable_of_a_hook_never_makes_the_commit_a_strangers",
    "PYTHONPATH": "tests/orchestrator/process/test_environment.py::test_the_two_packages_come_from_one_place",
    **dict.fromkeys(
        (
            "RAY_memory_usage_threshold",
            "RAY_memory_monitor_refresh_ms",
            "RAY_raylet_start_wait_time_s",
            "RAY_worker_niceness",
            "TUNE_*",
        ),
        "tests/orchestrator/execution/test_ray_isolation.py::test_a_local_ray_inherits_only_the_ray_settings_that_a_user_may_set",
    ),
    "CUBLAS_WORKSPACE_CONFIG": "tests/fsl_core/test_arithmetic.py::test_another_arithmetic_is_refused",
    "NVIDIA_TF32_OVERRIDE": "tests/fsl_core/test_arithmetic.py::test_another_arithmetic_is_refused",
    "DNNL_DEFAULT_FPMATH_MODE": "tests/fsl_core/test_arithmetic.py::test_another_arithmetic_is_refused",
    "ONEDNN_DEFAULT_FPMATH_MODE": "tests/fsl_core/test_arithmetic.py::test_another_arithmetic_is_refused",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "tests/fsl_core/test_arithmetic.py::test_neutralised_variables_change_no_bit",
    "OMP_*": "tests/fsl_core/test_arithmetic.py::test_neutralised_variables_change_no_bit",
    "MKL_NUM_THREADS": "tests/fsl_core/test_arithmetic.py::test_neutralised_variables_change_no_bit",
    "MKL_DYNAMIC": "tests/fsl_core/test_arithmetic.py::test_neutralised_variables_change_no_bit",
    "OPENBLAS_*": "tests/fsl_core/test_arithmetic.py::test_neutralised_variables_change_no_bit",
    "PYTHONHASHSEED": "tests/fsl_core/test_arithmetic.py::test_neutralised_variables_change_no_bit",
    "PYTHONOPTIMIZE": "tests/orchestrator/process/test_environment.py::test_no_check_is_an_assert",
    "PYTHONSAFEPATH": "tests/orchestrator/process/test_environment.py::test_pythons_own_variables_end_no_command",
    "PYTHONWARNINGS": "tests/orchestrator/process/test_environment.py::test_pythons_own_variables_end_no_command",
    "ATEN_CPU_CAPABILITY": "tests/orchestrator/process/test_environment.py::test_variables_that_change_the_last_bits_are_recorded",
    "DNNL_MAX_CPU_ISA": "tests/orchestrator/process/test_environment.py::test_variables_that_change_the_last_bits_are_recorded",
    "ONEDNN_MAX_CPU_ISA": "tests/orchestrator/process/test_environment.py::test_variables_that_change_the_last_bits_are_recorded",
    "MKL_CBWR": "tests/orchestrator/process/test_environment.py::test_variables_that_change_the_last_bits_are_recorded",
    "MKL_ENABLE_INSTRUCTIONS": "tests/orchestrator/process/test_environment.py::test_variables_that_change_the_last_bits_are_recorded",
    "MPLBACKEND": "tests/orchestrator/process/test_environment.py::test_removed_variables_reach_neither_this_process_nor_its_children",
    "FORCE_COLOR": "tests/orchestrator/process/test_environment.py::test_removed_variables_reach_neither_this_process_nor_its_children",
    "CLICOLOR_FORCE": "tests/orchestrator/process/test_environment.py::test_removed_variables_reach_neither_this_process_nor_its_children",
    "TTY_COMPATIBLE": "tests/orchestrator/process/test_environment.py::test_removed_variables_reach_neither_this_process_nor_its_children",
    "TTY_INTERACTIVE": "tests/orchestrator/process/test_environment.py::test_removed_variables_reach_neither_this_process_nor_its_children",
}  # fmt: skip
"""The test of each variable. One that is added without a test fails here."""


def test_every_listed_variable_has_a_test() -> None:
    assert sorted(TEST_OF) == sorted(row.name for row in INHERITED)
    for place in TEST_OF.values():
        path, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), place


def test_the_documents_show_every_decision() -> None:
    text = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    rows = [f"| `{row.name}` | {row.decision} | {row.why} |" for row in INHERITED]
    assert [line for line in text.splitlines() if line.startswith("| `")] == rows


def test_a_variables_own_decision_overrides_its_familys() -> None:
    assert decision_on("GIT_DIR") == "neutralised"
    assert decision_on("GIT_CONFIG_GLOBAL") == "used"
    assert decision_on("OMP_NUM_THREADS") == "neutralised"
    assert decision_on("PATH") is None


def test_git_ignores_the_variables_of_a_hook() -> None:
    inherited = {"PATH": "/bin", "GIT_DIR": "x", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_GLOBAL": "y", "LC_ALL": "de_DE.UTF-8"}
    assert for_git(inherited) == {"PATH": "/bin", "GIT_CONFIG_GLOBAL": "y", "LC_ALL": "C"}


@pytest.mark.parametrize(
    "name", ["MPLBACKEND", "PYTHONWARNINGS", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"]
)
def test_removed_variables_reach_neither_this_process_nor_its_children(name: str) -> None:
    environ = {name: "1", "PATH": "/bin"}
    with warnings.catch_warnings():
        settle(environ)
    assert environ == {"PATH": "/bin", "PYTHONIOENCODING": "utf-8:backslashreplace"}


def test_the_user_sets_how_mlflow_is_reached_and_not_where_runs_are_logged() -> None:
    used = ("TRACKING_URI", "TRACKING_USERNAME", "TRACKING_PASSWORD", "TRACKING_TOKEN", "TRACKING_SERVER_CERT_PATH")
    used += ("HTTP_REQUEST_TIMEOUT", "S3_ENDPOINT_URL", "MYSQL_SSL_CA")
    kept = {"AWS_ACCESS_KEY_ID": "x", **{f"MLFLOW_{name}": "x" for name in used}}
    others = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_SQLALCHEMYSTORE_POOLCLASS")
    others += ("MLFLOW_ENABLE_WORKSPACES", "MLFLOW_REGISTRY_URI", "_MLFLOW_SERVER_ARTIFACT_ROOT")
    environ = {**kept, **dict.fromkeys(others, "x")}
    settle(environ)
    assert environ == {**kept, "PYTHONIOENCODING": "utf-8:backslashreplace"}


def test_the_user_sets_where_compiled_code_is_kept_and_not_how_it_is_compiled() -> None:
    kept = {"TORCHINDUCTOR_CACHE_DIR": "/somewhere", "TRITON_CACHE_DIR": "/elsewhere", "NUMBA_CACHE_DIR": "/there"}
    environ = {**kept, "NUMBA_DISABLE_JIT": "1", "TORCHINDUCTOR_MAX_AUTOTUNE": "1", "TORCHINDUCTOR_EMULATE_PRECISION_CASTS": "1"}
    environ |= {"TORCHDYNAMO_DISABLE": "1", "TORCH_COMPILE_DISABLE": "1"}
    settle(environ)
    assert environ == {**kept, "PYTHONIOENCODING": "utf-8:backslashreplace"}


def test_mlflow_variables_of_a_notebook_change_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any of these made MLflow fail, or show the runs elsewhere."""
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "nope")
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(tmp_path))
    settle()
    assert [each.artifact_location for each in connect(default_address(tmp_path)).search_experiments()] == ["mlflow-artifacts:/0"]


def test_a_command_applies_the_decisions_before_it_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://of_a_notebook")
    assert plan(tmp_path).exit_code == 0
    assert "MPLBACKEND" not in os.environ


@pytest.mark.parametrize("name", [row.name for row in INHERITED if row.decision == "refused" and row.name != "PYTHONPATH"])
def test_a_command_does_not_start_under_another_arithmetic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv(name, "other")
    result = plan(tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {name} is 'other', which changes results; unset it")
    with pytest.raises(ExecutionPathError, match=name):
        settle({name: "other"})


def test_the_two_packages_come_from_one_place(tmp_path: Path) -> None:
    """Another checkout's fsl_core on PYTHONPATH, whose numbers would be recorded as this one's."""
    shutil.copytree(ROOT / "fsl_core", tmp_path / "copied" / "fsl_core")
    done = fsl("status", small(tmp_path), folder=tmp_path, PYTHONPATH=str(tmp_path / "copied"))
    assert done.returncode == 2
    assert f"orchestrator comes from {ROOT}, but fsl_core from {tmp_path / 'copied'}; unset PYTHONPATH" in done.stderr


def test_exactly_the_variables_decided_as_recorded_are_recorded() -> None:
    assert sorted(OTHER_LAST_BITS) == sorted(row.name for row in INHERITED if row.decision == "recorded")


@pytest.mark.parametrize("name", OTHER_LAST_BITS)
def test_variables_that_change_the_last_bits_are_recorded(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert recorded({"PATH": "/bin", name: ""}) == {}
    assert recorded({"PATH": "/bin", name: "AVX2"}) == {name: "AVX2"}
    monkeypatch.setenv(name, "AVX2")
    assert versions()[name] == "AVX2"


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "PYTORCH_CUDA_ALLOC_CONF"])
def test_variables_of_the_gpu_reach_the_computation_unchanged(name: str) -> None:
    environ = {name: "0"}
    settle(environ)
    assert environ[name] == "0"


def test_an_option_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.cli.plan import plan as command

    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    context = command.make_context("plan", [str(ROOT / "sweeps" / "quick.yaml")])
    assert context.params["address"] == "10.0.0.1:6379"


def test_debug_shows_a_traceback_and_without_it_a_file_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("orchestrator.cli.plan.plan_as_asked", lambda *given: 1 / 0)
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    result = plan(tmp_path)
    (kept,) = tmp_path.glob("fsl-traceback-*.txt")
    assert (result.exit_code, str(kept) in result.stderr) == (1, True)
    assert "ZeroDivisionError" in kept.read_text(encoding="utf-8") and "Traceback" not in result.stderr
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert "internal error, ZeroDivisionError: division by zero (FSL_DEBUG=1 shows it here)" in plan(tmp_path).stderr
    monkeypatch.setenv("FSL_DEBUG", "1")
    assert "Traceback" in plan(tmp_path).stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("COLUMNS", "61"), ("COLUMNS", "wide"), ("COLUMNS", "0"), ("LINES", "-1"), ("NO_COLOR", "1"), ("TERM", "dumb")],
)
def test_the_user_sets_width_and_colours_of_the_live_view(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    for other in ("COLUMNS", "LINES", "NO_COLOR", "TERM"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    settle()  # which leaves out a width that is none
    console = Console(file=io.StringIO(), force_terminal=True)
    shown = {"COLUMNS": console.width == 61 if value == "61" else console.width > 0, "NO_COLOR": console.no_color}
    shown["LINES"] = console.height > 0
    assert shown.get(name, console.is_dumb_terminal)


def test_no_check_is_an_assert() -> None:
    """``PYTHONOPTIMIZE`` removes every assert, and with 2 every docstring: no behaviour depends on either."""
    for package in ("fsl_core", "orchestrator"):
        for path in (ROOT / package).rglob("*.py"):
            lines = path.read_text(encoding="utf-8").splitlines()
            asserts = [line.strip() for line in lines if line.lstrip().startswith("assert ")]
            assert all(" is not None" in line or "isinstance(" in line for line in asserts), path  # for the type checker


def test_pythons_own_variables_end_no_command(tmp_path: Path) -> None:
    inherited = {"PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "PYTHONSAFEPATH": "1"}
    done = fsl("table", small(tmp_path), "--runs-root", tmp_path, **inherited)
    assert done.returncode == 0, done.stderr


LOCALES = [
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"LANG": "POSIX", "LC_ALL": "", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
]


@pytest.mark.parametrize("locale", LOCALES)
def test_a_locale_without_unicode_ends_no_command(tmp_path: Path, locale: dict[str, str]) -> None:
    done = fsl("table", small(tmp_path), "--runs-root", tmp_path, **locale)
    assert done.returncode == 0, done.stderr
    assert "A small sweep" in done.stdout and "0/2" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1", "cp1252"])
def test_a_character_that_the_terminal_lacks_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str) -> None:
    coding, _, errors = encoding.partition(":")
    stream = io.TextIOWrapper(io.BytesIO(), encoding=coding, errors=errors or "strict")
    monkeypatch.setattr(sys, "stdout", stream)
    spell_anything()
    text = "98.51 ± 0.19 – é … ─│ 漢 \udcff"
    print(text, file=stream, flush=True)
    written = stream.buffer.getvalue()  # type: ignore[attr-defined]
    expected = {
        "ascii": b"98.51 +/- 0.19 - e ... -| ? \xff\n",
        "latin-1": b"98.51 \xb1 0.19 - \xe9 ... -| ? \xff\n",
        "cp1252": b"98.51 \xb1 0.19 \x96 \xe9 \x85 -| ? \xff\n",
    }
    assert written == expected[coding]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_leaves_its_descriptor_to_no_file(tmp_path: Path, closed: str) -> None:
    """The descriptors 0 to 2 are never those of a file that the command opens itself."""
    code = (
        "from orchestrator.process.terminal import spell_anything; import os, sys; spell_anything(); f = open(sys.argv[1], 'w'); "
    )
    code += "f.write(f'{f.fileno()} {sys.stdin.isatty()}')"
    subprocess.run(["sh", "-c", f'"$0" -c "$1" "$2" {closed}', sys.executable, code, str(tmp_path / "out")], check=True, cwd=ROOT)
    number, terminal = (tmp_path / "out").read_text(encoding="utf-8").split()
    assert int(number) > 2 and terminal in ("True", "False")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["{fsl} plan {sweep} --no-probe --runs-root {folder}", "{train} {folder}"])
def test_a_stderr_that_takes_no_more_ends_no_command(tmp_path: Path, command: str, unbuffered: str) -> None:
    """As where the reader of a pipe has ended, or the disk of a log is full. A launch of days must outlast it."""
    (tmp_path / "0123456789abcdef").mkdir()
    line = command.format(
        fsl=shlex.join(FSL), train=f"{sys.executable} -m fsl_core.train", sweep=small(tmp_path), folder=tmp_path
    )
    with Path("/dev/full").open("wb") as full:
        environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(shlex.split(line), stderr=full, stdout=subprocess.PIPE, cwd=ROOT, env=environ, check=False)
    assert done.returncode == (0 if "plan" in command else 3)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_follows_a_refused_line_on_stderr_is_let_go(unbuffered: str) -> None:
    code = (
        "import sys; from orchestrator.process.terminal import spell_anything; spell_anything(); "
        "[print(line, file=sys.stderr, flush=True) for line in 'abc']; print('done')"
    )
    with Path("/dev/full").open("wb") as full:
        environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(
            [sys.executable, "-c", code], stderr=full, stdout=subprocess.PIPE, cwd=ROOT, env=environ, check=True
        )
    assert done.stdout == b"done\n"


def small(folder: Path) -> Path:
    path = folder / "small.yaml"
    path.write_text(SMALL.replace("A small sweep", "A small sweep – ±, é, 漢"), encoding="utf-8")
    return path


def plan(folder: Path):
    return CliRunner().invoke(main, ["plan", str(small(folder)), "--runs-root", str(folder), "--only", "way=5", "--seeds", "0"])


def fsl(*arguments: object, folder: Path = ROOT, **inherited: str) -> "subprocess.CompletedProcess[str]":
    """Runs the command in its own process, because Python reads its variables at start."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    command = [*FSL, *map(str, arguments)]
    return subprocess.run(
        command, env={**environ, **inherited}, cwd=folder, capture_output=True, text=True, encoding="utf-8", errors="replace"
    )


@pytest.mark.parametrize("value", [":/x", "/x:", "/x::/y", ".", "/x:."])
def test_nothing_is_imported_from_the_current_folder(tmp_path: Path, value: str) -> None:
    (tmp_path / "statistics.py").write_text("raise RuntimeError('a module of the current folder was imported')", encoding="utf-8")
    with pytest.raises(InheritedError, match="the current folder"):
        settle({"PYTHONPATH": value})
