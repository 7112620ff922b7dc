"""A compiled path: the traced step is the eager one, its code repeats to the bit, and trials train, stop and resume on it.

Generating code takes a second for each of some dozen functions, and the compiler's checks of a new folder ten. So most tests run the traced
graph as it is; the slow ones compile it.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from fsl_core.algorithms.algorithm import Algorithm, MetaGradient
from fsl_core.algorithms.episode_gradient import gradient_of_episodes
from fsl_core.algorithms.metric import cross_entropy
from fsl_core.algorithms.reptile import ReptileSettings
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import LayerStatistics
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.errors import ExecutionPathError, RecipeError, StopRequested
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training import compiled_functions
from fsl_core.training.compilation import CompiledGradient
from fsl_core.training.compiled_code import compiled_code_in
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_timing import training_along
from fsl_core.training.repeatable_operations import REPEATABLE
from fsl_core.training.step import StepSettings, meta_gradient
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.forms import ALGORITHMS, backbones
from tests.fsl_core.pairs import Pair, episodes_of, recipe_of
from tests.fsl_core.test_execution_paths import assert_near, laid_out
from tests.fsl_core.test_trial import StopAfter

EXACT, FLOAT32 = 1e-11, 1e-3
"""Of each tensor's largest entry, as between the eager paths."""
COMPILED = ExecutionPath(normalisation="plain", stem="maps", compiled=True, episodes_at_once=2)
UNFOLDED = dataclasses.replace(COMPILED, convolution="unfolded", layout="channels_first")
PRODUCTS = dataclasses.replace(COMPILED, stem="products")
compiles = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs the C++ compiler g++ on a CPU")


@pytest.fixture
def traced_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The traced graph takes the place of the code that would be generated from it."""
    monkeypatch.setattr(compiled_functions, "generated", lambda graph: graph)


def assert_equal_gradients(algorithm: str, backbone: str, path: ExecutionPath, dtype: torch.dtype, tolerance: float) -> None:
    """The compiled meta-gradient of two episodes is the plain loop's in float64."""
    chosen = ALGORITHMS[algorithm]
    pair, episodes = Pair.of(recipe_of(chosen, backbones(chosen)[backbone])), episodes_of(2)
    theirs = pair.plain_gradient(episodes)
    images = EpisodeBatch(episodes.support.to(dtype), episodes.query.to(dtype))
    with path.active():
        learner = laid_out(pair.learner, path.kernels, dtype)
        settings = StepSettings.of(pair.recipe, episodes_at_once=2, kernels=path.kernels)
        eager = meta_gradient(learner.training(pair.recipe.optimiser), [images], settings)
        settings = dataclasses.replace(settings, gradient=CompiledGradient(learner.algorithm))
        for _ in range(2):  # the call that compiles, and a later one
            taught = meta_gradient(learner.training(pair.recipe.optimiser), [images], settings)
            assert_near(taught.loss[0], eager.loss[0], tolerance)
            assert torch.equal(taught.accuracy, eager.accuracy)
            assert taught.gradient.keys() == theirs.keys()
            for name, values in theirs.items():
                assert_near(taught.gradient[name][0], values, tolerance, name)
            assert taught.statistics.keys() == eager.statistics.keys()
            for name, statistics in eager.statistics.items():
                assert_near(taught.statistics[name].mean, statistics.mean, tolerance)
                assert_near(taught.statistics[name].variance, statistics.variance, tolerance)
                assert taught.statistics[name].count == statistics.count


@pytest.mark.usefixtures("traced_only")
@pytest.mark.parametrize(("algorithm", "backbone", "path"), [
    ("prototypical", "max_pool", COMPILED),
    ("prototypical", "max_pool", PRODUCTS),
    ("matching full context", "mlp", COMPILED),
    ("maml order 1", "mlp", COMPILED),
    ("maml order 2", "max_pool", PRODUCTS),
    pytest.param("maml order 2", "max_pool", UNFOLDED, marks=pytest.mark.slow),
    ("maml order 2", "mlp", COMPILED),
    pytest.param("maml order 2", "stride, padded at the end, shift alone", UNFOLDED, marks=pytest.mark.slow),
    pytest.param("anil order 2", "max_pool", COMPILED, marks=pytest.mark.slow),
])  # fmt: skip
def test_the_traced_gradient_is_that_of_the_plain_loop(algorithm: str, backbone: str, path: ExecutionPath) -> None:
    assert_equal_gradients(algorithm, backbone, path, torch.float64, EXACT)


