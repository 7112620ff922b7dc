from __future__ import annotations

from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings
from orchestrator.tracking.recipe_params import recipe_params

CELLS = [
    CellSettings(dataset="glyphs", split="glyphs", way=5, shot=1, algorithm=algorithm, **own)  # type: ignore[arg-type]
    for algorithm, own in (
        ("prototypical", {"distance": "cosine", "scale": 3.0}),
        ("matching", {"fce": True, "reading_steps": 2, "support_order": "by_class", "patience": None}),
        ("maml", {"order": 2, "adaptation_steps": 3, "inner_lr": 0.1, "outer_lr": 0.02, "validation_adaptation_steps": 7}),
    )
]


def test_params_have_the_names_and_values_of_sweep_files():
    for cell in CELLS:
        params = recipe_params(cell.recipe(3))
        assert params.pop("seed") == "3"
        assert set(params) <= set(SETTING_NAMES)
        assert params == {name: str(getattr(cell, name)) for name in params}
        trained = {
            name for name in SETTING_NAMES if name.startswith(("train_", "validation_")) and getattr(cell, name) is not None
        }
        assert trained | {"steps", "outer_lr", "dataset", "algorithm", "backbone"} <= set(params)
