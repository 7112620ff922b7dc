"""TF32: a recipe of its own, had on some GPUs alone, in training alone, and near to full float32."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.errors import ExecutionPathError, RecipeError
from fsl_core.recipe.fingerprint import as_plain, canonical_json
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe, recipe_from_plain
from fsl_core.training import step_runner, training
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.multiplying import check_precision_available, multiplying_in
from fsl_core.training.result import TrialResult
from fsl_core.training.step_kind import StepKind
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_run import TrialRun
from fsl_core.training.unit_work import evaluation_bill, step_bill, validation_bill
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.forms import ALGORITHMS, backbones
from tests.fsl_core.pairs import recipe_of
from tests.fsl_core.test_recipe import recipes

TOLERANCE = {"prototypical": 0.02, "matching full context": 0.02, "maml order 2": 0.1}
"""Of each point of the loss curves of 20 steps, by algorithm; on an H200 MAML of order 2 differed by 0.03."""
TF32 = glyphs_recipe(matmul_precision="tf32")


@given(recipes)
def test_the_default_precision_changes_no_fingerprint(recipe: TrainingRecipe) -> None:
    assert recipe.matmul_precision == "float32"
    assert "matmul_precision" not in canonical_json(recipe)
    coarse = dataclasses.replace(recipe, matmul_precision="tf32")
    assert coarse.fingerprint != recipe.fingerprint
    assert dataclasses.replace(coarse, matmul_precision="float32").fingerprint == recipe.fingerprint
    for one in (recipe, coarse):
        assert recipe_from_plain(json.loads(json.dumps(as_plain(one)))) == one


@pytest.mark.parametrize("precision", ["bf16", "TF32", None])
def test_an_unknown_precision_is_refused(precision: object) -> None:
    with pytest.raises(RecipeError, match=r"matmul_precision is .*; accepted: 'float32', 'tf32'"):
        glyphs_recipe(matmul_precision=precision)


def test_the_step_kind_distinguishes_tf32_and_that_of_float32_is_unchanged() -> None:
    """So that a path measured for one is never that of the other, and those that were kept before are found."""
    kinds = [StepKind(recipe=each, image_shape=(1, 28, 28), device="cpu", threads=1) for each in (glyphs_recipe(), TF32)]
    one, other = (kind.as_plain() for kind in kinds)
    assert "matmul_precision" not in one["work"] and other["work"] == {**one["work"], "matmul_precision": "tf32"}
    assert {**one, "work": None} == {**other, "work": None}


def test_scoring_costs_the_same_in_both_precisions() -> None:
    evaluation = Evaluation(shape=TF32.episode)
    assert step_bill(TF32) != step_bill(glyphs_recipe())
    assert validation_bill(TF32) == validation_bill(glyphs_recipe())
    assert evaluation_bill(TF32, evaluation) == evaluation_bill(glyphs_recipe(), evaluation)


def test_tf32_on_a_cpu_is_refused_and_pins_no_path(glyphs: SplitDataset, folder: Path) -> None:
    for path in (None, ExecutionPath()):
        with pytest.raises(ExecutionPathError, match="matmul_precision is 'tf32', which a CPU does not support; train on CUDA"):
            run_trial(TF32, TrialRun(folder=folder, dataset=glyphs, path=path))
    assert not [file for file in folder.rglob("*") if file.is_file()]


def test_a_gpu_that_would_compute_in_float32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "Tesla V100")
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (7, 0))
    check_precision_available("cuda", "float32")
    with pytest.raises(ExecutionPathError, match="matmul_precision is 'tf32', which Tesla V100 does not support"):
        check_precision_available("cuda", "tf32")
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (8, 0))
    check_precision_available("cuda", "tf32")


def test_a_variable_that_prevents_tf32_is_refused_for_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (9, 0))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    check_precision_available("cuda", "float32")
    with pytest.raises(ExecutionPathError, match="NVIDIA_TF32_OVERRIDE is '0', which prevents it; unset it"):
        check_precision_available("cuda", "tf32")


def asked_of_torch() -> tuple[bool, bool]:
    """Whether matrix products and convolutions may be in TF32."""
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def test_a_block_sets_the_precision_and_restores_the_previous_one() -> None:
    before = asked_of_torch()
    with pytest.raises(KeyError), multiplying_in("tf32"):
        assert asked_of_torch() == (True, True)
        with multiplying_in("float32"):
            assert asked_of_torch() == (False, False)
        assert asked_of_torch() == (True, True)
        raise KeyError
    assert asked_of_torch() == before


def test_meta_validation_is_in_full_float32_while_the_training_is_not(
    glyphs: SplitDataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting is stood in for on a CPU, where it changes no number: looked at is what torch is asked."""
    seen: dict[str, set[tuple[bool, bool]]] = {"train_step": set(), "score_episodes": set()}

    def watched(name: str, computes: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*args: Any, **how: Any) -> Any:
            seen[name].add(asked_of_torch())
            return computes(*args, **how)

        return watching

    for module, name in ((step_runner, "train_step"), (training, "score_episodes")):
        monkeypatch.setattr(module, name, watched(name, getattr(module, name)))
    monkeypatch.setattr("fsl_core.training.multiplying.device_has", lambda device, precision: True)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (9, 0))
    run_trial(dataclasses.replace(TF32, steps=5), TrialRun(folder=folder, dataset=glyphs, path=ExecutionPath()))
    assert seen == {"train_step": {(True, True)}, "score_episodes": {(False, False)}}


has_tf32 = pytest.mark.skipif(
    not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0), reason="needs a CUDA device with TF32"
)


@pytest.mark.cuda
@has_tf32
@pytest.mark.parametrize("captured", [False, True], ids=["eager", "captured"])
@pytest.mark.parametrize("algorithm", TOLERANCE)
def test_tf32_changes_the_bits_and_hardly_the_loss(algorithm: str, captured: bool, glyphs: SplitDataset, tmp_path: Path) -> None:
    """Both are scored in full float32; the same seed sees the same episodes."""
    chosen, path = ALGORITHMS[algorithm], ExecutionPath(device="cuda", captured=captured)
    full = recipe_of(chosen, backbones(chosen)["max_pool"], meta_batch_size=2)
    coarse = dataclasses.replace(full, matmul_precision="tf32")

    def trained(recipe: TrainingRecipe, folder: str) -> TrialResult:
        return run_trial(recipe, TrialRun(folder=tmp_path / folder, dataset=glyphs, path=path))

    one, other, again = trained(full, "float32"), trained(coarse, "tf32"), trained(coarse, "again")
    assert other.weights_digest != one.weights_digest
    assert other.weights_digest == again.weights_digest
    for curve in ("train_loss", "validation_loss"):
        for (step, theirs), (_, ours) in zip(one.curves[curve], other.curves[curve], strict=True):
            assert ours == pytest.approx(theirs, rel=TOLERANCE[algorithm]), f"{curve} at step {step}"
    steps = 1 if "maml" in algorithm else None
    evaluation = Evaluation(shape=full.episode, episodes=20, adaptation_steps=steps)
    assert evaluate_trial(other, evaluation, folder=tmp_path / "tf32", dataset=glyphs, device="cuda").correct