@compiles
@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "backbone", "path"), [
    ("prototypical", "max_pool", COMPILED),
    ("matching learned scale", "max_pool", COMPILED),
    ("matching full context", "mlp", COMPILED),
    ("maml order 1", "max_pool", COMPILED),
    ("maml order 2", "max_pool", UNFOLDED),
    ("maml order 2", "max_pool", PRODUCTS),
])  # fmt: skip
def test_the_compiled_gradient_is_that_of_the_plain_loop(
    algorithm: str, backbone: str, path: ExecutionPath, tmp_path: Path
) -> None:
    with compiled_code_in(tmp_path):
        assert_equal_gradients(algorithm, backbone, path, torch.float32, FLOAT32)


class OneMatrix(Algorithm):
    """A linear classifier of pixels, whose loss is weighted by the episodes' words: as little to compile as there is."""

    def initial_weights(self, stream: Any) -> Any: ...
    def initial_statistics(self) -> Any: ...

    def meta_gradient(
        self, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch, *, loss_factor: float, kernels: Kernels
    ) -> MetaGradient:
        words = torch.ones(len(episodes)) if episodes.words is None else episodes.words.float()

        def loss_of(leaves: dict[str, torch.Tensor]) -> Any:
            logits = episodes.query.flatten(1, 2).flatten(2) @ leaves["matrix"]
            loss = cross_entropy(logits, torch.arange(logits.shape[1])) * words
            mean = logits.detach().mean(dim=1)
            return loss, loss.detach().double(), {"norm": LayerStatistics(mean=mean, variance=mean.square(), count=7)}

        return gradient_of_episodes(loss_of, dict(weights), loss_factor=loss_factor)


def batch_of(count: int, *, words: torch.Tensor | None = None, seed: int = 0) -> EpisodeBatch:
    images = torch.rand((count, 2, 2, 1, 1, 4), generator=torch.Generator().manual_seed(seed))
    return EpisodeBatch(images[:, :, :1], images[:, :, 1:], words)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=[compiles, pytest.mark.slow])], ids=["traced", "compiled"])
