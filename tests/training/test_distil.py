"""What a teacher of trees and networks tells a student, and what the student learns of it."""

import numpy as np
import pytest

from configs.ranking import DistilSection, NetworkSection, RankerConfig, RankerFitSection
from training.distil import (
    Lessons,
    Teacher,
    Trees,
    first_trees,
    fit_distilled,
    joined,
    refitted,
    rounds_of,
)
from training.fit_ranker import RankerData, fit_ranker, logits

ITEMS = 40
CONFIG = RankerConfig(
    network=NetworkSection(seeds=1, hidden=32, width=16, dropout=0),
    fit=RankerFitSection(epochs=5, batch_size=128, learning_rate=1e-2, weight_decay=0),
    distil=DistilSection(
        pairs=4,
        least_reactions=100,
        network=NetworkSection(seeds=2, hidden=16, width=8),
        fit=RankerFitSection(epochs=12, batch_size=128, learning_rate=1e-2),
    ),
)


def impressions(count: int, seed: int) -> RankerData:
    """Two tasks: the first likes the first pair feature, the second is rare."""
    random = np.random.default_rng(seed)
    user, cross = (random.normal(size=(count, n)).astype(np.float32) for n in (3, 4))
    chance = np.stack([1 / (1 + np.exp(-2 * cross[:, 0])), np.full(count, 0.02)], 1)
    return RankerData(
        user=user,
        cross=cross,
        items=np.random.default_rng(9).normal(size=(ITEMS, 5)).astype(np.float32),
        item_rows=random.integers(0, ITEMS, count),
        labels=(random.random((count, 2)) < chance).astype(np.float32),
        watch_ratio=np.where(random.random(count) < 0.5, random.random(count), -1).astype(
            np.float32
        ),
    )


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    return Lessons(impressions(1500, 0), impressions(6000, 1), np.repeat(np.arange(1500), 4))


@pytest.fixture(scope="module")
def trees(lessons: Lessons) -> Trees:
    first = first_trees(lessons.shown, np.arange(1500) < 1300, CONFIG.distil, seed=1)
    return refitted(first, lessons.shown, seed=1)


@pytest.fixture(scope="module")
def teacher(lessons: Lessons, trees: Trees) -> Teacher:
    section = CONFIG.distil
    return Teacher(trees, fit_ranker(lessons.shown, section.network, section.fit, seed=1))


def test_rare_tasks_have_no_trees(trees: Trees, lessons: Lessons) -> None:
    assert trees[0] is not None
    assert trees[1] is None
    assert rounds_of(trees[1]) == 0
    alone = CONFIG.distil.model_copy(update={"pairs": 0})
    none = first_trees(lessons.shown, np.arange(1500) < 1300, alone, seed=1)
    assert [*refitted(none, lessons.shown, seed=1)] == [None, None]


def test_trees_are_fitted_anew_with_the_rounds_that_were_best(lessons: Lessons) -> None:
    first = first_trees(lessons.shown, np.arange(1500) < 1300, CONFIG.distil, seed=1)
    again = refitted(first, lessons.shown, seed=1)
    assert again[0] is not None
    assert again[0].num_trees() == rounds_of(first[0]) > 0


def test_the_teacher_answers_with_probabilities(teacher: Teacher, lessons: Lessons) -> None:
    answers = teacher.answers(lessons.unshown)
    assert ((answers.labels > 0) & (answers.labels < 1)).all()
    assert (answers.watch_ratio >= 0).all()
    feature = lessons.unshown.cross[:, 0]
    high, low = (answers.labels[which, 0].mean() for which in (feature > 0.5, feature < -0.5))
    assert high > low + 0.3


def test_the_student_says_what_its_teacher_says(
    teacher: Teacher, trees: Trees, lessons: Lessons
) -> None:
    fresh = impressions(2000, 2)
    taught = np.log(1 / (1 / teacher.answers(fresh).labels[:, 0] - 1))
    alone = CONFIG.model_copy(update={"distil": DistilSection(pairs=0)})
    found, without = (
        np.corrcoef(logits(fit_distilled(lessons, config, trees, seed=0), fresh)[:, 0], taught)
        for config in (CONFIG, alone)
    )
    assert found[0, 1] > 0.9
    assert found[0, 1] > without[0, 1]


def test_a_part_of_the_lessons_keeps_its_own_pairs(lessons: Lessons) -> None:
    chosen = np.arange(1500) % 3 == 1
    part = lessons.take(chosen)
    assert len(part.shown) == 500
    assert len(part.unshown) == 2000
    assert part.owners.tolist() == np.repeat(np.arange(500), 4).tolist()
    np.testing.assert_array_equal(part.unshown.cross[:4], lessons.unshown.cross[4:8])
    whole = joined(part.shown, part.unshown)
    assert len(whole) == 2500
    np.testing.assert_array_equal(whole.cross[500:], part.unshown.cross)
