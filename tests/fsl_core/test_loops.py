"""The first block by compiled loops, as an execution path: when it is offered, and that it repeats to the bit."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fsl_core.backbones.available_loops import loops_are_installed
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.resnet12 import ResNet12Settings
from fsl_core.datasets.catalogue import open_dataset
from fsl_core.errors import ExecutionPathError, SettingError, StopRequested
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.backbone_settings import Conv4Settings, MlpSettings
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.testing import small_recipe
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_choice import choose_path
from fsl_core.training.progress import Progress
from fsl_core.training.step_kind import StepKind
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import glyphs_recipe

LOOPS = ExecutionPath(stem="loops")
KIND = StepKind(recipe=glyphs_recipe(steps=1000), image_shape=(1, 28, 28), device="cpu", threads=1)
Shape = tuple[int, int, int]
ROOT = Path(__file__).parents[2]


def offers_loops(kind: StepKind) -> bool:
    return any(path.stem == "loops" for path in kind.candidates())


def taking(training_seconds: float) -> Callable[[TrainingRecipe, ExecutionPath, Shape], Callable[[], float]]:
    """A timer of paths on which a training of that kind takes so long; by loops, half as long."""
    episode = training_seconds / (KIND.recipe.steps * KIND.recipe.meta_batch_size)
    return lambda recipe, path, shape: lambda: episode / (2 if path.stem == "loops" else 1)


def test_loops_are_offered_for_one_thread_and_images_of_one_channel() -> None:
    """They are measured last, when it is known whether they can pay."""
    assert [path.stem == "loops" for path in KIND.candidates()][-2:] == [False, True]
    assert not offers_loops(dataclasses.replace(KIND, threads=2))
    assert not offers_loops(dataclasses.replace(KIND, image_shape=(3, 84, 84)))
    for backbone in (MlpSettings(batch_norm="running"), ResNet12Settings(filters=2)):
        assert not offers_loops(dataclasses.replace(KIND, recipe=glyphs_recipe(backbone=backbone)))


def test_loops_are_compiled_only_for_a_training_that_repays_it() -> None:
    assert choose_path(KIND, None, taking(59)) == KIND.usual_path()
    assert choose_path(KIND, None, taking(61)) == dataclasses.replace(KIND.usual_path(), stem="loops")


def test_without_numba_loops_are_not_offered_and_a_path_that_names_them_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    for module in ("pixel_loops", "window_loops"):
        monkeypatch.delitem(sys.modules, f"fsl_core.backbones.{module}", raising=False)
    assert not loops_are_installed() and not offers_loops(KIND)
    with pytest.raises(ExecutionPathError, match="numba cannot compile here"), LOOPS.active():
        pass


@pytest.mark.parametrize("name", ["NUMBA_DISABLE_JIT", "NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_DEBUGINFO", "NUMBA_ENABLE_AVX"])
def test_a_compiler_that_the_environment_switches_off_or_changes_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A choice takes another path, says so, and is not stored: the next trial may find the usual compiler."""
    LOOPS.check_available()
    monkeypatch.setenv(name, "0" if name == "NUMBA_OPT" else "1")
    with pytest.raises(ExecutionPathError, match=name):
        LOOPS.check_available()

    def timer(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        path.check_available()
        return taking(600)(recipe, path, shape)

    notices: list[str] = []
    assert choose_path(KIND, tmp_path, timer, notice=notices.append) == KIND.usual_path()
    assert len(notices) == 1 and name in notices[0]
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv(name)
    assert choose_path(KIND, tmp_path, timer).stem == "loops"
    assert list(tmp_path.iterdir())


def test_a_file_that_changes_the_compiler_is_refused_too(tmp_path: Path) -> None:
    """numba reads it in the current folder."""
    (tmp_path / ".numba_config.yaml").write_text("loop_vectorize: 0\n")
    code = "from fsl_core.training.execution_path import ExecutionPath; ExecutionPath(stem='loops').check_available()"
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert "ExecutionPathError: the execution path has loops, but NUMBA_LOOP_VECTORIZE or .numba_config.yaml" in done.stderr


def test_loops_are_for_one_thread_of_a_cpu() -> None:
    for other in ({"device": "cuda"}, {"threads": 2}):
        with pytest.raises(SettingError, match="one thread of a CPU"):
            dataclasses.replace(LOOPS, **other).check_sound()  # type: ignore[arg-type]


def test_images_of_several_channels_are_convolved() -> None:
    backbone = Conv4Settings(filters=4).build((3, 16, 16))
    weights = {name: values.unsqueeze(0) for name, values in backbone.initial_weights(Stream(0, "weights")).items()}
    images = Images(torch.rand(1, 6, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    by_loops, by_maps = (backbone.apply(weights, images, kernels=Kernels(stem=stem))[0] for stem in ("loops", "maps"))  # type: ignore[arg-type]
    assert torch.equal(by_loops, by_maps)


@pytest.mark.parametrize("order", [1, 2])
def test_a_resumed_training_by_loops_has_the_bits_of_an_uninterrupted_one(order: int, tmp_path: Path) -> None:
    recipe = small_recipe(algorithm="maml", settings={"order": order})
    assert isinstance(recipe.algorithm, MamlSettings) and recipe.algorithm.order == order
    images = open_dataset(recipe.data, data_root=None, cache_root=tmp_path / "images")
    reached: list[int] = []

    def observe(progress: Progress) -> None:
        reached.append(progress.step)

    def train(folder: Path, **stops: Callable[..., object]) -> str:
        return run_trial(recipe, TrialRun(folder=folder, dataset=images, path=LOOPS, **stops)).weights_digest  # type: ignore[arg-type]

    with pytest.raises(StopRequested):
        train(tmp_path / "resumed", observe=observe, should_stop=lambda: bool(reached))
    assert 0 < reached[-1] < recipe.steps
    assert train(tmp_path / "resumed") == train(tmp_path / "whole")


DIGEST = """
import hashlib, torch
from fsl_core.backbones.images import Images
passes = Images(torch.rand(2, 3, 1, 12, 12, generator=torch.Generator().manual_seed(0))).passes(pools=True, pads_evenly=True, loops=True)
kernels = torch.rand(2, 9, 8, generator=torch.Generator().manual_seed(1)) - 0.5
ones = torch.ones(2, 8)
found = passes.forward(kernels, ones, ones, -0.1 * ones)
sums = passes.backward(found.out, found)
derived = passes.double_backward(kernels, ones, found)
every = [found.out, found.places, *sums, derived, passes.moments.mean, passes.moments.covariance]
print(hashlib.sha256(b"".join(values.numpy().tobytes() for values in every)).hexdigest())
"""


def digest_by_loops(cache: Path) -> subprocess.CompletedProcess[str]:
    """The digest of all passes in a process of its own that keeps its code in this folder."""
    environment = {"PATH": "/usr/bin:/bin", "NUMBA_CACHE_DIR": str(cache), "HOME": str(cache)}
    command = [sys.executable, "-c", DIGEST]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_a_process_that_compiles_and_one_that_loads_the_code_compute_the_same_bits(tmp_path: Path) -> None:
    first = digest_by_loops(tmp_path)
    assert first.returncode == 0, first.stderr
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    second = digest_by_loops(tmp_path)
    assert kept and kept == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}, "it was compiled again"
    assert first.stdout == second.stdout != ""


def test_damaged_code_is_refused_by_the_name_of_its_folder(tmp_path: Path) -> None:
    """An index that a crash or a full disk left empty."""
    digest_by_loops(tmp_path)
    for index in tmp_path.rglob("*.nbi"):
        index.write_bytes(b"")
    done = digest_by_loops(tmp_path)
    assert "ExecutionPathError: numba cannot compile loops, or keep or load their code" in done.stderr
    assert f"if a file in {tmp_path} is damaged" in done.stderr
