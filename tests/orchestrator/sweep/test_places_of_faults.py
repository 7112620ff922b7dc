"""Where a wrong value is reported: at the line, or the option, that it stands at."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fsl_core.errors import SettingError
from orchestrator.errors import SweepFileError
from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings
from orchestrator.sweep.loader import load_sweep

MAML = {"algorithm": "maml"}
REPTILE = {"algorithm": "reptile"}
OWN_IMAGES = {"dataset": "folder", "split": "zoo"}
MATCHING = {"algorithm": "matching", "fce": True, "reading_steps": 2, "support_order": "by_class"}
WRONG: dict[str, tuple[Any, dict[str, Any]]] = {
    "preset": ("nobody", {}),
    "algorithm": ("leo", {}),
    "distance": ("manhattan", {}),
    "scale": (0.0, {}),
    "learn_scale": (3, MATCHING),
    "fce": ("half", {"algorithm": "matching"}),
    "reading_steps": (0, MATCHING),
    "support_order": ("backwards", MATCHING),
    "order": (3, MAML),
    "adaptation_steps": (-1, MAML),
    "evaluation_adaptation_steps": (-1, MAML),
    "inner_lr": (-0.1, MAML),
    "inductive": ("half", MAML),
    "clamp": (0.7, {"algorithm": "matching"}),
    "inner_reduction": ("max", MAML),
    "outer_reduction": ("max", MAML),
    "adapt_batch_norm": ("half", MAML),
    "inner_optimiser": ("lbfgs", REPTILE),
    "inner_batch_size": (0, REPTILE),
    "evaluation_inner_batch_size": (0, REPTILE),
    "dataset": ("cifar", {}),
    "split": ("vinyal", {}),
    "rotations": ("some", {}),
    "distinct_characters": ("half", {}),
    "black_on_white": ("half", {}),
    "resize": ("bilinear", {}),
    "normalise": ("half", {"dataset": "mini_imagenet", "split": "ravi"}),
    "image_size": (8, OWN_IMAGES),
    "channels": (2, OWN_IMAGES),
    "way": (1, {}),
    "shot": (0, {}),
    "query": (0, {}),
    "evaluation_episodes": (0, {}),
    "evaluation_seed": (-1, {}),
    "train_way": (1, {}),
    "train_shot": (0, {}),
    "train_query": (0, {}),
    "validation_way": (1, {}),
    "validation_shot": (0, {}),
    "validation_query": (0, {}),
    "validation_every": (0, {}),
    "validation_episodes": (1, {}),
    "validation_adaptation_steps": (-1, MAML),
    "selection": ("best", {}),
    "patience": (0, {}),
    "steps": (-1, {}),
    "meta_batch_size": (0, {}),
    "optimiser": ("lbfgs", {}),
    "outer_lr": (0.0, {}),
    "halve_every": (0, {}),
    "first_halving": (0, {}),
    "decay_steps": (0, {}),
    "clip_norm": (0.0, {}),
    "clip_value": (0.0, {}),
    "backbone": ("resnet", {}),
    "filters": (0, {}),
    "downsampling": ("average", {}),
    "padding": ("valid", {}),
    "batch_norm": ("none", {}),
    "batch_norm_scale": ("half", {}),
    "batch_norm_epsilon": (0.0, {}),
    "initialisation": ("he", {}),
    "growth": ("slow", {"backbone": "resnet12"}),
    "retrain": ("twice", {}),
    "matmul_precision": ("bf16", {}),
}
"""A wrong value for each key, and what else a cell must have for it to be the only fault."""
NEEDED: dict[str, Any] = {"dataset": "omniglot", "split": "vinyals", "way": 5, "shot": 1}


def lines_of(settings: dict[str, Any], indent: str) -> str:
    return "".join(f"{indent}{key}: {json.dumps(value)}\n" for key, value in settings.items())


def fault(folder: Path, text: str, **overrides: Any) -> str:
    path = folder / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(SweepFileError) as caught:
        load_sweep(path, **overrides)
    return str(caught.value).replace(f"{folder}/", "")


def line_of(text: str, part: str) -> int:
    (line,) = [number for number, line in enumerate(text.splitlines(), 1) if part in line]
    return line


HEAD = "name: s\ntitle: S\nseeds: [0]\n"


def sweep_text(key: str, **blocks: str) -> str:
    """A sweep that fixes all that a cell needs but ``key``, with more blocks behind it."""
    rest = {name: value for name, value in {**NEEDED, **WRONG[key][1]}.items() if name != key}
    return f"{HEAD}fixed:\n{lines_of(rest, '  ')}{blocks.get('fixed', '')}{blocks.get('below', '')}"


def fixed(folder: Path, key: str, value: Any) -> tuple[str, str]:
    text = sweep_text(key, fixed=lines_of({key: value}, "  "))
    return fault(folder, text), f"sweep.yaml:{line_of(text, f'  {key}: ')}: fixed.{key}: "


def grid(folder: Path, key: str, value: Any) -> tuple[str, str]:
    text = sweep_text(key, below=f"grid:\n  {key}:\n    - {json.dumps(value)}\n")
    return fault(folder, text), f"sweep.yaml:{line_of(text, f'    - {json.dumps(value)}')}: grid.{key}[0]: "


def conditional(folder: Path, key: str, value: Any) -> tuple[str, str]:
    text = sweep_text(key, below=f"grid:\n  {key}:\n    when: {{seen: 1}}\n    values:\n      - {json.dumps(value)}\n")
    known = "shot" if key != "shot" else "way"
    text = text.replace("{seen: 1}", json.dumps({known: NEEDED[known]}))
    return fault(folder, text), f"sweep.yaml:{line_of(text, f'      - {json.dumps(value)}')}: grid.{key}.values[0]: "


def included(folder: Path, key: str, value: Any) -> tuple[str, str]:
    text = sweep_text(key, below=f"include:\n  - {key}: {json.dumps(value)}\n    evaluation_seed: 7\n")
    if key == "evaluation_seed":
        text = text.removesuffix("    evaluation_seed: 7\n")
    return fault(folder, text), f"sweep.yaml:{line_of(text, f'  - {key}: ')}: include[0].{key}: "


def of_a_preset(folder: Path, key: str, value: Any) -> tuple[str, str]:
    (folder / "presets").mkdir()
    rules = f"rules:\n  - when: {{}}\n    give:\n      {key}: {json.dumps(value)}\n"
    text = f"id: mine\ntitle: Mine\ndescription: d\npublished: [snell_2017]\n{rules}"
    (folder / "presets" / "mine.yaml").write_text(text)
    place = f"presets/mine.yaml:{line_of(text, f'      {key}: ')}: rules[0].give.{key}: "
    return fault(folder, sweep_text(key, fixed="  preset: mine\n")), place


def of_an_option(folder: Path, key: str, value: Any) -> tuple[str, str]:
    option = f"{key}={json.dumps(value)}"
    return fault(folder, sweep_text(key), set_values=[option]), f"--set {key}="


PLACES = [fixed, grid, conditional, included, of_a_preset, of_an_option]


def test_every_key_has_a_wrong_value() -> None:
    assert set(WRONG) == set(SETTING_NAMES)


@pytest.mark.parametrize(
    ("key", "where"),
    [
        pytest.param(key, where, id=f"{key}-{where.__name__}")
        for key in SETTING_NAMES
        for where in PLACES
        if (key, where) != ("preset", of_a_preset)  # a preset gives no preset
    ],
)
def test_a_wrong_value_is_reported_with_its_place(
    tmp_path: Path, key: str, where: Callable[[Path, str, Any], tuple[str, str]]
) -> None:
    message, place = where(tmp_path, key, WRONG[key][0])
    assert message.startswith(place)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("settings", "key", "problem"),
    [
        ({"preset": "paper", "steps": 80}, "steps", "a validation every 100 steps never happens in 80 steps; give validation_every: 80"),
        ({"steps": 80}, "steps", "give validation_every: 80"),
        ({"validation_every": 20_000, "patience": None}, "validation_every", "a validation every 20000 steps never happens"),
        ({"preset": "paper", "validation_every": 5000, "steps": 9000}, "validation_every", "with a validation every 5000 steps"),
        ({"algorithm": "maml", "validation_way": 7}, "validation_way", "validation_way is 7; maml answers the 5 ways it trains on"),
        ({"algorithm": "maml", "train_way": 7}, "way", "way is 5; maml answers the 7 ways it trains on"),
        ({"algorithm": "maml", "batch_norm": "running"}, "batch_norm", "batch_norm is 'running'; maml normalises"),
        ({"batch_norm": "batch"}, "batch_norm", "batch_norm is 'batch'; prototypical normalises by the running statistics"),
        ({"algorithm": "matching", "fce": True}, "fce", "reading_steps is not given; with fce it must be given"),
        ({"algorithm": "matching", "reading_steps": 2}, "reading_steps", "without fce there is none"),
        ({"order": 1}, "order", "order is 1; algorithm 'prototypical' has none, only maml"),
        ({"evaluation_adaptation_steps": 1}, "evaluation_adaptation_steps", "prototypical does not adapt"),
        ({"inductive": True}, "inductive", "prototypical does not adapt"),
        ({"dataset": "mini_imagenet", "split": "ravi", "rotations": True}, "rotations", "is no new class; give rotations: false"),
        ({"distinct_characters": True, "rotations": False}, "distinct_characters", "no turns of a character to keep apart"),
        ({"dataset": "mini_imagenet", "split": "ravi", "black_on_white": True}, "black_on_white", "is not inverted, only omniglot, gl"),
        ({"normalise": False}, "normalise", "normalise is false; dataset 'omniglot' has none, only mini_imagenet"),
        ({"dataset": "glyphs", "split": "glyphs", "resize": "nearest"}, "resize", "dataset 'glyphs' has none, only omniglot"),
        ({"dataset": "mini_imagenet"}, "split", "split is 'vinyals'; accepted: 'ravi'"),
    ],
)  # fmt: skip
def test_incompatible_values_are_reported_at_the_one_that_the_sweep_gives(
    tmp_path: Path, settings: dict[str, Any], key: str, problem: str
) -> None:
    given = {**NEEDED, **settings}
    given = {name: value for name, value in given.items() if name != "preset"} | (
        {"preset": given["preset"], "algorithm": "prototypical"} if "preset" in given else {}
    )
    text = f"{HEAD}fixed:\n{lines_of(given, '  ')}"
    message = fault(tmp_path, text)
    assert message.startswith(f"sweep.yaml:{line_of(text, f'  {key}: ')}: fixed.{key}: "), message
    assert problem in message


def test_an_error_holds_its_setting_as_data() -> None:
    with pytest.raises(SettingError) as caught:
        CellSettings(dataset="omniglot", split="vinyals", way=5, shot=1, steps=80)
    error = caught.value
    assert (error.setting, error.value, error.beside) == ("steps", 80, ("validation_every",))
    assert error.give == {"validation_every": 80}


def test_an_error_carries_its_setting_and_value(tmp_path: Path) -> None:
    """Nobody has to read them out of its text."""
    path = tmp_path / "sweep.yaml"
    for rest, setting, value in (({"validation_way": 1}, "validation_way", 1), ({"steps": "many"}, "steps", "many")):
        path.write_text(f"{HEAD}fixed:\n{lines_of({**NEEDED, **rest}, '  ')}")
        with pytest.raises(SweepFileError) as caught:
            load_sweep(path)
        assert (caught.value.setting, caught.value.value) == (setting, value)
