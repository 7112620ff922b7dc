"""The proofs of equality on a CUDA device, and of bits where a step is recorded as a graph; `make test-cuda` runs these alone."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Weights
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.errors import StopRequested
from fsl_core.randomness import Stream
from fsl_core.recipe.recipe import OptimiserSettings, TrainingRecipe
from fsl_core.training.compilation import CompiledGradient
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_repetition import repeats_exactly
from fsl_core.training.result import TrialResult
from fsl_core.training.seed_groups import begun_trial, seed_groups
from fsl_core.training.state import TrainingState, start_training
from fsl_core.training.step import StepSettings, meta_gradient
from fsl_core.training.step_runner import step_runner
from fsl_core.training.trial import run_together
from fsl_core.training.trial_run import Trial, TrialRun
from tests.fsl_core.algorithms.learners import Learner
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.forms import ALGORITHMS, FORMS, backbones, kernels_of
from tests.fsl_core.pairs import Pair, episodes_of, recipe_of
from tests.fsl_core.test_execution_paths import assert_near
from tests.fsl_core.test_trial import StopAfter

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

EXACT = 1e-9
"""Of each tensor's largest entry, in float64: sums are taken in another order than on a CPU."""
FLOAT32 = 1e-3
STEPS = 6
TRAJECTORY = 2e-4
"""Of 6 steps of 1e-3 in float32, where Adam may move an entry whose gradient is all rounding by some of a step the other way."""
AMPLIFYING = {("prototypical", "max_pool"), ("maml order 2", "mlp")}
"""Forms whose trainings part by more than that: two forms on a CPU do, too. The last shift of Prototypical Networks has hardly a gradient;
MAML of the perceptron amplifies rounding to 0.4 of the way within six steps."""
FEW, PART, LOSSES = 2, 0.1, 1e-3
"""Such trainings are compared after two steps: they are apart by at most this part of the way that they went, as root mean squares over the
weights (two forms on a CPU by 0.03), and by this part of their losses."""
STEPPED = [
    ("prototypical", "max_pool"),
    ("matching full context", "max_pool"),
    ("maml order 1", "stride"),
    ("maml order 2", "max_pool"),
    ("maml order 2", "mlp"),
]
stepped = pytest.mark.parametrize(("algorithm", "backbone"), STEPPED)
FORMS_OF_A_COMPILED_PATH = ExecutionPath(
    device="cuda", episodes_at_once=2, normalisation="plain", stem="maps", convolution="unfolded", layout="channels_first"
)
TOGETHER = (
    Kernels(),
    Kernels(layout="channels_first", normalisation="library", stem="maps"),
    Kernels(layout="channels_first", convolution="unfolded", stem="maps"),
    Kernels(stem="products"),
    Kernels(normalisation="plain", stem="products"),
)
"""Of paths on which several seeds train together."""
compiled_steps = pytest.mark.parametrize(("algorithm", "backbone"), [("prototypical", "max_pool"), ("maml order 2", "stride")])
"""Each is compiled for some tens of seconds once, and read from the folder of compiled code by the later trainings."""
captured_or_not = pytest.mark.parametrize("captured", [False, True], ids=["eager", "captured"])


@pytest.fixture(autouse=True)
def cuda() -> Iterator[None]:
    with ExecutionPath(device="cuda").active():
        yield


def recipe(algorithm: str, backbone: str) -> TrainingRecipe:
    chosen = ALGORITHMS[algorithm]
    optimiser = OptimiserSettings(halve_every=2, clip_norm=5.0)
    return recipe_of(chosen, backbones(chosen)[backbone], meta_batch_size=2, optimiser=optimiser)


