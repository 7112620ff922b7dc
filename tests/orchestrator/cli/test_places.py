"""Where a command reads and writes, whoever says so."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given as generated
from hypothesis import strategies as st

from orchestrator.cli.main import main
from orchestrator.cli.plan import plan
from orchestrator.cli.ui import ui
from orchestrator.errors import FolderError
from orchestrator.launch.places import PlaceOptions, Places
from orchestrator.sweep.folder import check_folder, folder_named
from orchestrator.sweep.loader import load_sweep
from tests.orchestrator.small_sweep import SMALL

NAMED = """
data_root: from_file/data
runs_root: from_file/runs
results_root: from_file/results
tracking_uri: sqlite:///from_file.db
"""
VARIABLES = {"FSL_DATA_ROOT": "data_root", "FSL_RUNS_ROOT": "runs_root", "MLFLOW_TRACKING_URI": "tracking_uri"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def given(folder: Path, *flags: str) -> Places:
    """The places of ``fsl plan`` with these flags, in the environment as it is, of a sweep file that names all of them."""
    sweep = folder / "small.yaml"
    sweep.write_text(SMALL + NAMED, encoding="utf-8")
    context = plan.make_context("plan", [str(sweep), *flags])
    return Places.resolve(PlaceOptions(**{name: context.params.get(name) for name in VARIABLES.values()}), load_sweep(sweep))


def test_a_flag_comes_before_the_environment_and_that_before_the_sweep_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = given(tmp_path)
    assert (named.data_root, named.runs_root) == (tmp_path / "from_file/data", tmp_path / "from_file/runs")
    assert (named.results_root, named.tracking.whole) == (tmp_path / "from_file/results", "sqlite:///from_file.db")
    monkeypatch.setenv("FSL_DATA_ROOT", "from_environment/data")
    monkeypatch.setenv("FSL_RUNS_ROOT", "from_environment/runs")
    inherited = given(tmp_path)
    assert (inherited.data_root, inherited.runs_root) == (tmp_path / "from_environment/data", tmp_path / "from_environment/runs")
    assert given(tmp_path, "--runs-root", "from_flag").runs_root == tmp_path / "from_flag"


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_that_is_empty_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.chdir(tmp_path)
    named = given(tmp_path)
    monkeypatch.setenv(variable, "")
    assert given(tmp_path) == named


def test_the_store_is_named_by_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert ui.make_context("ui", []).params["tracking_uri"] == "http://127.0.0.1:9"


def test_an_address_that_no_store_can_have_is_refused_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, problem = tmp_path / "small.yaml", "begins with one of http://, https://, sqlite://"
    sweep.write_text(f"tracking_uri: nope://h\n{SMALL}", encoding="utf-8")
    assert_refused(fsl("plan", str(sweep)), f"Error: {sweep}:1: tracking_uri: ", problem)
    result = fsl("ui", "--tracking-uri", "nope://me:hush@h")
    assert (result.exit_code, "hush" in result.output) == (2, False)
    assert "Invalid value for --tracking-uri: " in result.stderr and problem in result.stderr
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "databricks")
    assert "Invalid value for MLFLOW_TRACKING_URI: " in fsl("ui").stderr


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.delenv("NOWHERE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_tilde_and_a_variable_stand_for_what_they_stand_for_in_a_shell(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {
        "~": "home",
        "~/runs": "home/runs",
        "$SCRATCH/runs": "scratch/runs",
        "${SCRATCH}/a b/é": "scratch/a b/é",
        "runs": "runs",
        "./~": "~",
        "a~b": "a~b",
    }
    for text, folder in expected.items():
        assert folder_named(text, "--runs-root") == home / folder
    assert folder_named("~root/runs", "--runs-root") == Path("/root/runs")
    monkeypatch.setenv("FSL_RUNS_ROOT", "~/from_environment")
    assert given(home).runs_root == home / "home/from_environment"
    assert given(home, "--runs-root", "$SCRATCH/from_flag").runs_root == home / "scratch/from_flag"
    monkeypatch.delenv("FSL_RUNS_ROOT")
    monkeypatch.setattr(sys.modules[__name__], "NAMED", 'data_root: ~/data\nruns_root: $SCRATCH/runs\nresults_root: "~"\n')
    named = given(home)
    assert (named.data_root, named.runs_root, named.results_root) == (home / "home/data", home / "scratch/runs", home / "home")


WRONG = {
    "$NOWHERE/runs": "'$NOWHERE/runs' uses the variable 'NOWHERE', which is not set",
    "${NOWHERE}": "'${NOWHERE}' uses the variable 'NOWHERE', which is not set",
    "~nobody_has_this_name/runs": "begins with an unknown home folder; ./~ is a folder of that name",
    "a\nb": "has a line break or another control character",
    " ": "' ' names no folder; . is the current one",
}


@pytest.mark.parametrize(("text", "problem"), WRONG.items())
def test_a_folder_that_cannot_be_meant_is_refused_where_it_stands(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    sweep = home / "small.yaml"
    sweep.write_text(SMALL, encoding="utf-8")
    for command in (["status", str(sweep)], ["plan", str(sweep)], ["ui"], ["gc"], ["data", "check"]):
        assert_refused(fsl(*command, "--runs-root", text), f"Error: --runs-root: {text!r} "[:24], problem)
    assert_refused(fsl("export", str(sweep), "--format", "csv", "-o", text), "Error: -o: ", problem)
    assert_refused(fsl("run", str(sweep), "--results-root", text), "Error: --results-root: ", problem)
    monkeypatch.setenv("FSL_DATA_ROOT", text)
    assert_refused(fsl("run", str(sweep)), "Error: FSL_DATA_ROOT: ", problem)
    monkeypatch.delenv("FSL_DATA_ROOT")
    line = SMALL.count("\n") + 1
    sweep.write_text(f"{SMALL}runs_root: {text!r}\n" if "\n" not in text else f'{SMALL}runs_root: "a\\nb"\n', encoding="utf-8")
    assert_refused(fsl("status", str(sweep)), f"Error: {sweep}:{line}: runs_root: ", problem)
    assert sorted(path.name for path in home.iterdir()) == ["small.yaml"]


def test_a_folder_whose_path_is_not_utf_8_is_refused_however_it_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, bad = home / "small.yaml", os.fsdecode(b"bad\xff")
    sweep.write_text(SMALL, encoding="utf-8")
    (home / bad).mkdir()
    (home / "link").symlink_to(bad)
    problem = "its path must be UTF-8, and in this locale it is not"
    for folder in (bad, f"{bad}/runs", "link"):
        for command in (["status", str(sweep)], ["plan", str(sweep)], ["ui"], ["gc"], ["data", "check"]):
            assert_refused(fsl(*command, "--runs-root", folder), "Error: --runs-root: ", problem)
    assert_refused(fsl("export", str(sweep), "--format", "csv", "-o", bad), "Error: -o: ", problem)
    assert_refused(fsl("run", str(sweep), "--data-root", bad), "Error: --data-root: ", problem)
    monkeypatch.chdir(bad)
    for command in (["status", str(sweep)], ["ui"], ["gc"], ["data", "check"]):
        assert_refused(fsl(*command), "Error: the runs root ", problem)
    assert list((home / bad).iterdir()) == []


def test_a_tilde_without_quotes_is_yamls_word_for_nothing_and_refused(home: Path) -> None:
    sweep = home / "small.yaml"
    sweep.write_text(f"{SMALL}runs_root: ~\n", encoding="utf-8")
    line = SMALL.count("\n") + 1
    assert_refused(
        fsl("status", sweep), f"Error: {sweep}:{line}: runs_root: ", "no folder is given; write '~' in quotes for the home folder"
    )


@pytest.mark.parametrize("kind", ["file", "inside a file", "link to nothing", "link to itself", "link to a file"])
def test_what_is_no_folder_is_refused_before_any_work(home: Path, kind: str) -> None:
    sweep, folder = home / "small.yaml", home / "place"
    sweep.write_text(SMALL, encoding="utf-8")
    if kind in ("file", "inside a file"):
        folder.write_text("", encoding="utf-8")
    else:
        folder.symlink_to({"link to nothing": "nothing", "link to itself": "place", "link to a file": "small.yaml"}[kind])
    named = folder / "below" if kind == "inside a file" else folder
    problem = f"{folder} is {'a link to nothing' if kind in ('link to nothing', 'link to itself') else 'not a folder'}"
    runs, data, results = ("--runs-root", named), ("--data-root", named), ("--results-root", named)
    for command in (["status", sweep], ["plan", sweep], ["table", sweep], ["run", sweep, "-y"], ["data", "prepare", "glyphs"]):
        assert_refused(fsl(*command, *runs), "Error: the runs root ", problem)
        assert_refused(fsl(*command, *data), "Error: the data root ", problem)
    assert_refused(fsl("run", sweep, "-y", *results), "Error: the folder of finished tables ", problem)
    assert_refused(fsl("export", sweep, "--format", "csv", "-o", named), "Error: the folder of exports ", problem)
    assert not (home / "runs").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused_before_any_work(home: Path) -> None:
    refuse_unwritable(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_of_another_user_is_refused_before_any_work() -> None:
    """The same as a user who may write nothing, whom root turns into in a process of its own."""
    code = "import os, sys; from pathlib import Path; from tests.orchestrator.cli.test_places import refuse_unwritable; "
    code += "os.setgroups([]); os.setgid(65534); os.setuid(65534); refuse_unwritable(Path(sys.argv[1]))"
    root = Path(__file__).parents[3]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        done = subprocess.run([sys.executable, "-c", code, folder], cwd=root, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr


def refuse_unwritable(folder: Path) -> None:
    if os.geteuid() != 65534:
        folder.chmod(0o500)
    for named in (folder, folder / "runs" / "deep"):
        check_folder(named, "runs root")  # to look is allowed
        with pytest.raises(FolderError, match=r"cannot be written to: .* is read-only, or another user's"):
            check_folder(named, "runs root", for_writing=True)


def test_an_overridden_run_needs_no_place_for_finished_tables(home: Path) -> None:
    """Its table goes beside the runs."""
    sweep = home / "small.yaml"
    sweep.write_text(SMALL, encoding="utf-8")
    (home / "results").write_text("", encoding="utf-8")
    assert "folder of finished tables" in fsl("run", sweep, "-y").stderr
    assert "folder of finished tables" not in fsl("run", sweep, "-y", "--seeds", "9", "--device", "nonsense").stderr


def test_a_folder_that_was_removed_under_a_command_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = home / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert_refused(fsl("gc"), "Error: the current folder no longer exists ", "change to another one")


def test_a_home_folder_that_is_empty_and_a_name_that_cannot_be_written_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    for text, problem in {
        "~/runs": "an unknown home folder",
        "a\ud800": "a character that",
        "~\0": "control char",
    }.items():
        with pytest.raises(FolderError, match=problem):
            folder_named(text, "--runs-root")


@generated(text=st.one_of(st.text(min_size=1), st.text(alphabet="~$/{}a\0\n\ud800. ", min_size=1)))
def test_a_text_is_one_absolute_path_or_an_error(text: str) -> None:
    try:
        path = folder_named(text, "--runs-root")
    except FolderError as error:
        assert str(error).startswith(f"--runs-root: {text!r} ")
    else:
        assert path.is_absolute() and "\n" not in str(path)
        assert folder_named(f"./{text}", "--runs-root") == path or text.startswith(("~", "/")) or "$" in text


def fsl(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_refused(result: Result, beginning: str, problem: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(beginning) and problem in result.stderr, result.stderr
    assert result.stderr.count("\n") == 1
