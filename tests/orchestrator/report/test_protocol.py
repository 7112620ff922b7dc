"""What differs from the published run, and what it does to the verdict."""

import pytest

from orchestrator.cell_settings import CellSettings
from orchestrator.report.protocol import Difference, differences
from tests.orchestrator.report.reported_sweep import registries


def unlike(source: str = "snell_2017", **changes: object) -> tuple[Difference, ...]:
    plain = {"dataset": "omniglot", "split": "vinyals", "way": 5, "shot": 1, "train_way": 60, "retrain": True, **changes}
    settings = CellSettings(**plain)  # type: ignore[arg-type]
    published = registries().find([source], settings)
    assert published is not None
    return differences(settings, published)


def test_the_papers_own_protocol_does_not_differ() -> None:
    assert unlike() == ()
    assert unlike(train_shot=1) == ()  # said or left to the evaluation's shot: the same


@pytest.mark.parametrize(
    ("changes", "text", "weight"),
    [
        ({"train_way": 30}, "train_way 30, published 60", "material"),
        ({"filters": 32}, "filters 32, published 64", "material"),
        ({"rotations": False}, "rotations false, published true", "material"),
        ({"scale": 2.0}, "scale 2.0, published 1.0", "noted"),
        ({"split": "background-evaluation"}, "split background-evaluation, published vinyals", "material"),
        ({"query": 5}, "query 5, published 15", "noted"),
        ({"evaluation_episodes": 600}, "evaluation_episodes 600, published 1000", "noted"),
        ({"outer_lr": 2e-3}, "outer_lr 0.002, published 0.001", "noted"),
        ({"halve_every": None}, "halve_every null, published 2000", "noted"),
        ({"meta_batch_size": 4}, "meta_batch_size 4, published 1", "noted"),
        ({"retrain": False}, "trained on meta-train classes alone, published with meta-validation classes added", "noted"),
        ({"steps": 200}, "steps 200, a full training has 10000", "budget"),
    ],
)
def test_each_difference_is_told_with_its_weight(changes: dict[str, object], text: str, weight: str) -> None:
    assert unlike(**changes) == (Difference(text, weight),)  # type: ignore[arg-type]


def test_a_longer_training_than_a_full_one_is_no_difference() -> None:
    assert unlike(steps=20_000) == ()


CLASSES = Difference("train_classes 811, published 964", "noted")
WATCHED = Difference("published: the training watched the test classes", "noted")


def test_a_published_budget_is_compared_in_both_directions() -> None:
    """The 2018 scripts say how long they trained: 4,000 episodes; and what they did that nothing here does is said last."""
    common = {"source": "knagg_2018", "split": "background-evaluation", "retrain": False, "query": 1, "evaluation_episodes": 100}
    assert unlike(**common, steps=4000) == (CLASSES, WATCHED)
    assert unlike(**common, steps=3000) == (Difference("steps 3000, published 4000", "budget"), CLASSES, WATCHED)
    assert unlike(**common, steps=10_000) == (Difference("steps 10000, published 4000", "noted"), CLASSES, WATCHED)


def test_the_classes_trained_on_are_counted_without_turns_and_with_those_that_a_retraining_adds() -> None:
    """The 2018 scripts train on all 30 background alphabets, 964 characters; five of them select the weights here."""
    common = {"source": "knagg_2018", "split": "background-evaluation", "query": 1, "evaluation_episodes": 100, "steps": 4000}
    assert CLASSES in unlike(**common, retrain=False)
    assert CLASSES in unlike(**common, retrain=False, rotations=False)
    assert not any("train_classes" in each.text for each in unlike(**common, retrain=True))
    assert not any("train_classes" in each.text for each in unlike(train_way=30))  # a source that does not say how many


def test_an_inductive_score_is_material_beside_a_transductive_one() -> None:
    common: dict[str, object] = {"source": "finn_2017", "algorithm": "maml", "retrain": False, "train_way": 5}
    usual, inductive = unlike(**common), unlike(**common, inductive=True)  # type: ignore[arg-type]
    assert set(inductive) - set(usual) == {Difference("scored inductively, published transductively", "material")}


def test_a_learned_scale_is_told_beside_its_first_value() -> None:
    texts = [each.text for each in unlike("vinyals_2016", algorithm="matching", distance="cosine", scale=10.0, learn_scale=True)]
    assert texts[:2] == ["scale 10.0, published 1.0", "learn_scale true, published false"]


def test_several_differences_come_in_the_order_of_the_keys() -> None:
    texts = [difference.text.split()[0] for difference in unlike(split="background-evaluation", train_way=30, filters=32)]
    assert texts == ["split", "train_way", "filters"]