class Training:
    """Seeds of a recipe that train together on glyphs."""

    def __init__(
        self,
        of: TrainingRecipe,
        glyphs: SplitDataset,
        *,
        seeds: tuple[int, ...] = (0,),
        captured: bool = False,
        compiled: bool = False,
        device: str = "cuda",
        kernels: Kernels | None = None,
    ) -> None:
        bank, streams = glyphs.meta_train.to(device), [Stream(seed, "weights") for seed in seeds]
        algorithm = build_algorithm(of, image_shape=bank.image_shape)
        self.captured, self.compiled = captured, compiled
        kernels = kernels or (FORMS_OF_A_COMPILED_PATH if compiled else ExecutionPath()).kernels
        self.settings = StepSettings.of(of, episodes_at_once=2, kernels=kernels)
        self.samplers = [EpisodeSampler(bank, of.episode, seed=seed, stream="train") for seed in seeds]
        self.state = start_training(algorithm, of.optimiser, streams=streams, kernels=kernels, device=device, captured=captured)

    def stepped(self, steps: int) -> TrainingState:
        take_step = step_runner(self.state, self.samplers, self.settings, captured=self.captured, compiled=self.compiled)
        for _ in range(steps):
            take_step()
        return self.state


def bits(state: TrainingState, seed: int = 0) -> dict[str, torch.Tensor]:
    """Everything that a checkpoint has of a seed as tensors."""
    plain = state.as_checkpoint(seed)
    moments = {f"{moment} {name}": value for moment, own in plain["moments"].items() for name, value in own.items()}
    sums = {name: torch.tensor(plain[name], dtype=torch.float64) for name in ("interval_loss", "interval_accuracy")}
    return {**plain["weights"], **plain["statistics"], **moments, **sums}


def assert_same_bits(one: TrainingState, other: TrainingState) -> None:
    theirs = bits(other)
    assert one.step == other.step == STEPS
    assert not [name for name, value in bits(one).items() if not torch.equal(value, theirs[name])]


def assert_close(one: TrainingState, other: TrainingState, seed: int = 0) -> None:
    """The weights and statistics of two trainings, of which the second has one seed, agree to :data:`TRAJECTORY`."""
    theirs = other.named()
    for name, value in one.named(seed).items():
        distance, largest = float((value.cpu() - theirs[name].cpu()).abs().max()), float(theirs[name].abs().max())
        assert distance <= TRAJECTORY * max(1.0, largest), name


def assert_close_for_their_way(one: TrainingState, other: TrainingState, first: Weights, seed: int = 0) -> None:
    """Two trainings, of which the second has one seed, agree to :data:`PART` of their way from the first weights, and in their losses."""
    theirs, mine = other.named(), one.named(seed)
    apart = torch.cat([(mine[name].cpu() - theirs[name].cpu()).flatten() for name in first]).square().mean().sqrt()
    way = torch.cat([(first[name][0].cpu() - theirs[name].cpu()).flatten() for name in first]).square().mean().sqrt()
    assert float(way) > 0
    assert float(apart) <= PART * float(way)
    for name in other.statistics:
        assert_near(mine[name].cpu(), theirs[name].double().cpu(), PART, name)
    assert float(one.interval_loss[seed]) == pytest.approx(float(other.interval_loss[0]), rel=LOSSES)


def assert_same_training(form: tuple[str, str], one: TrainingState, other: Training, seed: int = 0) -> None:
    """A training of a form, after :func:`steps_of` it, and one of a single seed that has yet to take its steps."""
    first = {name: value.clone() for name, value in other.state.weights.items()}
    stepped = other.stepped(steps_of(form))
    assert one.step == stepped.step
    if form in AMPLIFYING:
        assert_close_for_their_way(one, stepped, first, seed)
    else:
        assert_close(one, stepped, seed)


def steps_of(form: tuple[str, str]) -> int:
    """The number of steps after which trainings of a form are compared."""
    return FEW if form in AMPLIFYING else STEPS


