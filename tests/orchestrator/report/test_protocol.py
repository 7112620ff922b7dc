"""What differs from the published run, and what it does to the verdict."""

from typing import Any

import pytest

from orchestrator.report.protocol import Difference, differences
from orchestrator.report.registry_schema import Protocol
from orchestrator.report.weights import holds, lighter, weight_of
from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings
from tests.orchestrator.report.reported_sweep import registries


def unlike(source: str = "snell_2017", **changes: object) -> tuple[Difference, ...]:
    plain = {
        "dataset": "omniglot",
        "split": "vinyals",
        "way": 5,
        "shot": 1,
        "train_way": 60,
        "retrain": True,
        "resize": "nearest",
        "initialisation": "pytorch_2018",
        **changes,
    }
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
        ({"scale": 2.0}, "scale 2.0, published 1.0", "material"),
        ({"split": "background-evaluation"}, "split background-evaluation, published vinyals", "material"),
        ({"query": 5}, "query 5, published 15", "noted"),
        ({"evaluation_episodes": 600}, "evaluation_episodes 600, published 1000", "noted"),
        ({"outer_lr": 2e-3}, "outer_lr 0.002, published 0.001", "material"),
        ({"halve_every": None}, "halve_every null, published 2000", "noted"),
        ({"meta_batch_size": 4}, "meta_batch_size 4, published 1", "noted"),
        ({"retrain": False}, "trained on meta-train classes alone, published with meta-validation classes added", "noted"),
        ({"initialisation": "fan_in"}, "initialisation fan_in, published pytorch_2018", "noted"),
        ({"black_on_white": True}, "black_on_white true, published false", "noted"),
        ({"matmul_precision": "tf32"}, "matmul_precision tf32, published without a word of it", "noted"),
        ({"optimiser": "sgd"}, "optimiser sgd, published without a word of it", "material"),
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
    common: dict[str, Any] = {"source": "knagg_2018", "split": "background-evaluation", "retrain": False, "query": 1}
    common |= {"evaluation_episodes": 100, "first_halving": 1900, "black_on_white": True}
    assert unlike(**common, steps=4000) == (CLASSES, WATCHED)
    assert unlike(**common, steps=3000) == (Difference("steps 3000, published 4000", "budget"), CLASSES, WATCHED)
    assert unlike(**common, steps=10_000) == (Difference("steps 10000, published 4000", "noted"), CLASSES, WATCHED)


def test_the_classes_trained_on_are_counted_without_turns_and_with_those_that_a_retraining_adds() -> None:
    """The 2018 scripts train on all 30 background alphabets, 964 characters; five of them select the weights here."""
    common = {
        "source": "knagg_2018",
        "split": "background-evaluation",
        "first_halving": 1900,
        "query": 1,
        "evaluation_episodes": 100,
        "steps": 4000,
    }
    assert CLASSES in unlike(**common, retrain=False)
    assert CLASSES in unlike(**common, retrain=False, rotations=False)
    assert not any("train_classes" in each.text for each in unlike(**common, retrain=True))
    assert not any("train_classes" in each.text for each in unlike(train_way=30))  # a source that does not say how many


def test_an_inductive_score_is_material_beside_a_transductive_one() -> None:
    common: dict[str, object] = {"source": "finn_2017", "algorithm": "maml", "retrain": False, "train_way": 5, "query": 1}
    usual, inductive = unlike(**common), unlike(**common, inductive=True)  # type: ignore[arg-type]
    assert set(inductive) - set(usual) == {Difference("scored inductively, published transductively", "material")}


def test_a_learned_scale_is_told_beside_its_first_value() -> None:
    texts = [each.text for each in unlike("vinyals_2016", algorithm="matching", distance="cosine", scale=10.0, learn_scale=True)]
    assert texts[:2] == ["scale 10.0, published 1.0", "learn_scale true, published false"]


def test_several_differences_come_in_the_order_of_the_keys() -> None:
    texts = [difference.text.split()[0] for difference in unlike(split="background-evaluation", train_way=30, filters=32)]
    assert texts == ["split", "train_way", "filters"]


def weights(**changes: object) -> dict[str, str]:
    return {difference.text.split()[0]: difference.weight for difference in unlike(**changes)}  # type: ignore[arg-type]


def test_a_prototypical_network_on_the_mlp_is_not_snells() -> None:
    """98.8% was printed of Conv-4."""
    assert unlike(backbone="mlp") == (Difference("backbone mlp, published conv4", "material"),)


