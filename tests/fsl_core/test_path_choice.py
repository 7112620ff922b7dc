"""The choice of an execution path: measured once, kept by whoever writes first, and obeyed whatever a timer says later."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from fsl_core.backbones.kernels import Convolution, Layout, Normalisation, Stem
from fsl_core.backbones.resnet12 import ResNet12Settings
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import ExecutionPathError, RecipeError, SettingError, StopRequested
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from fsl_core.recipe.recipe import TrainingRecipe, ValidationSettings
from fsl_core.training import path_repetition, recorded_kind, seed_groups
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_choice import Stopwatch, choose_path
from fsl_core.training.path_file import path_as_document, path_as_plain, path_from_plain, read_path, write_path
from fsl_core.training.path_repetition import not_repeating, repeats_exactly
from fsl_core.training.path_timing import stopwatch_of, training_along
from fsl_core.training.state import TrainingState
from fsl_core.training.step_kind import StepKind
from fsl_core.training.trial_run import Trial, TrialRun
from tests.fsl_core.conftest import glyphs_recipe

Shape = tuple[int, int, int]
COMPILED = ExecutionPath(normalisation="plain", stem="maps", compiled=True)


def kind_of(*, threads: int = 1, device: str = "cpu") -> StepKind:
    return StepKind(recipe=glyphs_recipe(), image_shape=(1, 28, 28), device=device, threads=threads)


def preferring(layout: str) -> Stopwatch:
    """A stopwatch for which paths of this layout take half as long as any other."""
    return lambda recipe, path, shape: lambda: 10.0 if path.layout == layout else 20.0


def no_timer(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
    raise AssertionError("it measured")


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_the_fastest_path_is_chosen_and_stored(layout: str, tmp_path: Path) -> None:
    chosen = choose_path(kind_of(), tmp_path, preferring(layout))
    assert (chosen.layout, chosen.device, chosen.threads) == (layout, "cpu", 1)
    assert choose_path(kind_of(), tmp_path, no_timer) == chosen
    (file,) = tmp_path.iterdir()
    assert read_path(file) == chosen
    kept = json.loads(file.read_bytes())
    assert {path_from_plain(each["path"]): each["seconds_an_episode"] for each in kept["measured"]} == {
        path: 10.0 if path.layout == layout else 20.0 for path in kind_of().candidates()
    }
    assert kept["kind"] == json.loads(json.dumps(kind_of().as_plain()))


def test_another_kind_of_step_has_a_choice_of_its_own(tmp_path: Path) -> None:
    one = choose_path(kind_of(), tmp_path, preferring("channels_first"))
    two = choose_path(kind_of(threads=2), tmp_path, preferring("channels_last"))
    assert (one.threads, one.layout, two.threads, two.layout) == (1, "channels_first", 2, "channels_last")
    assert len(list(tmp_path.iterdir())) == 2


def test_two_concurrent_choosers_both_take_the_first_choice_written(tmp_path: Path) -> None:
    """The second begins while the first measures, and is done before it."""
    others: list[ExecutionPath] = []

    def overtaken(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        if not others:
            others.append(choose_path(kind_of(), tmp_path, preferring("channels_first")))
        return preferring("channels_last")(recipe, path, shape)

    chosen = choose_path(kind_of(), tmp_path, overtaken)
    assert [chosen] == others
    assert chosen.layout == "channels_first"


def test_without_a_folder_no_choice_is_stored(tmp_path: Path) -> None:
    for layout in ("channels_first", "channels_last"):
        assert choose_path(kind_of(), None, preferring(layout)).layout == layout


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"path": {"layout": "sideways"}}', b'{"path": 3}', b"\xff"])
def test_a_damaged_choice_is_measured_again_and_shared_by_later_trials(content: bytes, tmp_path: Path) -> None:
    choose_path(kind_of(), tmp_path, preferring("channels_first"))
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    chosen = choose_path(kind_of(), tmp_path, preferring("channels_last"))
    assert chosen.layout == "channels_last"
    assert choose_path(kind_of(), tmp_path, no_timer) == chosen


@pytest.mark.parametrize("measured", [1, 2, 3])
def test_a_stop_while_paths_are_compiled_stores_no_choice(measured: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come before the first of them, between two, or when all are measured: its signal ends a compiler too."""
    usual, seen = kind_of().usual_path(), list[ExecutionPath]()
    monkeypatch.setattr(recorded_kind, "COMPILED_STEPS_ARE_CHOSEN", True)
    compiled = [dataclasses.replace(COMPILED, layout=layout) for layout in ("channels_last", "channels_first")]
    monkeypatch.setattr(StepKind, "candidates", lambda self: iter([usual, *compiled]))

    def ended_compiler(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        seen.append(path)
        if path.compiled:
            raise ExecutionPathError("torch.compile could not compile a step here")
        return lambda: 60.0

    with pytest.raises(StopRequested, match="measured"):
        choose_path(kind_of(), tmp_path, ended_compiler, should_stop=lambda: len(seen) >= measured)
    assert seen == [usual, *compiled][:measured]
    assert not list(tmp_path.iterdir())
    assert choose_path(kind_of(), tmp_path, ended_compiler) == usual


def test_a_shortage_of_memory_says_nothing_about_a_path(tmp_path: Path) -> None:
    """It passes, and the stored choice is for every later trial."""

    def short(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> bool:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        choose_path(kind_of(), tmp_path, preferring("channels_first"), short)
    assert not list(tmp_path.iterdir())


def test_a_path_that_is_unavailable_when_it_is_repeated_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    kind = kind_of()
    assert not_repeating(kind.recipe, [COMPILED, ExecutionPath()], kind.image_shape, lambda *_: True) == [COMPILED]
    with pytest.raises(ExecutionPathError, match=r"repeats to the bit: .*TORCHDYNAMO_DISABLE"):
        not_repeating(kind.recipe, [COMPILED], kind.image_shape, lambda *_: True)


def test_a_path_that_does_not_work_here_is_left_out(tmp_path: Path) -> None:
    def lacking(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        if path.layout == "channels_first":
            raise RuntimeError("no such operation on this device")
        return lambda: 1.0

    chosen = choose_path(kind_of(), tmp_path, lacking)
    assert chosen == kind_of().usual_path()
    (file,) = tmp_path.iterdir()
    assert "channels_first" not in {each["path"]["layout"] for each in json.loads(file.read_bytes())["measured"]}


def test_a_usual_path_that_does_not_work_on_a_cpu_is_an_error(tmp_path: Path) -> None:
    def broken(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        raise RuntimeError("the step itself is wrong")

    with pytest.raises(RuntimeError, match="the step itself is wrong"):
        choose_path(kind_of(), tmp_path, broken)
    assert list(tmp_path.iterdir()) == []


def test_candidates_are_measured_in_turn_and_hopeless_ones_once() -> None:
    """After a step of each that does not count."""
    calls: list[str] = []
    seconds = {"channels_first patches": 9.0, "channels_last maps": 1.2, "channels_last patches": 1.0}

    def noting(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        name = f"{path.layout} {path.stem}"

        def take() -> float:
            calls.append(name)
            return seconds[name]

        return take

    choose_path(kind_of(), None, noting)
    first, rest = calls[:6], calls[6:]
    assert sorted(first) == sorted([*seconds, *seconds])
    assert rest == ["channels_last patches", "channels_last maps"] * (len(rest) // 2) and len(rest) >= 4


def test_one_time_costs_of_a_process_make_no_path_hopeless() -> None:
    """The usual path is measured first: its first step takes long, and it is the fastest all the same."""
    happened: list[ExecutionPath] = []

    def beginning(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        def take() -> float:
            happened.append(path)
            if len(happened) == 1:
                return 100.0
            return 1.0 if path == kind_of().usual_path() else 2.0

        return take

    assert choose_path(kind_of(), None, beginning) == kind_of().usual_path()


def test_every_candidate_of_a_cpu_can_be_timed() -> None:
    for path in kind_of().candidates():
        assert 0 < stopwatch_of(glyphs_recipe(), path, (1, 28, 28))() < math.inf


@pytest.mark.parametrize(
    "plain", [None, [], {"layout": "sideways"}, {"device": "tpu"}, {"threads": 0}, {"captured": True}, {"speed": 9}]
)
def test_an_invalid_path_is_refused(plain: object) -> None:
    with pytest.raises(RecipeError):
        path_from_plain(plain)


def test_a_path_of_a_later_version_is_refused_and_not_replaced(tmp_path: Path) -> None:
    document = json.loads(path_as_document(ExecutionPath()))
    document["path"]["tiling"] = "square"
    (tmp_path / "path.json").write_text(json.dumps(document))
    with pytest.raises(ExecutionPathError, match="tiling, unknown to this version"):
        read_path(tmp_path / "path.json")


def test_every_part_of_a_path_is_required() -> None:
    """A part that is absent is not today's default: the trial that wrote the file may have had another."""
    whole = path_as_plain(ExecutionPath(seeds_together=2, place=1))
    for name in whole:
        plain = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(RecipeError, match=name):
            path_from_plain(plain)


def test_the_path_of_a_trial_that_trains_alone_says_nothing_of_other_seeds_or_of_a_compiler() -> None:
    """It is the document that every trial had before seeds could train together and steps be compiled."""
    plain = path_as_plain(ExecutionPath())
    assert plain.keys() == dataclasses.asdict(ExecutionPath()).keys() - {"seeds_together", "place", "compiled"}
    assert path_from_plain(plain) == ExecutionPath()


def test_a_compiled_path_is_read_as_it_was_written(tmp_path: Path) -> None:
    for path in (COMPILED, dataclasses.replace(COMPILED, seeds_together=2, place=1)):
        (tmp_path / "path.json").write_bytes(path_as_document(path))
        assert json.loads((tmp_path / "path.json").read_bytes())["path"]["compiled"] is True
        assert read_path(tmp_path / "path.json") == path
    assert "compiled" in str(COMPILED)


@pytest.mark.parametrize("form", [{"normalisation": "fused"}, {"stem": "patches"}, {"compiled": "yes"}])
def test_only_the_plain_forms_can_be_compiled(form: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="compiled"):
        path_from_plain({**path_as_plain(COMPILED), **form})


def test_several_seeds_are_tried_together_on_cuda_and_share_the_memory_of_one() -> None:
    kind = dataclasses.replace(kind_of(), device="cuda", seeds=3)
    alone = [path for path in dataclasses.replace(kind, seeds=1).candidates() if not path.compiled]
    assert list(kind.candidates())[: len(alone)] == alone
    together = [path for path in list(kind.candidates())[len(alone) :] if not path.compiled]
    assert {path.seeds_together for path in together} == {3}
    forms = [dataclasses.replace(path, seeds_together=1, episodes_at_once=1) for path in together]
    assert forms[: len(alone)] == [dataclasses.replace(path, episodes_at_once=1) for path in alone]
    assert [path.convolution for path in forms[len(alone) :]] == ["unfolded"], "several seeds are several groups"


def test_a_step_of_several_seeds_is_timed_for_each() -> None:
    together = dataclasses.replace(kind_of().usual_path(), seeds_together=2)
    assert 0 < stopwatch_of(glyphs_recipe(), together, (1, 28, 28))() < math.inf


def test_if_no_path_works_no_choice_is_stored(tmp_path: Path) -> None:
    def broken(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        def take() -> float:
            raise RuntimeError("no memory left")

        return take

    def broken_later(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        calls = iter([1.0, 1.0])

        def take() -> float:
            for each in calls:
                return each
            raise RuntimeError("no memory left")

        return take

    with pytest.raises(RuntimeError, match="no memory left"):
        choose_path(kind_of(), tmp_path, broken)
    with pytest.raises(ExecutionPathError, match="no execution path on cpu works here now"):
        choose_path(kind_of(), tmp_path, broken_later)
    assert not list(tmp_path.iterdir())


def test_a_path_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = ExecutionPath(threads=3, episodes_at_once=4, layout="channels_first", normalisation="plain", convolution="unfolded")
    (tmp_path / "path.json").write_bytes(path_as_document(path, measured=[]))
    assert read_path(tmp_path / "path.json") == path


def test_a_hopeless_path_is_released_before_the_next_is_measured() -> None:
    """A recorded step holds the memory of all its activations, which the next candidates need."""
    alive: set[int] = set()
    most: list[int] = []

    class Timed:
        def __init__(self, seconds: float) -> None:
            self.seconds = seconds
            alive.add(id(self))
            most.append(len(alive))

        def __call__(self) -> float:
            return self.seconds

        def __del__(self) -> None:
            alive.discard(id(self))

    def slower_and_slower(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        return Timed(10 * 2.0 ** len(most))

    assert choose_path(kind_of(), None, slower_and_slower) == kind_of().usual_path()
    assert len(most) == len(list(kind_of().candidates())) > 2
    assert max(most) == 2, "the best and the one that is measured"


def test_on_cuda_every_path_is_captured_but_one() -> None:
    one, several = kind_of(device="cuda"), dataclasses.replace(kind_of(device="cuda"), recipe=glyphs_recipe(meta_batch_size=4))
    for kind in (one, several, photographs()):
        paths = list(kind.candidates())
        assert paths[0] == kind.usual_path()
        assert len(set(paths)) == len(paths)
        assert [path.captured for path in paths].count(False) == 1
        assert {path.layout for path in paths} == {"channels_last", "channels_first"}
        assert {path.normalisation for path in paths} >= {"fused", "library"}
        assert {path.stem for path in paths} >= {"maps", "products"}
    assert {path.convolution for path in one.candidates()} == {"grouped"}
    assert {path.normalisation for path in several.candidates()} == {"fused", "plain", "library"}
    assert {path.stem for path in several.candidates()} == {"patches", "maps", "products"}


def test_on_cuda_groups_of_small_images_are_unfolded_first_and_groups_of_large_ones_convolved() -> None:
    several = dataclasses.replace(kind_of(device="cuda"), recipe=glyphs_recipe(meta_batch_size=4))
    for kind, first in ((several, "unfolded"), (photographs(), "grouped")):
        assert kind.usual_path().episodes_at_once > 1
        assert kind.usual_path().convolution == kind.compiled().convolution == first
        assert {path.convolution for path in kind.candidates()} == {"grouped", "unfolded"}
    compiled = photographs().compiled()
    compiled.check_sound()
    assert (compiled.stem, compiled.layout) == ("products", "channels_last")


def test_on_cuda_the_usual_batch_norm_is_torchs_for_an_algorithm_that_does_not_adapt() -> None:
    assert kind_of(device="cuda").usual_path().normalisation == "library"
    assert photographs().usual_path().normalisation == "fused"


@pytest.mark.parametrize("backbone", [MlpSettings(batch_norm="running"), ResNet12Settings(filters=2)], ids=lambda each: each.name)
def test_paths_on_which_a_backbone_computes_the_same_are_timed_once(backbone: BackboneSettings) -> None:
    for device in ("cpu", "cuda"):
        kind = dataclasses.replace(kind_of(device=device), recipe=glyphs_recipe(backbone=backbone, meta_batch_size=4))
        forms = [
            (path.compiled, path.captured, path.episodes_at_once, *(getattr(path, form) for form in backbone.forms))
            for path in kind.candidates()
        ]
        assert len(forms) == len(set(forms)) > 1
        assert next(kind.candidates()) == kind.usual_path()


@pytest.mark.parametrize("algorithm", [PrototypicalSettings(), MamlSettings(order=2, adaptation_steps=2, inner_lr=0.1)])
@pytest.mark.parametrize("backbone", [MlpSettings(batch_norm="running"), ResNet12Settings(filters=2)], ids=lambda each: each.name)
def test_a_form_that_a_backbone_does_not_name_changes_no_bit(backbone: BackboneSettings, algorithm: AlgorithmSettings) -> None:
    statistics = "batch" if algorithm.adapts else "running"
    steps = 2 if algorithm.adapts else None
    recipe = glyphs_recipe(
        algorithm=algorithm,
        backbone=dataclasses.replace(backbone, batch_norm=statistics),  # type: ignore[type-var]
        validation=ValidationSettings(shape=EpisodeShape(way=5, shot=1, query=5), every=5, adaptation_steps=steps),
    )
    forms: dict[str, Any] = {"layout": Layout, "normalisation": Normalisation, "convolution": Convolution, "stem": Stem}
    assert forms.keys() == BackboneSettings.forms > backbone.forms
    usual = ended(recipe, ExecutionPath())
    for form, values in forms.items():
        for value in get_args(values) if form not in backbone.forms else ():
            path = dataclasses.replace(ExecutionPath(), **{form: value})
            assert all(torch.equal(values, usual[name]) for name, values in ended(recipe, path).items()), path


def ended(recipe: TrainingRecipe, path: ExecutionPath) -> dict[str, torch.Tensor]:
    """The weights and statistics after a few steps on a path."""
    with path.active():
        state, take_step = training_along(recipe, path, (1, 28, 28), torch.device("cpu"))
        for _ in range(2):
            take_step()
    return state.weights | state.statistics


def photographs() -> StepKind:
    """The kind of MAML's steps on 84 x 84 photographs, two episodes at a time, on CUDA."""
    recipe = glyphs_recipe(
        algorithm=MamlSettings(adaptation_steps=2, inner_lr=0.1),
        backbone=Conv4Settings(batch_norm="batch"),
        validation=ValidationSettings(shape=EpisodeShape(way=5, shot=1, query=5), every=5, adaptation_steps=2),
        meta_batch_size=2,
    )
    return StepKind(recipe=recipe, image_shape=(3, 84, 84), device="cuda", threads=1)


def long_kind(**changes: Any) -> StepKind:
    """The kind of the steps of a long training on CUDA."""
    return dataclasses.replace(kind_of(device="cuda"), recipe=glyphs_recipe(steps=10_000, meta_batch_size=4), **changes)


@pytest.mark.parametrize(("seconds", "seeds", "compiles"), [(0.0029, 1, False), (0.0031, 1, True), (0.0011, 3, True)])
def test_only_a_training_of_two_minutes_is_compiled(
    seconds: float, seeds: int, compiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 40,000 episodes a seed. Compiling takes about a minute."""
    monkeypatch.setattr(recorded_kind, "COMPILED_STEPS_ARE_CHOSEN", True)
    kind = dataclasses.replace(kind_of(), recipe=glyphs_recipe(steps=10_000, meta_batch_size=4), seeds=seeds)
    usual = kind.usual_path()
    monkeypatch.setattr(StepKind, "candidates", lambda self: iter([usual, COMPILED]))

    def halved(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        return lambda: seconds / 2 if path.compiled else seconds

    notices: list[str] = []
    assert choose_path(kind, None, halved, notice=notices.append) == (COMPILED if compiles else usual)
    assert [notice.startswith("compiling the steps") for notice in notices] == [True] * compiles


def test_a_launch_does_not_choose_compiled_steps() -> None:
    """They learned less on a GPU than the same trainings on a CPU."""
    kind = long_kind()
    offered = [path for path in kind.candidates() if kind.may_pay(path, 1.0)]
    assert kind.usual_path() in offered
    assert not [path for path in offered if path.compiled]


def test_compiled_paths_are_candidates_on_cuda_alone() -> None:
    assert not [path for path in dataclasses.replace(long_kind(), device="cpu").candidates() if path.compiled]
    compiled = [path for path in long_kind().candidates() if path.compiled]
    assert [(path.convolution, path.layout) for path in compiled] == [("unfolded", "channels_first")]
    for path in compiled:
        path.check_sound()
        assert path.captured
    assert [path.seeds_together for path in long_kind(seeds=3).candidates() if path.compiled] == [3]
    one_episode = dataclasses.replace(long_kind(seeds=3), recipe=glyphs_recipe(steps=10_000))
    assert [path.seeds_together for path in one_episode.candidates() if path.compiled] == [1]


def test_a_long_training_does_not_obey_the_choice_of_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer paths were measured there."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    for long in (long_kind(), dataclasses.replace(long_kind(), device="cpu")):
        assert long.as_plain() != dataclasses.replace(long, recipe=glyphs_recipe(meta_batch_size=4)).as_plain()


def test_a_path_that_does_not_repeat_is_not_chosen(tmp_path: Path) -> None:
    """Nor one that fails when it is repeated. The next fastest is, and the document says why."""
    asked: list[ExecutionPath] = []
    usual = kind_of().usual_path()

    def repeats(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> bool:
        asked.append(path)
        if path.stem == "maps":
            raise RuntimeError("no memory left")
        return path.layout == "channels_last"

    def timer(recipe: TrainingRecipe, path: ExecutionPath, shape: Shape) -> Callable[[], float]:
        return lambda: 1.0 if path.layout == "channels_first" else 1.1 if path.stem == "maps" else 1.2

    assert choose_path(kind_of(), tmp_path, timer, repeats) == usual
    assert asked == [dataclasses.replace(usual, layout="channels_first"), dataclasses.replace(usual, stem="maps"), usual]
    (file,) = tmp_path.iterdir()
    document = json.loads(file.read_bytes())
    dropped = [path_from_plain(each["path"]) for each in document["measured"] if each.get("repeats") is False]
    assert (sorted(dropped, key=str), read_path(file)) == (sorted(asked[:2], key=str), usual)


def test_without_a_path_that_repeats_no_choice_is_stored(tmp_path: Path) -> None:
    with pytest.raises(ExecutionPathError, match="no execution path that works here repeats"):
        choose_path(kind_of(), tmp_path, preferring("channels_first"), lambda recipe, path, shape: False)
    assert not list(tmp_path.iterdir())


def test_a_step_that_depends_on_more_than_its_start_does_not_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    path, recipe = kind_of().usual_path(), glyphs_recipe()
    assert repeats_exactly(recipe, path, (1, 28, 28))
    built: list[int] = []

    def wavering(recipe: TrainingRecipe, *others: Any) -> tuple[TrainingState, Callable[[], None]]:
        state, take = training_along(recipe, *others)
        built.append(len(built))

        def step() -> None:
            take()
            first = next(iter(state.weights.values())).view(-1)
            first[:1] = torch.nextafter(first[:1], first[:1] + built[-1])

        return state, step

    monkeypatch.setattr(path_repetition, "training_along", wavering)
    assert not repeats_exactly(recipe, path, (1, 28, 28))


@pytest.mark.parametrize(("device", "warned"), [("cuda", True), ("cpu", False)])
@pytest.mark.parametrize("begun", [False, True])
def test_a_path_that_is_compiled_for_a_gpu_is_not_silent(
    device: str, warned: bool, begun: bool, tmp_path: Path, glyphs: SplitDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that is given nor one that the trial already has."""
    monkeypatch.setattr(seed_groups, "pin_path", lambda *pinned: None)
    said: list[str] = []
    path = dataclasses.replace(COMPILED, device=device)
    run = TrialRun(folder=tmp_path, dataset=glyphs, path=None if begun else path, notice=said.append)
    if begun:
        write_path(tmp_path, path)
    ((pinned,),) = seed_groups.seed_groups([seed_groups.begun_trial(Trial(recipe=glyphs_recipe(), run=run))])
    assert pinned.path == path
    assert [line.startswith("this training's path is compiled") for line in said] == [True] * warned