@pytest.mark.parametrize(("algorithm", "backbone"), FORMS)
def test_loss_and_gradient_are_those_of_the_plain_loop_on_a_cpu(algorithm: str, backbone: str) -> None:
    chosen = ALGORITHMS[algorithm]
    pair, episodes = Pair.of(recipe_of(chosen, backbones(chosen)[backbone])), episodes_of(3)
    loss, gradient, on_a_cpu = pair.plain_loss(episodes).detach(), pair.plain_gradient(episodes), pair.learner.taught(episodes)
    for kernels in kernels_of(pair.recipe.backbone, device="cuda"):
        settings = StepSettings.of(pair.recipe, episodes_at_once=2, kernels=kernels)
        for dtype, tolerance in ((torch.float64, EXACT), (torch.float32, FLOAT32)):
            there = {name: kernels.lay_out(value.to("cuda", dtype)) for name, value in pair.learner.weights.items()}
            images = EpisodeBatch(*(part.to("cuda", dtype) for part in (episodes.support, episodes.query)))
            state = Learner(pair.learner.algorithm, there).training(pair.recipe.optimiser)
            taught = meta_gradient(state, [images], settings)
            assert_near(taught.loss[0].cpu(), loss, tolerance)
            for name, theirs in gradient.items():
                assert_near(taught.gradient[name][0].cpu(), theirs, tolerance, f"{name} {kernels} {dtype}")
            for name, layer in on_a_cpu.statistics.items():
                assert_near(taught.statistics[name].mean.cpu(), layer.mean, tolerance, f"{name} {kernels} {dtype}")
                assert_near(taught.statistics[name].variance.cpu(), layer.variance, tolerance, f"{name} {kernels} {dtype}")


@stepped
def test_a_captured_training_is_the_uncaptured_one_and_that_of_a_cpu(algorithm: str, backbone: str, glyphs: SplitDataset) -> None:
    of, form = recipe(algorithm, backbone), (algorithm, backbone)
    captured = Training(of, glyphs, captured=True).stepped(STEPS)
    assert captured.step == int(captured.clock) == STEPS
    assert_close(captured, Training(of, glyphs).stepped(STEPS))
    captured = Training(of, glyphs, captured=True).stepped(steps_of(form))
    assert_same_training(form, captured, Training(of, glyphs, device="cpu"))
    assert float(captured.interval_loss) > 0


@stepped
@captured_or_not
def test_repeated_training_has_the_same_bits(algorithm: str, backbone: str, captured: bool, glyphs: SplitDataset) -> None:
    of = recipe(algorithm, backbone)
    assert_same_bits(*(Training(of, glyphs, captured=captured).stepped(STEPS) for _ in range(2)))
    other = Training(of, glyphs, captured=captured, seeds=(1,)).stepped(STEPS)
    with pytest.raises(AssertionError):
        assert_same_bits(Training(of, glyphs, captured=captured).stepped(STEPS), other)


