"""What `fsl gc` may remove: nothing that a launch on record or a sweep file names, and nothing that may be so named."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import filelock
import pytest

from orchestrator.errors import StoreError, SweepLockedError
from orchestrator.launch.driver import sweep_folder
from orchestrator.launch.launches import no_launch_begins, read_launches, record_launch
from orchestrator.launch.leftovers import Leftover, find_leftovers, kept_trials, remove_leftovers
from orchestrator.launch.wanted_trials import wanted_trials
from orchestrator.records.driver_lock import driver_lock
from orchestrator.records.store import Store
from orchestrator.sweep.plan import Plan
from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.shown_sweep import SweepContext, shown_sweep
from tests.orchestrator.records.edited_record import edit
from tests.orchestrator.tracking.tracked_sweep import tiny_plan, write_record


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def trained(store: Store, plan: Plan, *, launch: bool = True) -> None:
    if launch:
        record_launch(sweep_folder(store.runs_root, plan), plan)
    for trial in plan.trials:
        write_record(store, trial)


def recorded_long_ago(store: Store) -> None:
    """As if the first launch on record were older than the invented records."""
    for path in (store.runs_root / "sweeps").glob("*/launches/*.json"):
        edit(path, at="2001-01-01T00:00:00.000+00:00")


def listed(store: Store, *sweeps: Path, forget: tuple[str, ...] = (), unrecorded: bool = False) -> set[str]:
    wanted = wanted_trials(store.runs_root, sweeps=sweeps, forget=forget, unrecorded=unrecorded)
    return {str(leftover.path.relative_to(store.runs_root)) for leftover in find_leftovers(store, wanted)}


def folders(plan: Plan) -> set[str]:
    return {f"trials/{trial.fingerprint}" for trial in plan.trials}


def test_what_a_launch_wanted_stays_whatever_the_sweep_file_says_now(tmp_path: Path, store: Store):
    whole, part = tiny_plan(tmp_path), tiny_plan(tmp_path, only=("distance=cosine",))
    trained(store, part)
    assert listed(store) == set() == listed(store, whole.spec.file)
    (kept,) = kept_trials(store, wanted_trials(store.runs_root, sweeps=()))
    assert kept.trials == len(part.trials) and "--only distance=cosine" in kept.why
    assert kept.lets_go == f"fsl gc --forget tiny/{part.fingerprint}"


def test_forgetting_a_launch_lets_go_of_what_it_alone_wanted(tmp_path: Path, store: Store):
    whole, part = tiny_plan(tmp_path), tiny_plan(tmp_path, only=("distance=cosine",))
    trained(store, whole), trained(store, part)
    record = f"sweeps/tiny/launches/{whole.fingerprint}.json"
    assert listed(store, forget=(f"tiny/{whole.fingerprint}",)) == (folders(whole) - folders(part)) | {record}
    assert folders(whole) < listed(store, forget=("tiny",))
    assert folders(whole).isdisjoint(listed(store, whole.spec.file, forget=("tiny",)))
    with pytest.raises(StoreError, match=f"no launch on record is called tinny; there are: tiny, tiny/{'.' * 16}"):
        listed(store, forget=("tinny",))


def test_what_is_forgotten_goes_with_its_record(tmp_path: Path, store: Store):
    plan = tiny_plan(tmp_path)
    trained(store, plan)
    removed = remove(store, forget=("tiny",))
    assert {leftover.path.name for leftover in removed} == {trial.fingerprint for trial in plan.trials} | {
        f"{plan.fingerprint}.json"
    }
    assert list(store.trials.iterdir()) == [] and not read_launches(store.runs_root / "sweeps").by_file


def test_what_mlflow_shall_show_of_a_forgotten_launch_goes_with_it(tmp_path: Path, store: Store):
    """On whichever store; else the next command of the runs folder would bring its experiment back."""
    whole, part = tiny_plan(tmp_path), tiny_plan(tmp_path, only=("distance=cosine",))
    trained(store, whole), trained(store, part)
    outbox = Outbox(store.runs_root)
    shown = [shown_sweep(whole, SweepContext()), replace(shown_sweep(whole, SweepContext()), store="f" * 64)]
    for each in (*shown, shown_sweep(part, SweepContext())):
        outbox.write(each)
    files = {str(outbox.path(each).relative_to(store.runs_root)) for each in shown}
    assert files == {"sweeps/tiny/mlflow/whole.json", "sweeps/tiny/mlflow/whole-ffffffffffffffff.json"}
    assert listed(store) == set()
    assert {path for path in listed(store, forget=(f"tiny/{whole.fingerprint}",)) if "/mlflow/" in path} == files
    remove(store, forget=(f"tiny/{whole.fingerprint}",))
    assert outbox.paths() == [outbox.path(shown_sweep(part, SweepContext()))]
    remove(store, forget=("tiny",))
    assert outbox.paths() == []


def test_a_trial_that_nobody_names_goes_where_all_launches_are_on_record(tmp_path: Path, store: Store):
    whole, part = tiny_plan(tmp_path), tiny_plan(tmp_path, only=("distance=cosine",))
    trained(store, part)
    recorded_long_ago(store)
    trained(store, whole, launch=False)
    assert listed(store) == folders(whole) - folders(part)


def test_what_began_before_launches_were_on_record_stays_unless_it_is_asked_for(tmp_path: Path, store: Store):
    whole, part = tiny_plan(tmp_path), tiny_plan(tmp_path, only=("distance=cosine",))
    trained(store, whole, launch=False)
    assert listed(store) == set()
    record_launch(sweep_folder(store.runs_root, part), part)
    assert listed(store) == set() == listed(store, part.spec.file)
    (*_, kept) = kept_trials(store, wanted_trials(store.runs_root, sweeps=()))
    assert "before launches were put on record" in kept.why and kept.lets_go == "fsl gc --unrecorded"
    assert listed(store, unrecorded=True) == folders(whole) - folders(part)


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"sweep": "tiny"}', "other plan"])
def test_a_damaged_record_of_a_launch_keeps_every_trial(tmp_path: Path, store: Store, damage: bytes | str):
    whole, part = tiny_plan(tmp_path), tiny_plan(tmp_path, only=("distance=cosine",))
    trained(store, whole), trained(store, part)
    recorded_long_ago(store)
    launches = sweep_folder(store.runs_root, whole) / "launches"
    content = (launches / f"{part.fingerprint}.json").read_bytes() if isinstance(damage, str) else damage
    (launches / f"{whole.fingerprint}.json").write_bytes(content)
    assert listed(store) == set() == listed(store, unrecorded=True)
    (*_, kept) = kept_trials(store, wanted_trials(store.runs_root, sweeps=()))
    assert f"{whole.fingerprint}.json" in kept.why
    assert listed(store, forget=("tiny",)) == set()


def remove(store: Store, **given: tuple[str, ...] | bool) -> tuple[Leftover, ...]:
    return remove_leftovers(
        store.runs_root,
        lambda: find_leftovers(store, wanted_trials(store.runs_root, sweeps=(), **given), all_held=True),  # type: ignore[arg-type]
    )


def test_what_a_killed_write_left_goes_and_nothing_else(tmp_path: Path, store: Store):
    plan = tiny_plan(tmp_path)
    trained(store, plan)
    paths = store.paths(plan.trials[0].fingerprint)
    killed = [
        folder / ".result.json.0123abcd.tmp"
        for folder in (paths.folder, paths.evaluations, paths.checkpoints / "select", sweep_folder(store.runs_root, plan))
    ]
    for path in killed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half a")
    mine = paths.folder / "notes.tmp"
    mine.write_text("not ours")
    kept = set(store.runs_root.rglob("*")) - set(killed) - {paths.checkpoints, paths.checkpoints / "select"}
    remove(store)
    assert kept <= set(store.runs_root.rglob("*")) and not any(path.exists() for path in killed)


def test_what_is_no_trial_stays_among_the_trials(tmp_path: Path, store: Store):
    trained(store, tiny_plan(tmp_path), launch=False)
    notes = store.trials / "my notes"
    notes.mkdir()
    (notes / "2026.txt").write_text("mine")
    removed = remove(store, unrecorded=True)
    assert {leftover.path.name for leftover in removed} == {trial.fingerprint for trial in tiny_plan(tmp_path).trials}
    assert list(store.trials.iterdir()) == [notes] and list(notes.iterdir())


def test_what_a_link_leads_to_stays_and_stops_nothing(tmp_path: Path, store: Store):
    plan, elsewhere = tiny_plan(tmp_path), tmp_path / "elsewhere"
    trained(store, plan)
    linked = store.trials / plan.trials[0].fingerprint
    elsewhere.mkdir()
    linked.rename(elsewhere / linked.name)
    linked.symlink_to(elsewhere / linked.name)
    ray = sweep_folder(store.runs_root, plan) / "ray"
    (elsewhere / "ray").mkdir()
    ray.symlink_to(elsewhere / "ray")
    before = set(elsewhere.rglob("*"))
    removed = remove(store, forget=("tiny",))
    assert {leftover.path.name for leftover in removed} == {trial.fingerprint for trial in plan.trials[1:]} | {
        f"{plan.fingerprint}.json"
    }
    assert list(store.trials.iterdir()) == [linked] and ray.is_symlink() and before <= set(elsewhere.rglob("*"))
    (kept,) = kept_trials(store, wanted_trials(store.runs_root, sweeps=(), unrecorded=True))
    assert kept.trials == 1 and kept.bytes > 0 and kept.why == f"links to other places: {linked}"


def test_checkpoints_go_only_where_result_and_weights_are_there(tmp_path: Path, store: Store):
    plan = tiny_plan(tmp_path)
    trained(store, plan)
    whole, damaged, weightless, *_ = (store.paths(trial.fingerprint) for trial in plan.trials)
    for paths in (whole, damaged, weightless):
        (paths.checkpoints / "select").mkdir(parents=True)
    damaged.result.write_text("{")
    weightless.selected.unlink()
    assert listed(store) == {f"trials/{whole.folder.name}/checkpoints"}


def test_a_trial_that_a_worker_holds_is_left_alone(tmp_path: Path, store: Store):
    plan = tiny_plan(tmp_path)
    trained(store, plan)
    with filelock.FileLock(store.paths(plan.trials[0].fingerprint).lock):
        remove(store, forget=("tiny",))
    assert [path.name for path in store.trials.iterdir()] == [plan.trials[0].fingerprint]


def test_nothing_is_removed_while_a_sweep_runs(tmp_path: Path, store: Store):
    plan = tiny_plan(tmp_path)
    trained(store, plan)
    with driver_lock(sweep_folder(store.runs_root, plan)), pytest.raises(SweepLockedError, match="nothing was removed"):
        remove(store, forget=("tiny",))
    assert len(list(store.trials.iterdir())) == len(plan.trials)


def test_the_files_of_ray_are_a_leftover_once_their_launch_has_ended(tmp_path: Path, store: Store):
    folder = sweep_folder(store.runs_root, tiny_plan(tmp_path))
    (folder / "ray").mkdir(parents=True)
    with driver_lock(folder):
        assert listed(store) == set()
    assert listed(store) == {"sweeps/tiny/ray"}
    remove(store)
    assert not (folder / "ray").exists()


def test_compiled_code_is_a_leftover_while_no_sweep_runs(tmp_path: Path, store: Store):
    folder = sweep_folder(store.runs_root, tiny_plan(tmp_path))
    folder.mkdir(parents=True)
    (store.runs_root / "compiled" / "code").mkdir(parents=True)
    with driver_lock(folder):
        assert listed(store) == set()
    assert listed(store) == {"compiled"}
    remove(store)
    assert not (store.runs_root / "compiled").exists()


def test_what_a_launch_names_between_listing_and_removing_stays(tmp_path: Path, store: Store):
    """The list that people saw is not what is removed: it is made again under the locks, where no launch begins any more."""
    plan = tiny_plan(tmp_path)
    trained(store, plan)

    assert folders(plan) < listed(store, forget=("tiny",))
    other = tiny_plan(tmp_path, name="other")
    record_launch(sweep_folder(store.runs_root, other), other)
    remove(store, forget=("tiny",))
    assert folders(plan) == {f"trials/{path.name}" for path in store.trials.iterdir()}


def test_no_launch_puts_itself_on_record_while_leftovers_are_removed(tmp_path: Path, store: Store):
    plan = tiny_plan(tmp_path)
    trained(store, plan)
    lock = filelock.FileLock(store.runs_root / "sweeps" / ".launches.lock")

    def find() -> Iterator[Leftover]:
        with pytest.raises(filelock.Timeout):
            lock.acquire(timeout=0)
        yield from ()

    assert remove_leftovers(store.runs_root, find) == ()
    with no_launch_begins(store.runs_root / "sweeps"), pytest.raises(filelock.Timeout):
        lock.acquire(timeout=0)
