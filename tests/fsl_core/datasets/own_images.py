"""A user's own images as they lie on a disk: invented photographs of a few classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.fsl_core.datasets.small_mini_imagenet import encoded, photograph

SPLITS: Mapping[str, Sequence[str]] = {
    "meta_train": ["cat", "dog", "birds/owl"],
    "meta_validation": ["birds/robin", "fish"],
    "meta_test": ["horse", "cow"],
}
EACH = 3


def write_list(folder: Path, part: str, classes: Sequence[str]) -> None:
    (folder / f"{part}.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")


def write_own_images(
    root: Path, name: str = "zoo", *, splits: Mapping[str, Sequence[str]] = SPLITS, each: int = EACH, side: int = 20
) -> Path:
    """Write ``<root>/folder/<name>`` with ``each`` pictures of every class, none like another; returns it."""
    folder, seed = root / "folder" / name, 0
    for part, classes in splits.items():
        for label in classes:
            (folder / "images" / label).mkdir(parents=True, exist_ok=True)
            for number in range(each):
                seed += 1
                picture = encoded(photograph(seed, (side + 4, side)), "PNG")
                (folder / "images" / label / f"{number}.png").write_bytes(picture)
        write_list(folder, part, classes)
    return folder