def maml(**changes: object) -> dict[str, str]:
    """MAML as its authors ran it on Omniglot, 5-way 1-shot, but for the changes."""
    as_published = {
        "algorithm": "maml", "order": 2, "train_way": 5, "train_query": 1, "query": 1, "adaptation_steps": 1,
        "evaluation_adaptation_steps": 3, "inner_lr": 0.4, "inner_reduction": "sum_over_shot", "outer_reduction": "sum_over_shot",
        "adapt_batch_norm": False, "downsampling": "stride", "meta_batch_size": 32, "halve_every": None, "steps": 60_000,
        "evaluation_episodes": 600, "retrain": False,
    }  # fmt: skip
    return {
        key: weight for key, weight in weights(source="finn_2017", **{**as_published, **changes}).items() if key != "published:"
    }


def test_mamls_own_protocol_does_not_differ() -> None:
    assert {key: weight for key, weight in maml().items() if weight != "noted"} == {}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"inner_reduction": "mean"}, "inner_reduction"),  # an inner rate 5 times weaker
        ({"inner_lr": 0.08}, "inner_lr"),
        ({"query": 15}, "query"),  # BatchNorm sees the other queries: 62.95 with 1, 60.58 with 15 on one network
        ({"downsampling": "max_pool"}, "downsampling"),
        ({"adapt_batch_norm": True}, "adapt_batch_norm"),
    ],
)
def test_what_changes_mamls_answers_is_material(changes: dict[str, object], key: str) -> None:
    assert maml(**changes)[key] == "material"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"outer_reduction": "mean"}, "outer_reduction"),
        ({"evaluation_episodes": 10_000}, "evaluation_episodes"),
        ({"query": 15, "inductive": True}, "query"),  # which is itself material: `inductive`
    ],
)
def test_what_does_not_is_noted(changes: dict[str, object], key: str) -> None:
    assert maml(**changes)[key] == "noted"


def test_without_adam_the_size_of_a_gradient_counts() -> None:
    assert maml(outer_reduction="mean", optimiser="sgd")["outer_reduction"] == "material"
    for optimiser, weight in (("adam", "noted"), ("sgd", "material")):
        settings = CellSettings(dataset="omniglot", split="vinyals", way=5, shot=1, optimiser=optimiser)
        assert weight_of("clip_norm", settings) == weight


def test_the_scale_of_a_cosine_is_noted_and_that_of_a_distance_material() -> None:
    assert weights(source="vinyals_2016", algorithm="matching", distance="cosine", scale=10.0)["scale"] == "noted"
    assert weights(scale=10.0)["scale"] == "material"


def test_whatever_a_source_can_state_is_material_unless_a_reason_is_given() -> None:
    """A setting that is added, and that nobody thought of, makes two numbers incomparable; it never passes unsaid."""
    stated = set(Protocol.model_fields) - {"unrepeatable", "full_steps", "train_classes"}  # no settings
    assert stated <= set(SETTING_NAMES)
    settings = CellSettings(dataset="omniglot", split="vinyals", way=5, shot=1)
    unexcused = {key for key in stated if weight_of(key, settings) == "material"}
    assert unexcused == stated - {key for key, each in lighter().items() if any(holds(one, settings) for one in each)}
    assert {
        "split",
        "rotations",
        "train_way",
        "train_shot",
        "train_query",
        "filters",
        "backbone",
        "scale",
        "outer_lr",
    } <= unexcused
    assert weight_of("a setting of tomorrow", settings) == "material"


def test_every_lighter_weight_is_of_a_setting_and_has_a_reason() -> None:
    for each in (one for listed in lighter().values() for one in listed):
        assert len(each.reason.split()) > 2
        assert set(each.where) <= {*SETTING_NAMES, "adapts"}


@pytest.mark.parametrize(("dataset", "backbone"), [("omniglot", "conv4"), ("mini_imagenet", "conv4")])
def test_sources_that_say_their_network_state_it(dataset: str, backbone: str) -> None:
    """Snell section 3, Vinyals section 4.1 and the 2018 scripts: four blocks of 64 filters."""
    for source in ("snell_2017", "vinyals_2016", "knagg_2018"):
        of_dataset = [cell for cell in registries().cells[source] if cell.dataset == dataset and "filters" in cell.settings]
        assert of_dataset and {cell.settings.get("backbone") for cell in of_dataset} == {backbone}
