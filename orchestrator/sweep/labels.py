"""Names trials and cells. Each name states all differences from the others of its plan, and states them first."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fsl_core.recipe.data_settings import owners_of_choices, usual_data
from fsl_core.recipe.recipe import TrainingRecipe
from orchestrator.sweep.cell_settings import CellSettings, descriptions
from orchestrator.sweep.spelling import Words, cell_words, trial_words, unsaid

_AFTER_ALGORITHM = ("backbone", "evaluation_adaptation_steps", "inductive")
_FORM_KEYS = [key for key, said in descriptions().items() if said.form and key not in _AFTER_ALGORITHM]
_FORM = (*_FORM_KEYS, *_AFTER_ALGORITHM)
"""The settings that name an algorithm, its own ones first."""
_DATA = ("dataset", "shape")
_IMAGES = ("split", "rotations", "distinct_characters", "black_on_white", *owners_of_choices())
_KIND = (*_FORM, *_DATA)
"""The settings that define a kind. A setting that they determine in the whole plan is omitted."""
_LEADING = ("preset", "train_way")
"""The settings stated next. Settings that these determine too are omitted."""
_HEADS = ("algorithm", "dataset")
_TRAILING = ("train_query", "query", "evaluation_", "validation_")
"""The beginnings of the settings that are stated last, because readers look for the others first."""
_UNSAID = unsaid()
_LONGEST = 200
"""Characters of a full name: some of MLflow's stores keep 250."""


@dataclass(frozen=True)
class CellName:
    """A cell's name among the cells of its plan, and its ``label``: the settings that have no column of their own in the table."""

    name: str
    label: str


@dataclass(frozen=True)
class TrialName:
    """A trial's name among the trials of its plan, and its ``kind``: the name without the seed."""

    name: str
    kind: str


def trial_names(recipes: Sequence[TrainingRecipe]) -> tuple[TrialName, ...]:
    """The unique names of distinct trials, such as ``maml order 2 · omniglot 5w1s · s0``."""
    every = [trial_words(recipe) for recipe in recipes]
    said, first = _said(every), _differing(every)
    whole, kind = _layout([*said, "seed"], first), _layout(said, first)
    return tuple(TrialName(_name(words, whole), _name(words, kind)) for words in every)


def cell_names(cells: Sequence[CellSettings]) -> tuple[CellName, ...]:
    """The unique names of distinct cells, such as ``maml order 2, 3 adaptation steps · omniglot 5-way 1-shot``."""
    every = [cell_words(cell) for cell in cells]
    said, first = _said(every), _differing(every)
    layout, beside = _layout(said, first), [key for key in said if key not in ("algorithm", *_DATA)]
    return tuple(CellName(_name(words, layout), ", ".join(_texts(words, beside))) for words in every)


def full_name(recipe: TrainingRecipe) -> str:
    """A trial's unique name outside its plan: its kind, its steps and every setting unlike its default."""
    words, usual = trial_words(recipe), trial_words(_usual(recipe))
    said = [key for key in _ordered(words) if _notable(key, words[key]) or key == "steps" or words[key] != usual.get(key)]
    kind = _name(words, _layout(said, ()))
    if len(kind) > _LONGEST:
        kind = f"{kind[: _LONGEST - 20]}… {recipe.fingerprint}"
    return f"{kind} · {words['seed']}"


def _usual(recipe: TrainingRecipe) -> TrainingRecipe:
    """The default recipe of the same algorithm and backbone, on the same images, in training episodes of the same shape."""
    data = usual_data(recipe.data.dataset)
    kinds: dict[str, Any] = {
        "algorithm": recipe.algorithm.name,
        "backbone": recipe.backbone.name,
        "dataset": data.dataset,
        "split": data.split,
    }
    # In a usual shape: the test classes may be too few for the training's shape.
    plain = CellSettings(**kinds, way=5, shot=1).recipe(0)
    own = replace(plain.episode, way=recipe.episode.way, shot=recipe.episode.shot)
    way = own.way if recipe.algorithm.adapts else plain.validation.shape.way
    shape = replace(plain.validation.shape, way=way, shot=own.shot)
    return replace(plain, episode=own, validation=replace(plain.validation, shape=shape))


def _said(every: Sequence[Words]) -> list[str]:
    """The keys that every name states, if it has them, so that no name omits what another states."""
    keys = _ordered(dict.fromkeys(key for words in every for key in words))
    said = {key for key in keys if any(_notable(key, words[key]) for words in every if key in words)}
    said |= {key for key in _KIND if len({words[key] for words in every if key in words}) > 1}
    classes: list[Hashable] = [tuple(words.get(key) for key in _KIND) for words in every]
    for key in _LEADING:
        if _varies_within(classes, every, key):
            said.add(key)
            classes = [(known, words.get(key)) for known, words in zip(classes, every, strict=True)]
    said |= {key for key in keys if key not in (*_KIND, *_LEADING) and _varies_within(classes, every, key)}
    return [key for key in keys if key in said]


def _ordered(keys: Iterable[str]) -> list[str]:
    """The keys in the order of names, without the seed, which the caller puts last."""
    front = {key: place for place, key in enumerate((*_KIND, *_IMAGES, *_LEADING, "steps"))}
    return sorted((key for key in keys if key != "seed"), key=lambda key: front.get(key, 100 + key.startswith(_TRAILING)))


def _notable(key: str, word: str) -> bool:
    return (key in _KIND and word != _UNSAID.get(key)) or word == "untrained"


def _differing(every: Sequence[Words]) -> set[str]:
    keys = {key for words in every for key in words}
    return {key for key in keys if len({words.get(key) for words in every}) > 1}


def _varies_within(classes: Sequence[Hashable], every: Sequence[Words], key: str) -> bool:
    """Whether two members of one class differ in a setting."""
    seen: dict[Hashable, str | None] = {}
    return any(seen.setdefault(each, words.get(key)) != words.get(key) for each, words in zip(classes, every, strict=True))


Part = tuple[Sequence[str], Sequence[str]]
"""A part of a name: the algorithm or the data set if it begins with one, and what follows, separated by commas."""


def _layout(said: Sequence[str], first: Collection[str]) -> list[Part]:
    """The parts of a plan's names: form, images, others and seed of the differing settings, then the same of the common ones."""
    ahead, after = [key for key in said if key in first], [key for key in said if key not in first]
    parts = [[key for key in keys if _group(key) == group] for keys in (ahead, after) for group in range(4)]
    return [([key for key in part if key in _HEADS], [key for key in part if key not in _HEADS]) for part in parts if part]


def _group(key: str) -> int:
    return 0 if key in _FORM else 1 if key in (*_DATA, *_IMAGES) else 3 if key == "seed" else 2


def _name(words: Words, layout: Sequence[Part]) -> str:
    parts = (" ".join(filter(None, (*_texts(words, heads), ", ".join(_texts(words, others))))) for heads, others in layout)
    return " · ".join(filter(None, parts))


def _texts(words: Words, keys: Iterable[str]) -> list[str]:
    return [words[key] for key in keys if key in words]