def test_code_is_generated_once_for_each_shape_and_kept_in_its_folder(
    compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words of the episodes are an argument of it, not a constant; and the settings of torch are as before."""
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    graphs: list[object] = []
    generate = compiled_functions.generated if compiled else lambda graph: graph
    monkeypatch.setattr(compiled_functions, "generated", lambda graph: graphs.append(graph) or generate(graph))
    weights = {"matrix": torch.rand((1, 4, 2), generator=torch.Generator().manual_seed(1))}
    gradient, algorithm = CompiledGradient(OneMatrix()), OneMatrix()
    arguments: dict[str, Any] = {"loss_factor": 2.0, "kernels": COMPILED.kernels}
    with compiled_code_in(tmp_path / "compiled"):
        for seed in range(3):
            episodes = batch_of(3, words=torch.tensor([5, 1, 3]) + seed, seed=seed)
            taught, expected = (one(weights, episodes, **arguments) for one in (gradient, algorithm.meta_gradient))
            torch.testing.assert_close(taught.gradient["matrix"], expected.gradient["matrix"])
            torch.testing.assert_close(taught.loss, expected.loss)
            assert torch.equal(gradient(weights, episodes, **arguments).gradient["matrix"], taught.gradient["matrix"])
            assert taught.statistics["norm"].count == 7
    assert len(graphs) == 1
    assert bool(list((tmp_path / "compiled").glob("*/*"))) == compiled
    assert not {"TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"} & os.environ.keys()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert torch.backends.mkldnn.enabled and torch.backends.cudnn.enabled


@pytest.mark.parametrize(("order", "functions"), [(1, 2), (2, 3)])
def test_more_adaptation_steps_compile_no_more_functions(
    order: Literal[1, 2], functions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adaptation step, the gradient of the queries and, at order 2, the adjoint before a step."""
    compiled: list[object] = []
    monkeypatch.setattr(compiled_functions, "generated", lambda graph: compiled.append(graph) or graph)
    settings = MamlSettings(order=order, adaptation_steps=3, inner_lr=0.1)
    pair, episodes = Pair.of(recipe_of(settings, backbones(settings)["mlp"])), episodes_of(2)
    gradient = CompiledGradient(pair.learner.algorithm)
    for _ in range(2):
        taught = gradient(pair.learner.weights, episodes, loss_factor=1.0, kernels=COMPILED.kernels)
    assert len(compiled) == functions
    for name, values in pair.plain_gradient(episodes).items():
        assert_near(taught.gradient[name][0], values, EXACT, name)


@pytest.mark.usefixtures("traced_only")
def test_every_shape_of_a_meta_batch_has_code_of_its_own() -> None:
    """Such as a last part with fewer episodes, and episodes without words."""
    weights = {"matrix": torch.rand((1, 4, 2), generator=torch.Generator().manual_seed(1))}
    gradient, algorithm = CompiledGradient(OneMatrix()), OneMatrix()
    for episodes in (batch_of(3), batch_of(2), batch_of(3, words=torch.tensor([5, 1, 3]))):
        taught, expected = (
            one(weights, episodes, loss_factor=1.0, kernels=COMPILED.kernels) for one in (gradient, algorithm.meta_gradient)
        )
        torch.testing.assert_close(taught.gradient["matrix"], expected.gradient["matrix"])


@pytest.mark.usefixtures("traced_only")
def test_a_result_may_have_numbers_and_nothing_else_beside_tensors() -> None:
    compute, ones = compiled_functions.CompiledFunctions(), torch.ones(3)
    for value in (ones, 2 * ones):
        total, count = compute("sum", lambda values: (values.sum(), len(values)), value)
        assert (float(total), count) == (float(value.sum()), 3)
    for result in (None, LayerStatistics(mean=ones, variance=ones, count=3)):
        with pytest.raises(TypeError, match="must consist of tensors and numbers"):
            compute(f"{type(result)}", lambda values, result=result: (values, result), ones)


def test_an_error_of_the_compiler_is_one_of_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, arguments = {"matrix": torch.zeros(1, 4, 2)}, {"loss_factor": 1.0, "kernels": COMPILED.kernels}

    def failing(error: Exception) -> Any:
        def generated(graph: object) -> Any:
            raise error

        return generated

    monkeypatch.setattr(compiled_functions, "generated", failing(RuntimeError("No working C++ compiler found\nin lines")))
    with pytest.raises(ExecutionPathError, match=r"is compiled, but .* \(RuntimeError: No working C\+\+ compiler found\)"):
        CompiledGradient(OneMatrix())(weights, batch_of(1), **arguments)
    monkeypatch.setattr(compiled_functions, "generated", failing(torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(torch.OutOfMemoryError):
        CompiledGradient(OneMatrix())(weights, batch_of(1), **arguments)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.usefixtures("traced_only")
def test_an_error_of_the_algorithm_stays_its_own() -> None:
    """Reptile needs the words of the episodes."""
    settings = ReptileSettings(adaptation_steps=1)
    recipe = recipe_of(settings, backbones(settings)["mlp"])
    pair_less = training_along(recipe, COMPILED, (1, 8, 8), torch.device("cpu"))[0]
    with pytest.raises(RecipeError, match="word"):
        CompiledGradient(pair_less.algorithm)(pair_less.weights, batch_of(1), loss_factor=1.0, kernels=COMPILED.kernels)


def test_a_mistake_of_an_algorithm_is_not_blamed_on_the_compiler() -> None:
    class Mistaken:
        def meta_gradient(self, *given: object, **more: object) -> MetaGradient:
            raise ValueError("a mistake")

    with pytest.raises(ValueError, match=r"^a mistake$"):
        CompiledGradient(Mistaken())({}, batch_of(1), loss_factor=1.0, kernels=COMPILED.kernels)  # type: ignore[arg-type]


CHANGED = ("TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE", "TORCH_COMPILE_OVERRIDE_BACKENDS", "TORCHINDUCTOR_MAX_AUTOTUNE")


@pytest.mark.parametrize("name", CHANGED)
def test_a_compiler_that_the_environment_switches_off_or_changes_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another arithmetic would silently take the place of the compiled one."""
    COMPILED.check_available()
    monkeypatch.setenv(name, "1")
    with pytest.raises(ExecutionPathError, match=name):
        COMPILED.check_available()
    ExecutionPath().check_available()


def test_a_compiler_that_is_switched_off_in_the_process_is_refused() -> None:
    with torch._dynamo.config.patch(disable=True), pytest.raises(ExecutionPathError, match="disabled in this process"):
        COMPILED.check_available()


def test_the_users_own_folder_of_compiled_code_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for named in ("/somewhere", f"{default_cache_dir()}_of_mine"):
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", named)
        with compiled_code_in(tmp_path):
            assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == named
    for unnamed in ("", default_cache_dir()):  # torch sets its default when its compiler is imported
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", unnamed)
        with compiled_code_in(tmp_path):
            assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).parent == tmp_path
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == unnamed


@pytest.mark.parametrize(("padding", "stride"), [(0, 1), (1, 1), (1, 2), (0, 2), (2, 3)])
def test_fold_without_atomic_additions_is_torchs(padding: int, stride: int) -> None:
    maps = torch.rand((2, 3, 7, 6), dtype=torch.float64)
    columns = torch.nn.functional.unfold(maps, 3, padding=padding, stride=stride)
    arguments = (columns, [7, 6], [3, 3], [1, 1], [padding] * 2, [stride] * 2)
    torch.testing.assert_close(REPEATABLE[torch.ops.aten.col2im.default](*arguments), torch.ops.aten.col2im(*arguments))


def test_scatter_add_without_atomic_additions_is_torchs() -> None:
    ours, theirs = REPEATABLE[torch.ops.aten.scatter_add.default], torch.ops.aten.scatter_add
    values, index = torch.rand((2, 3, 4)), torch.tensor([[[1], [0], [3]], [[2], [2], [0]]])
    for axis in (2, -1):
        assert torch.equal(ours(values, axis, index, torch.ones(2, 3, 1)), theirs(values, axis, index, torch.ones(2, 3, 1)))
    assert ours(values, 2, index[:, :2], torch.ones(2, 2, 1)) is NotImplemented
    assert ours(values, 2, index.expand(2, 3, 2), torch.ones(2, 3, 2)) is NotImplemented


def recipe() -> TrainingRecipe:
    """A short training whose last part of a meta-batch has fewer episodes."""
    chosen = ALGORITHMS["prototypical"]
    return glyphs_recipe(algorithm=chosen, backbone=backbones(chosen)["mlp"], steps=5, meta_batch_size=3)


def trained(folder: Path, glyphs: SplitDataset, **run: Any) -> Any:
    return run_trial(recipe(), TrialRun(folder=folder, dataset=glyphs, path=COMPILED, **run))


def check_a_stop_and_a_resume(tmp_path: Path, glyphs: SplitDataset) -> Any:
    whole = trained(tmp_path / "whole", glyphs)
    with pytest.raises(StopRequested):
        trained(tmp_path / "stopped", glyphs, should_stop=StopAfter(2))
    assert trained(tmp_path / "stopped", glyphs) == whole
    assert json.loads((tmp_path / "whole" / "path.json").read_bytes())["path"]["compiled"] is True
    return whole


@pytest.mark.usefixtures("traced_only")
def test_a_stopped_trial_on_a_compiled_path_resumes_on_it(
    tmp_path: Path, glyphs: SplitDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(compiled_functions, "generated", lambda graph: asked.append(graph) or graph)
    check_a_stop_and_a_resume(tmp_path, glyphs)
    assert len(asked) == 3 * 2, "two shapes in each of three processes' worth of training"


_ELSEWHERE = """
import sys
from pathlib import Path
from fsl_core.datasets.catalogue import open_dataset
from fsl_core.recipe.data_settings import DataSettings
from tests.fsl_core.test_compiled_steps import trained
glyphs = open_dataset(DataSettings(dataset="glyphs", split="glyphs"), data_root=None, cache_root=Path(sys.argv[1]) / "cache")
print(trained(Path(sys.argv[1]) / "elsewhere", glyphs).weights_digest)
"""


@compiles
@pytest.mark.slow
def test_compiled_trials_have_the_same_bits_in_two_processes_that_share_no_code(
    tmp_path: Path, glyphs: SplitDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    with compiled_code_in(tmp_path / "compiled"):
        whole = check_a_stop_and_a_resume(tmp_path, glyphs)
    own = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "other")}
    command = [sys.executable, "-c", _ELSEWHERE, str(tmp_path)]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == whole.weights_digest, done.stderr