@stepped
@captured_or_not
def test_a_resumed_training_has_the_bits_of_an_uninterrupted_one(
    algorithm: str, backbone: str, captured: bool, glyphs: SplitDataset
) -> None:
    of = recipe(algorithm, backbone)
    checkpoint = Training(of, glyphs, captured=captured).stepped(STEPS // 2).as_checkpoint()
    resumed = Training(of, glyphs, captured=captured)
    resumed.state.restore(checkpoint)
    assert_same_bits(resumed.stepped(STEPS - STEPS // 2), Training(of, glyphs, captured=captured).stepped(STEPS))


@compiled_steps
def test_the_compiled_gradient_is_that_of_the_plain_loop_on_a_cpu(algorithm: str, backbone: str) -> None:
    chosen, kernels = ALGORITHMS[algorithm], FORMS_OF_A_COMPILED_PATH.kernels
    pair, episodes = Pair.of(recipe_of(chosen, backbones(chosen)[backbone])), episodes_of(2)
    weights = {name: kernels.lay_out(value.to("cuda", torch.float32)) for name, value in pair.learner.weights.items()}
    images = EpisodeBatch(*(part.to("cuda", torch.float32) for part in (episodes.support, episodes.query)))
    gradient = CompiledGradient(pair.learner.algorithm)
    taught = gradient(weights, images, loss_factor=pair.recipe.outer_loss_factor, kernels=kernels)
    assert_near(taught.loss[0].cpu(), pair.plain_loss(episodes).detach(), FLOAT32)
    for name, theirs in pair.plain_gradient(episodes).items():
        assert_near(taught.gradient[name][0].cpu(), theirs, FLOAT32, name)


@compiled_steps
def test_a_compiled_and_captured_training_repeats_and_resumes_to_the_bit(
    algorithm: str, backbone: str, glyphs: SplitDataset
) -> None:
    of = recipe(algorithm, backbone)

    def training() -> Training:
        return Training(of, glyphs, captured=True, compiled=True)

    whole = training().stepped(STEPS)
    assert_same_bits(training().stepped(STEPS), whole)
    checkpoint = training().stepped(STEPS // 2).as_checkpoint()
    resumed = training()
    resumed.state.restore(checkpoint)
    assert_same_bits(resumed.stepped(STEPS - STEPS // 2), whole)


@compiled_steps
def test_a_compiled_path_repeats_before_it_is_chosen(algorithm: str, backbone: str) -> None:
    path = dataclasses.replace(FORMS_OF_A_COMPILED_PATH, compiled=True, captured=True)
    with path.active():
        assert repeats_exactly(recipe(algorithm, backbone), path, (1, 28, 28))


@stepped
@captured_or_not
def test_seeds_trained_together_equal_each_trained_alone(
    algorithm: str, backbone: str, captured: bool, glyphs: SplitDataset
) -> None:
    of, form = recipe(algorithm, backbone), (algorithm, backbone)
    for kernels in TOGETHER:
        together = Training(of, glyphs, seeds=(0, 1, 2), captured=captured, kernels=kernels).stepped(steps_of(form))
        for place, seed in enumerate((0, 1, 2)):
            own = dataclasses.replace(of, seed=seed)
            alone = Training(own, glyphs, seeds=(seed,), captured=captured, kernels=kernels)
            assert_same_training(form, together, alone, place)


@stepped
@captured_or_not
def test_a_seed_that_is_nan_leaves_the_others_their_bits(
    algorithm: str, backbone: str, captured: bool, glyphs: SplitDataset
) -> None:
    """A kernel that packed several groups into one product with zeros would spread it."""
    of = recipe(algorithm, backbone)
    for kernels in TOGETHER:
        whole, spoilt = (Training(of, glyphs, seeds=(0, 1, 2), captured=captured, kernels=kernels) for _ in range(2))
        for values in spoilt.state.weights.values():
            values[1] = float("nan")
        for training in (whole, spoilt):
            training.stepped(STEPS)
        assert not spoilt.state.is_finite(1)
        for seed in (0, 2):
            theirs = bits(whole.state, seed)
            assert not [name for name, value in bits(spoilt.state, seed).items() if not torch.equal(value, theirs[name])]


def test_trials_that_train_together_have_their_bits_alone_and_after_a_stop(glyphs: SplitDataset, tmp_path: Path) -> None:
    """Their path is captured, so that a group also leaves and enters a CUDA graph at a checkpoint."""
    path = ExecutionPath(device="cuda", seeds_together=3, captured=True, convolution="unfolded", layout="channels_first")

    def trained(name: str, seeds: Sequence[int] = (0, 1, 2), **run: object) -> dict[int, TrialResult]:
        begun = [
            Trial(
                recipe=glyphs_recipe(seed=seed),
                run=TrialRun(folder=tmp_path / name / str(seed), dataset=glyphs, **{"path": path, **run}),  # type: ignore[arg-type]
            )
            for seed in seeds
        ]
        return {
            result.recipe.seed: result
            for group in seed_groups([begun_trial(each) for each in begun])
            for result in run_together(group)
        }

    whole = trained("whole")
    assert len({result.weights_digest for result in whole.values()}) == 3
    with pytest.raises(StopRequested):
        trained("stopped", should_stop=StopAfter(3 * 8))
    assert trained("stopped") == whole
    assert trained("alone", [0]) == {0: whole[0]}


def test_seeds_train_together_on_the_path_that_is_measured_to_be_the_fastest(glyphs: SplitDataset, tmp_path: Path) -> None:
    begun = [
        Trial(recipe=glyphs_recipe(seed=seed, steps=5), run=TrialRun(folder=tmp_path / str(seed), dataset=glyphs, device="cuda"))
        for seed in range(2)
    ]
    groups = seed_groups([begun_trial(each) for each in begun])
    assert {trial.path.seeds_together for group in groups for trial in group} <= {1, 2}
    assert [result.status for group in groups for result in run_together(group)] == ["complete"] * 2
