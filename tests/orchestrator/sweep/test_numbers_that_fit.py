"""Numbers are refused where they are read, or fit into all that holds them later: JSON, Arrow, torch."""

import json
import typing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.checks import MOST_SIZE, MOST_WHOLE
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import RecipeError
from fsl_core.randomness import Stream
from fsl_core.recipe.fingerprint import as_plain
from fsl_core.recipe.recipe import Evaluation, evaluation_from_plain, recipe_from_plain
from fsl_core.training.optimiser import descend
from fsl_core.training.state import start_training
from orchestrator.errors import SweepFileError
from orchestrator.report.export import frames, write_exports
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import Plan, build_plan

HINTS = typing.get_type_hints(CellSettings)
WHOLE = sorted(name for name, hint in HINTS.items() if int in (hint, *typing.get_args(hint)))
REAL = sorted(name for name, hint in HINTS.items() if float in (hint, *typing.get_args(hint)))
CELL = {"dataset": "omniglot", "split": "vinyals", "way": 5, "shot": 1}


def write_sweep(folder: Path, fixed: dict[str, Any], seeds: list[int] | None = None) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(json.dumps({"name": "s", "title": "S", "seeds": seeds or [0], "fixed": {**CELL, **fixed}}))
    return path


def needed_for(key: str) -> dict[str, Any]:
    maml = {"adaptation_steps", "evaluation_adaptation_steps", "validation_adaptation_steps", "inner_lr"}
    if key in maml:
        return {"algorithm": "maml"}
    if key.endswith("inner_batch_size"):
        return {"algorithm": "reptile"}
    if key == "reading_steps":
        return {"algorithm": "matching", "fce": True, "support_order": "by_class"}
    if key == "image_size":
        return {"dataset": "folder", "split": "zoo"}
    return {"algorithm": "matching"} if key == "clamp" else {}


def test_settings_include_whole_and_real_numbers() -> None:
    assert len(WHOLE) == 27 and REAL == [
        "batch_norm_epsilon", "clamp", "clip_norm", "clip_value", "inner_lr", "outer_lr", "scale",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [2**53, 2**63, 10**400], ids=str)
@pytest.mark.parametrize("key", WHOLE)
def test_a_whole_number_out_of_range_is_refused_with_its_place(tmp_path: Path, key: str, value: int) -> None:
    path = write_sweep(tmp_path, {**needed_for(key), key: value})
    with pytest.raises(SweepFileError, match=rf"sweep\.yaml:1: fixed\.{key}: {key} is {value}; it must be an integer of at most"):
        load_sweep(path)
    path = write_sweep(tmp_path, needed_for(key))
    with pytest.raises(SweepFileError, match=rf"^--set {key}={value}: {key} is {value}; it must be an integer of at most"):
        load_sweep(path, set_values=[f"{key}={value}"])


@pytest.mark.parametrize("value", ["1e39", "1e-46", ".inf", ".nan", "-1.0", "0"])
@pytest.mark.parametrize("key", REAL)
def test_a_number_out_of_the_range_of_float32_is_refused_with_its_place(tmp_path: Path, key: str, value: str) -> None:
    path = write_sweep(tmp_path, needed_for(key))
    with pytest.raises(SweepFileError, match=rf"^--set {key}=.*: it must be a number from 1e-38 to 1e38".replace(": it", "; it")):
        load_sweep(path, set_values=[f"{key}={value}"])


@pytest.mark.parametrize("seed", [2**53, 2**63, 2**64, 10**30])
def test_a_seed_out_of_range_is_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(SweepFileError, match=r"sweep\.yaml:1: seeds\[1\]: .* at most 9007199254740991"):
        load_sweep(write_sweep(tmp_path, {}, seeds=[0, seed]))
    with pytest.raises(SweepFileError, match=rf"^--seeds 0,{seed}: seeds are different numbers from 0 to 9007199254740991"):
        load_sweep(write_sweep(tmp_path, {}), seeds=f"0,{seed}")
    recipe = CellSettings(**CELL).recipe(0)
    with pytest.raises(RecipeError, match=f"seed is {seed}; it must be an integer of at most"):
        recipe_from_plain({**as_plain(recipe), "seed": seed})


