"""What sets one cell of a table apart from the others, in words."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from orchestrator.cell_settings import CellSettings
from orchestrator.variant import form_of, variants


def a_cell(**changes: Any) -> CellSettings:
    return CellSettings(**{"dataset": "omniglot", "split": "vinyals", "way": 5, "shot": 1, **changes})


@pytest.mark.parametrize(
    ("algorithm", "backbone", "told"),
    [
        (PrototypicalSettings(), Conv4Settings(), "squared Euclidean"),
        (PrototypicalSettings(distance="cosine", scale=2.5), MlpSettings(), "cosine, scale 2.5, MLP"),
        (MatchingSettings(), Conv4Settings(), "cosine"),
        (
            MatchingSettings(scale=10.0, fce=True, reading_steps=2, support_order="by_class"),
            Conv4Settings(),
            "cosine, scale 10, FCE",
        ),
        (MatchingSettings(learn_scale=True), Conv4Settings(), "cosine, learned scale 1"),
        (MamlSettings(order=1), Conv4Settings(batch_norm="batch"), "order 1"),
        (MamlSettings(), MlpSettings(), "order 2, MLP"),
    ],
)
def test_the_form_of_an_algorithm(algorithm: AlgorithmSettings, backbone: BackboneSettings, told: str) -> None:
    assert form_of(algorithm, backbone) == told


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({}, {"way": 20}, ("squared Euclidean",) * 2),  # the table has columns for way, shot, order and data set
        ({}, {"distance": "cosine"}, ("squared Euclidean", "cosine")),
        ({"train_way": 60}, {"train_way": 20}, ("squared Euclidean, train_way 60", "squared Euclidean, train_way 20")),
        ({"train_way": 60, "train_query": 5}, {"train_way": 20, "train_query": 15},
         ("squared Euclidean, train_way 60", "squared Euclidean, train_way 20")),  # the queries follow the ways
        ({"train_query": 5}, {"train_query": 15}, ("squared Euclidean, train_query 5", "squared Euclidean, train_query 15")),
        ({"validation_way": 5}, {"validation_way": 20}, ("squared Euclidean, validation_way 5", "squared Euclidean, validation_way 20")),
        ({"steps": 1000}, {"steps": 0}, ("squared Euclidean, steps 1000", "squared Euclidean, untrained")),
        ({"preset": "a", "steps": 10_000}, {"preset": "b", "steps": 4000, "patience": None},
         ("squared Euclidean, preset a", "squared Euclidean, preset b")),
        ({"algorithm": "maml", "order": 1}, {"algorithm": "maml", "order": 2}, ("1 adaptation step",) * 2),
        ({"algorithm": "maml", "evaluation_adaptation_steps": 3}, {"algorithm": "maml", "evaluation_adaptation_steps": 0},
         ("3 adaptation steps", "0 adaptation steps")),
        ({"algorithm": "maml", "backbone": "mlp"}, {"algorithm": "maml", "inner_reduction": "sum_over_shot"},
         ("MLP, 1 adaptation step", "1 adaptation step")),
        ({"algorithm": "maml", "inner_lr": 0.1}, {"algorithm": "maml", "inner_lr": 0.4},
         ("1 adaptation step, inner_lr 0.1", "1 adaptation step, inner_lr 0.4")),
    ],
)  # fmt: skip
def test_two_cells_differ_in_words_where_no_column_tells_them_apart(
    first: dict[str, Any], second: dict[str, Any], told: tuple[str, str]
) -> None:
    assert variants([a_cell(**first), a_cell(**second)]) == told
    assert variants([a_cell(**second), a_cell(**first)]) == told[::-1]


CELLS = [
    a_cell(preset=preset, steps=steps, train_way=train_way, train_query=train_query)
    for preset, steps, train_way, train_query in itertools.product(("a", "b"), (0, 500, 1000), (5, 20), (5, 15))
]


@given(st.sets(st.sampled_from(range(len(CELLS))), min_size=2))
def test_no_two_cells_of_one_row_read_the_same(chosen: set[int]) -> None:
    told = variants([CELLS[index] for index in chosen])
    assert len(set(told)) == len(chosen)
