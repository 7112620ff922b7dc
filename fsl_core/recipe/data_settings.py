"""The settings of every data set. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from fsl_core.checks import one_of, truth
from fsl_core.errors import SettingError

DatasetName = Literal["omniglot", "mini_imagenet", "glyphs"]
SplitName = Literal["vinyals", "background-evaluation", "ravi", "glyphs"]
Resize = Literal["antialiased", "nearest"]

SPLITS_OF_DATASET: dict[str, tuple[str, ...]] = {
    "omniglot": ("vinyals", "background-evaluation"),
    "mini_imagenet": ("ravi",),
    "glyphs": ("glyphs",),
}
"""The class splits that each data set offers."""
WITHOUT_ROTATIONS = ("mini_imagenet",)
"""Data sets whose classes are never turned into new ones."""
CHOICES_OF_DATASET: Mapping[str, Mapping[str, object]] = {
    "omniglot": {"resize": "antialiased"},
    "mini_imagenet": {"normalise": True},
}
"""The settings that only some data sets have, each with its default."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which images, how their classes are split, and which classes may meet in an episode.

    ``rotations`` adds each class turned by 90, 180 and 270 degrees as new ones. With ``distinct_characters`` no episode of training,
    validation or test has two turns of one character: characters are drawn first, then a turn of each.

    ``resize``, of Omniglot: ``antialiased``, in greys, or ``nearest``, which keeps every pixel ink or paper, as the authors of
    Prototypical Networks and of MAML have them. ``normalise``, of miniImageNet: by each channel's mean and deviation, or else x/255
    alone, as the authors of MAML. Both are None for a data set without the choice, and their defaults where it has one.
    """

    dataset: DatasetName
    split: SplitName
    rotations: bool = True
    distinct_characters: bool = False
    resize: Resize | None = None
    normalise: bool | None = None

    def __post_init__(self) -> None:
        one_of("dataset", self.dataset, tuple(SPLITS_OF_DATASET))
        one_of("split", self.split, SPLITS_OF_DATASET[self.dataset], beside=("dataset",))
        truth("rotations", self.rotations)
        truth("distinct_characters", self.distinct_characters)
        if self.rotations and self.dataset in WITHOUT_ROTATIONS:
            problem = f"a turned photograph of {self.dataset} is no new class"
            raise SettingError("rotations", True, problem, beside=("dataset",), give={"rotations": False})
        if self.distinct_characters and not self.rotations:
            photographs = self.dataset in WITHOUT_ROTATIONS
            where, beside = (f"in {self.dataset}", "dataset") if photographs else ("without rotations", "rotations")
            problem = f"{where} there are no turns of a character to keep apart"
            raise SettingError("distinct_characters", True, problem, (beside,), give={"distinct_characters": False})
        self._fill_choices()
        if self.resize is not None:
            one_of("resize", self.resize, get_args(Resize))
        if self.normalise is not None:
            truth("normalise", self.normalise)

    def _fill_choices(self) -> None:
        for owner, choices in CHOICES_OF_DATASET.items():
            for name, default in choices.items():
                given = getattr(self, name)
                if owner == self.dataset:
                    object.__setattr__(self, name, default if given is None else given)
                elif given is not None:
                    raise SettingError(name, given, f"dataset {self.dataset!r} has none, only {owner}", beside=("dataset",))
