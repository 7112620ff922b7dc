"""The data settings of a recipe. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from fsl_core.checks import one_of, truth, whole
from fsl_core.errors import SettingError
from fsl_core.recipe.setting import either, named, setting

if TYPE_CHECKING:
    from fsl_core.datasets.data_set import DataSet

Resize = Literal["antialiased", "nearest"]
Channels = Literal[1, 3]
LEAST_IMAGE_SIZE, MOST_IMAGE_SIZE = 16, 1024
"""Sides of a user's own images, in pixels: a backbone halves them four times."""
_OWN_SPLIT = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The data set, its class split, and which classes may meet in an episode.

    ``rotations`` adds each class rotated by 90, 180 and 270 degrees as new classes. With ``distinct_characters`` no episode of training,
    validation or test has two rotations of one character: characters are sampled first, then a rotation of each. With
    ``black_on_white`` drawings are black (0) on white (1); otherwise the ink is 1, as in the authors' code of Prototypical Networks and
    of MAML.

    ``resize``, for Omniglot: ``antialiased``, in greys, or ``nearest``, which keeps every pixel ink or paper, as the authors of
    Prototypical Networks and of MAML do. ``normalise``, for miniImageNet: by each channel's mean and standard deviation, or else only
    x/255, as the authors of MAML do. ``image_size`` and ``channels``, for a user's own images: pixels per side;
    1 (grey) or 3. Each is None for a data set without the choice; otherwise it has a default.
    """

    dataset: str = field(metadata=setting("data set"))
    split: str = field(metadata=setting("class split"))
    rotations: bool = field(default=True, metadata=setting("whether a class turned by 90 degrees is a new class"))
    distinct_characters: bool = field(
        default=False,
        metadata=setting(
            "whether an episode never has two turns of one character",
            weight="noted",
            reason="few episodes hold two turns of one character",
        ),
    )
    black_on_white: bool = field(
        default=False,
        metadata=setting(
            "whether the ink of drawings is 0 and the paper 1, and not the other way round",
            weight="noted",
            reason="the same drawings",
            word=either("black on white", "white on black"),
            added_later=True,
        ),
    )
    resize: Resize | None = field(
        default=None,
        metadata=setting(
            "filter that resizes the drawings: antialiased, or nearest, which keeps every pixel ink or paper",
            weight="noted",
            reason="the same drawings",
        ),
    )
    normalise: bool | None = field(
        default=None,
        metadata=setting(
            "whether pixels are normalised by their channel's mean and deviation, beyond x/255",
            weight="noted",
            reason="the same photographs, and a BatchNorm follows the first convolution",
            word=either("normalised", "x/255"),
        ),
    )
    image_size: int | None = field(
        default=None, metadata=setting("side of each of your own images, in pixels", word=lambda value: f"{value}x{value}")
    )
    channels: Channels | None = field(
        default=None,
        metadata=setting(
            "channels of each of your own images: 1, grey, or 3, in colour", word=named({1: "grey", 3: "in colour"})
        ),
    )

    def __post_init__(self) -> None:
        one_of("dataset", self.dataset, tuple(data_sets()))
        self._check_split()
        truth("rotations", self.rotations)
        truth("distinct_characters", self.distinct_characters)
        if self.rotations and not self._set.rotations:
            problem = f"a turned photograph of {self.dataset} is no new class"
            raise SettingError("rotations", True, problem, beside=("dataset",), give={"rotations": False})
        if self.distinct_characters and not self.rotations:
            photographs = not self._set.rotations
            where, beside = (f"in {self.dataset}", "dataset") if photographs else ("without rotations", "rotations")
            problem = f"{where} there are no turns of a character to keep apart"
            raise SettingError("distinct_characters", True, problem, (beside,), give={"distinct_characters": False})
        truth("black_on_white", self.black_on_white)
        if self.black_on_white and not self._set.rotations:
            drawn = ", ".join(each.name for each in data_sets().values() if each.rotations)
            problem = f"dataset {self.dataset!r} is not inverted, only {drawn}"
            raise SettingError("black_on_white", True, problem, beside=("dataset",), give={"black_on_white": False})
        self._fill_choices()
        if self.resize is not None:
            one_of("resize", self.resize, get_args(Resize))
        if self.normalise is not None:
            truth("normalise", self.normalise)
        if self.image_size is not None:
            whole("image_size", self.image_size, LEAST_IMAGE_SIZE, MOST_IMAGE_SIZE)
        if self.channels is not None:
            one_of("channels", self.channels, get_args(Channels))

    @property
    def _set(self) -> DataSet:
        return data_sets()[self.dataset]

    def _check_split(self) -> None:
        if self._set.splits is not None:
            of_another = any(self.split in (other.splits or ()) for other in data_sets().values())
            one_of("split", self.split, self._set.splits, beside=("dataset",) if of_another else ())
        elif not isinstance(self.split, str) or not _OWN_SPLIT.fullmatch(self.split):
            raise SettingError("split", self.split, "it must be a name of small letters, digits, _ and -", beside=("dataset",))

    def _fill_choices(self) -> None:
        own = self._set.choices
        for name, owners in owners_of_choices().items():
            given = getattr(self, name)
            if name in own:
                object.__setattr__(self, name, own[name] if given is None else given)
            elif given is not None:
                problem = f"dataset {self.dataset!r} has none, only {', '.join(owners)}"
                raise SettingError(name, given, problem, beside=("dataset",))


def data_sets() -> Mapping[str, DataSet]:
    """Every data set by name, including plug-ins."""
    from fsl_core.datasets.catalogue import DATASETS

    return DATASETS


def owners_of_choices() -> Mapping[str, tuple[str, ...]]:
    """The settings that only some data sets have, each with the names of these."""
    names = dict.fromkeys(name for each in data_sets().values() for name in each.choices)
    return {name: tuple(each.name for each in data_sets().values() if name in each.choices) for name in names}


def usual_data(dataset: str, *, split: str | None = None, **choices: object) -> DataSettings:
    """The settings of a data set with its default split if none is given, rotations if it has any, and these choices."""
    described = data_sets()[dataset]
    usual = described.splits[0] if described.splits else dataset
    return DataSettings(dataset=dataset, split=split or usual, rotations=described.rotations, **choices)  # type: ignore[arg-type]
