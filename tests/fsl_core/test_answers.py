"""Answers and classes come back from their texts, and no other text passes for them."""

import json
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.datasets.class_names import character_of, class_name
from fsl_core.episodes.answers import hex_answers, problem_with_answers
from fsl_core.episodes.class_pool import ClassPool
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.episode_classes import EpisodeClasses, episode_classes_from_plain
from fsl_core.episodes.sampler import frozen_episodes
from fsl_core.errors import RecipeError
from fsl_core.recipe.recipe import Evaluation
from fsl_core.training.result import EvaluationResult
from tests.made_up_answers import made_up

some_answers = st.tuples(st.integers(1, 6), st.integers(1, 90)).flatmap(lambda shape: arrays.arrays(bool, shape))


def problem(texts: list[str], right: np.ndarray) -> str | None:
    return problem_with_answers(texts, right.sum(axis=1).tolist(), right.shape[1])


@given(some_answers)
def test_answers_survive_a_round_trip(right: np.ndarray) -> None:
    texts = hex_answers(right)
    assert problem(list(texts), right) is None
    bits = ["".join(f"{int(digit, 16):04b}" for digit in text) for text in texts]
    assert [[bit == "1" for bit in row[: right.shape[1]]] for row in bits] == right.tolist()


def test_the_first_query_is_the_highest_bit_of_the_first_digit() -> None:
    right = np.zeros((3, 6), dtype=bool)
    right[0, 0] = right[1, 5] = right[2, 3] = True
    assert hex_answers(right) == ("80", "04", "10")


@given(some_answers, st.data())
def test_a_flipped_bit_in_the_answers_is_detected(right: np.ndarray, data: st.DataObject) -> None:
    """One bit changes the count, or lies beyond the queries."""
    texts = list(hex_answers(right))
    episode = data.draw(st.integers(0, len(texts) - 1))
    bit = data.draw(st.integers(0, 4 * len(texts[0]) - 1))
    texts[episode] = f"{int(texts[episode], 16) ^ (1 << bit):0{len(texts[0])}x}"
    assert str(problem(texts, right)).startswith(f"episode {episode} has")


@pytest.mark.parametrize("text", ["", "f", "fff", "FC", "fg", "+1", " f", "ff", 255, None])
def test_a_text_that_does_not_encode_six_answers_is_refused(text: object) -> None:
    assert problem_with_answers(["fc"], [6], 6) is None
    assert str(problem_with_answers([text], [6], 6)).startswith("episode 0 has")
    assert problem_with_answers(["fc", "fc"], [6], 6) == "there are 2 texts for 1 episodes"


def test_the_classes_are_those_of_the_frozen_episodes(glyphs: SplitDataset) -> None:
    bank = glyphs.meta_test
    shape = EpisodeShape(way=5, shot=1, query=1)
    drawn = frozen_episodes(ClassPool(bank.class_sizes), shape, 40, seed=0, stream="meta-test").classes
    classes = EpisodeClasses.of(drawn.numpy(), bank.class_names, bank.turns)
    named = [f"{base}{turn}" for base, turn in product(bank.class_names, ("", "@90", "@180", "@270"))]
    assert [classes.names_of(episode) for episode in range(40)] == [[named[index] for index in row] for row in drawn.tolist()]
    assert set(classes.names) == {named[index] for index in drawn.flatten().tolist()}
    assert {character_of(name) for name in classes.names} <= set(bank.class_names)
    assert [[classes.names[index] for index in row] for row in classes.numbers().tolist()] == [
        classes.names_of(episode) for episode in range(40)
    ]
    assert episode_classes_from_plain(json.loads(json.dumps(classes.as_plain()))) == classes


@given(st.text(min_size=1), st.integers(0, 3))
def test_a_rotated_class_belongs_to_its_character(base: str, turn: int) -> None:
    assert character_of(class_name(base, turn)) == (base if turn else character_of(base))


@pytest.mark.parametrize(
    ("names", "episodes"),
    [
        (["a", "a"], ["0 1"]),
        (["a", ""], ["0 1"]),
        (["a", 1], ["0 1"]),
        (["a", "b"], ["0 0"]),
        (["a", "b"], ["0 2"]),
        (["a", "b"], ["0  1"]),
        (["a", "b"], ["0 01"]),
        (["a", "b", "c"], ["0 2", "2 0"]),
        (["a", "b"], []),
        (["a", "b"], [[0, 1]]),
        (["a", "b"], "0 1"),
        (["a", ["b"]], ["0 1"]),
    ],
)
def test_impossible_classes_are_refused(names: object, episodes: object) -> None:
    with pytest.raises(RecipeError):
        episode_classes_from_plain({"names": names, "episodes": episodes})


def test_a_score_needs_the_classes_of_every_episode() -> None:
    evaluation = Evaluation(shape=EpisodeShape(way=3, shot=1, query=2), episodes=4)
    fields = made_up((6, 5, 0, 1), evaluation.shape)
    digests: dict[str, Any] = dict.fromkeys(("recipe_fingerprint", "weights_digest", "data_digest", "episodes_digest"), "0" * 64)
    assert EvaluationResult(evaluation=evaluation, **digests, **fields).correct == (6, 5, 0, 1)
    for spoilt in (("0 1 2",) * 3, ("0 1 2",) * 3 + ("0 1",)):
        fields["classes"] = EpisodeClasses(("a", "b", "c"), spoilt)
        with pytest.raises(RecipeError, match="needs the 3 classes of each"):
            EvaluationResult(evaluation=evaluation, **digests, **fields)


def test_ten_thousand_episodes_stay_small() -> None:
    """As JSON of a line a value; MAML answers 25 queries after each of ten steps, and Omniglot has 1,692 test classes."""
    evaluation = Evaluation(shape=EpisodeShape(way=5, shot=5, query=5), episodes=10_000, adaptation_steps=10)
    random = np.random.default_rng(0)
    right = random.random((10_000, 25)) < 0.6
    drawn = random.random((10_000, 80)).argsort(axis=1)[:, :5]
    counts = tuple(right.sum(axis=1).tolist())
    score = EvaluationResult(
        recipe_fingerprint="0" * 16, evaluation=evaluation, weights_digest="0" * 64, data_digest="0" * 64,
        episodes_digest="0" * 64, correct=counts, answers=hex_answers(right), correct_by_step=(counts,) * 11,
        classes=EpisodeClasses.of(drawn, [f"n{number:08}" for number in range(20)], 4),
    )  # fmt: skip
    assert len(json.dumps(score.as_plain(), indent=1)) < 1_250_000
    assert len(json.dumps({"answers": score.answers, "classes": score.classes.as_plain()}, indent=1)) < 400_000
