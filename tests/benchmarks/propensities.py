"""Recorded propensities: what a second policy would have earned, told by the log of the first.

python -m tests.benchmarks.propensities

Exploration slots of a simulated world are drawn as the server draws them and their propensities
recorded. From each of 100 logs the value of a sharper policy is estimated; its true value comes
from letting it act. A policy that shows what was never logged must be refused.
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows, Vectors
from serving.feed.audience import AudienceRules, Openings, matches, sampled, viewer_quantiles
from training.closed_loop.stage import eligibility
from training.datasets.simulator import World, draw_world, fresh_memory, respond, values
from training.off_policy import Decisions, Estimate, NoSupportError, inverse_propensity
from training.report import print_report

USERS, ITEMS, OPEN = 2_000, 400, 60
LOGGED = AudienceRules(pool=8, temperature=0.5)
SECOND = replace(LOGGED, temperature=0.2)
FARTHER = replace(SECOND, pool=16)  # shows what the log never does
REPLAYS, DECISIONS, TRUE_DRAWS = 100, 1_500, 60
Chances = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """U people before one exploration slot with E openings.

    Attributes:
        match: [U, E]. allowed: [U, E].
    """

    world: World
    openings: Openings
    match: Vectors
    allowed: Mask


def drawn_scene(seed: int) -> Scene:
    """People and openings of one world; their vectors are the planted ones."""
    world = draw_world(seed, users=USERS, items=ITEMS)
    people = world.user_traits
    interests = people.interests * people.weights[:, :, None]
    rows = np.arange(ITEMS - OPEN, ITEMS)
    vectors = world.item_traits.vectors[rows]
    late = np.zeros(OPEN, np.float32)
    tiers, budgets = np.zeros(OPEN, np.int64), np.full(OPEN, 100)
    quantiles = viewer_quantiles(interests[:512], vectors)
    openings = Openings(rows, vectors, tiers, budgets, late, quantiles)
    match = np.stack([matches(one, openings, LOGGED) for one in interests])
    return Scene(world, openings, match, eligibility(world)[:, rows])


def chances(scene: Scene, rules: AudienceRules) -> Chances:
    """Probability [U, E] of each opening in the first slot."""
    match = np.where(scene.allowed, scene.match.astype(np.float64), -np.inf)
    least = -np.sort(-match, axis=1)[:, rules.pool - 1 : rules.pool]
    weights = np.exp((match - match.max(axis=1, keepdims=True)) / rules.temperature)
    weights = np.where(match >= least, weights, 0.0)
    shares: Chances = weights / weights.sum(axis=1, keepdims=True)
    return shares


def earned(scene: Scene, users: Rows, places: Rows, rng: np.random.Generator) -> Chances:
    """What each user's slot earned: [B]."""
    page = scene.openings.rows[places][:, None]
    time_ms = np.full(len(users), scene.world.start_ms)
    told = respond(scene.world, users, page, time_ms, rng, fresh_memory(scene.world))
    return values(told)[:, 0]


def logged(scene: Scene, policy: Chances, rng: np.random.Generator) -> Decisions:
    """One log of the server's own draws, and what `policy` [U, E] would do in its place."""
    users = np.sort(rng.choice(USERS, DECISIONS, replace=False))
    drawn = [sampled(scene.match[u], scene.allowed[u], 1, LOGGED, rng) for u in users.tolist()]
    places = np.array([place[0] for place, _ in drawn])
    propensity = np.array([chance[0] for _, chance in drawn], np.float64)
    possible = chances(scene, LOGGED)[users] > 0
    return Decisions(
        rewards=earned(scene, users, places, rng),
        propensity=propensity,
        target=policy[users, places],
        covered=np.minimum((policy[users] * possible).sum(axis=1), 1.0),
    )


def true_value(scene: Scene, policy: Chances, rng: np.random.Generator) -> float:
    """Mean of what the policy earns when it acts."""
    total, users = 0.0, np.arange(USERS)
    for _ in range(TRUE_DRAWS):
        places = (policy.cumsum(axis=1) < rng.random((USERS, 1))).sum(axis=1)
        total += float(earned(scene, users, np.minimum(places, OPEN - 1), rng).mean())
    return total / TRUE_DRAWS


def refused(scene: Scene, seed: int) -> bool:
    """Whether the policy without support is."""
    try:
        inverse_propensity(logged(scene, chances(scene, FARTHER), np.random.default_rng(seed)))
    except NoSupportError:
        return True
    return False


def main() -> None:
    """Run and print one JSON object."""
    line = argparse.ArgumentParser(prog="tests.benchmarks.propensities")
    line.add_argument("--seed", type=int, default=0)
    line.add_argument("--replays", type=int, default=REPLAYS)
    chosen = line.parse_args()
    scene = drawn_scene(chosen.seed)
    second = chances(scene, SECOND)
    truth = true_value(scene, second, np.random.default_rng([chosen.seed, 1]))
    own = true_value(scene, chances(scene, LOGGED), np.random.default_rng([chosen.seed, 2]))
    told: list[Estimate] = [
        inverse_propensity(logged(scene, second, np.random.default_rng([chosen.seed, 3, n])))
        for n in range(chosen.replays)
    ]
    inside = sum(one.low <= truth <= one.high for one in told)
    figures = {
        "true_value": truth,
        "value_of_the_log": own,
        "mean_estimate": float(np.mean([one.value for one in told])),
        "mean_half_width": float(np.mean([one.high - one.value for one in told])),
        "inside": inside,
        "replays": chosen.replays,
    }
    bars = {
        "true value inside in >= 90 of 100 replays": inside >= 0.9 * chosen.replays,
        "a policy without support is refused": refused(scene, chosen.seed),
    }
    print_report("propensities", figures=figures, bars=bars, seed=chosen.seed)


if __name__ == "__main__":
    main()