def test_a_number_with_too_many_digits_is_refused() -> None:
    with pytest.raises(RecipeError, match="way is a number of thousands of digits; it must be an integer of at most 1000000"):
        EpisodeShape(way=10**5000, shot=1, query=1)


counts = st.integers(1, 2**70) | st.integers(1, MOST_WHOLE) | st.integers(1, 500) | st.just(MOST_WHOLE)
sizes = st.integers(1, 2 * MOST_SIZE) | st.integers(1, 20)
rates = st.floats(1e-40, 1e40) | st.sampled_from([1e-38, 1e38, 1, 10**37])
numbers = {
    "steps": counts, "patience": counts, "halve_every": counts, "first_halving": counts, "decay_steps": counts,
    "validation_every": counts, "evaluation_seed": counts,
    "evaluation_episodes": sizes, "validation_episodes": sizes, "meta_batch_size": sizes, "filters": sizes, "query": sizes,
    "outer_lr": rates, "clip_norm": rates, "clip_value": rates, "scale": rates,
}  # fmt: skip


def exported(folder: Path, plan: Plan) -> dict[str, Any]:
    """The row of the plan's only trial as its Parquet export has it, the budget under the name of its key."""
    paths = write_exports(frames(plan, {}, ()), folder, "parquet")
    (trials,) = [path for path in paths if path.stem == "trials"]
    (row,) = pq.read_table(trials).to_pylist()
    return {**row, "steps": row["steps_budget"]}


@given(st.fixed_dictionaries({}, optional=numbers), counts)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_accepted_numbers_survive_json_parquet_and_torch(tmp_path: Path, fixed: dict[str, Any], seed: int) -> None:
    try:
        plan = build_plan(load_sweep(write_sweep(tmp_path, fixed, seeds=[seed])))
    except SweepFileError:
        return
    (trial,), (cell,) = plan.trials, plan.cells
    recipe = recipe_from_plain(json.loads(json.dumps(as_plain(trial.recipe))))
    assert recipe == trial.recipe and recipe.fingerprint == trial.fingerprint
    assert evaluation_from_plain(json.loads(json.dumps(as_plain(cell.evaluation)))) == cell.evaluation
    row = exported(tmp_path, plan)
    asked = {key: float(value) if key in REAL else value for key, value in {**fixed, "seed": seed}.items() if key in row}
    assert {key: row[key] for key in asked} == asked
    assert torch.Generator().manual_seed(seed).initial_seed() == seed
    assert float(seed) == seed == json.loads(json.dumps(seed), parse_int=float)


@pytest.mark.parametrize("rate", [1e-38, 1e38])
def test_an_optimiser_accepts_the_extreme_rates_and_bounds(rate: float) -> None:
    recipe = CellSettings(**CELL, outer_lr=rate, clip_norm=rate, clip_value=rate).recipe(0)
    algorithm = build_algorithm(recipe, image_shape=(1, 28, 28))
    state = start_training(algorithm, recipe.optimiser, streams=[Stream(0, "weights")])
    descend(state, {name: torch.ones_like(weights) for name, weights in state.weights.items()}, recipe.optimiser)
    assert state.optimiser.rate == rate  # what overflows in a step is reported as divergence


def test_the_answers_of_the_largest_evaluation_fit_into_int64() -> None:
    shape = EpisodeShape(way=MOST_SIZE, shot=MOST_SIZE, query=MOST_SIZE)
    evaluation = Evaluation(shape=shape, episodes=MOST_SIZE, seed=MOST_WHOLE)
    assert evaluation.episodes * shape.queries < 2**63
