"""Do certificates hold? Populations whose truth is known, audited and certified 300 times each.

    python -m tests.benchmarks.certificates

Scores are normal in logits, one kind for a violated label and one for the others, so that the risk
of every threshold is a formula. A resample is violated where any certificate of a side names a
threshold whose true risk is above its limit. `edge`: every candidate is a little too bad, so that
each certificate is a violation. The last three are audited at one share of violations and served
at another, with fewer recent audits than would certify by themselves: where a tenth violates and
then 0.8 %, at 0.3 % and then 1 %, and, at the edge, where what old audits show no longer holds.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from models.arrays import Mask, Vectors
from serving.moderation.certify import (
    BLOCK_CANDIDATES,
    BLOCK_RISK,
    DELTA,
    PASS_CANDIDATES,
    PASS_RISK,
    Limit,
    certify_blocks,
    certify_passes,
    representative,
)
from training.report import print_report

LABELS = 4
PASS_BELOW = 0.5
NATURAL = 0.008
PASS_AUDITS, BLOCK_AUDITS = 6_000, 1_500  # of all items; of each label's blocks
RECENT_AUDITS, OLD_AUDITS = 2_900, 20_000
MOST_VIOLATED, RESAMPLES = 24, 300
AIM = 0.98


@dataclass(frozen=True)
class Population:
    """Logits of labels: mean and deviation where violated, and where not."""

    name: str
    violated: tuple[float, float]
    benign: tuple[float, float]
    prevalence: float = NATURAL

    def below(self, score: float, kind: tuple[float, float]) -> float:
        """P(a score of this kind is below)."""
        return float(ndtr((np.log(score / (1 - score)) - kind[0]) / kind[1]))

    def passing(self, margin: float) -> tuple[float, float]:
        """Masses of violating and of benign items below a margin."""
        score = margin * PASS_BELOW
        benign = self.below(score, self.benign)
        violating = self.below(score, self.violated) * benign ** (LABELS - 1)
        return self.prevalence * violating, (1 - self.prevalence) * benign**LABELS

    def blocked(self, score: float) -> tuple[float, float]:
        """Masses of benign and of violating items from a score of one label on."""
        share = self.prevalence / LABELS
        benign = (1 - share) * (1 - self.below(score, self.benign))
        return benign, share * (1 - self.below(score, self.violated))

    def audited(self, count: int, rng: np.random.Generator) -> tuple[Vectors, Mask]:
        """Margins [N] and violations [N] of random items."""
        violating = rng.random(count) < self.prevalence
        logits = rng.normal(*self.benign, (count, LABELS))
        logits[violating, 0] = rng.normal(*self.violated, int(violating.sum()))
        margins = (1 / (1 + np.exp(-logits.max(1)))) / PASS_BELOW
        return margins.astype(np.float32), violating

    def audited_blocks(self, count: int, rng: np.random.Generator) -> tuple[Vectors, Mask]:
        """Scores [N] and violations [N] of random items from the least candidate of a label on."""
        least = min(BLOCK_CANDIDATES)
        benign, right = self.blocked(least)
        violating = rng.random(count) < right / (benign + right)
        kinds = np.where(violating[:, None], self.violated, self.benign)
        start = ndtr((np.log(least / (1 - least)) - kinds[:, 0]) / kinds[:, 1])
        drawn = start + (1 - start) * rng.random(count)
        logits = kinds[:, 0] + kinds[:, 1] * ndtri(np.minimum(drawn, 1 - 1e-12))
        return (1 / (1 + np.exp(-logits))).astype(np.float32), violating


def main() -> None:
    """Certify every population and print what held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--seed", type=int, default=17)
    arguments = parser.parse_args()
    rows = []
    for number, population in enumerate(populations()):
        rng = np.random.default_rng([arguments.seed, number])
        rows.append(row(population, [once(population, rng) for _ in range(arguments.resamples)]))
    for number, moved in enumerate(shifts()):
        rng = np.random.default_rng([arguments.seed, 99, number])
        rows.append(row(moved.now, [once_shifted(moved, rng) for _ in range(arguments.resamples)]))
    most = MOST_VIOLATED * arguments.resamples // RESAMPLES
    violated = max(int(one[side]) for one in rows for side in ("pass_violated", "block_violated"))
    bars = {
        f"violated in <= {most} of {arguments.resamples} resamples": violated <= most,
        f"settled by machine at {NATURAL:.1%}: {AIM}": float(rows[0]["settled"]) >= AIM,
    }
    sys.exit(not print_report("certificates", rows=rows, bars=bars, seed=arguments.seed))


def populations() -> list[Population]:
    """Those that are tried: well told apart, badly, and just on the wrong side everywhere."""
    sharp = Population("sharp", (7.0, 2.0), (-8.0, 1.6))
    dull = Population("dull", (3.0, 2.5), (-5.0, 2.0))

    def pass_excess(mean: float) -> float:
        return risk(replace(sharp, violated=(mean, 2.0)).passing(PASS_CANDIDATES[0])) - PASS_RISK

    wide = Population("edge of blocking", (12.0, 2.0), (-10.0, 5.0))

    def block_excess(mean: float) -> float:
        return risk(replace(wide, benign=(mean, 5.0)).blocked(BLOCK_CANDIDATES[0])) - BLOCK_RISK

    passing = brentq(lambda mean: pass_excess(mean) - PASS_RISK * 0.02, -12.0, 7.0)
    blocking = brentq(lambda mean: block_excess(mean) - BLOCK_RISK * 0.02, -30.0, 0.0)
    return [
        sharp,
        dull,
        replace(sharp, name="edge of passing", violated=(passing, 2.0)),
        replace(wide, benign=(blocking, 5.0)),
    ]


@dataclass(frozen=True)
class Shift:
    """A population now, the share that violated when most audits were drawn, and how many."""

    now: Population
    before: float
    old: int = OLD_AUDITS


def shifts() -> list[Shift]:
    """Fewer violations now than before, more, and more where that crosses the limit."""
    sharp, dull, edge, _ = populations()
    return [
        Shift(replace(sharp, name="enriched"), 0.1, 6_000),
        Shift(replace(dull, name="more violations", prevalence=0.01), 0.003),
        Shift(replace(edge, name="more violations, edge"), NATURAL / 3),
    ]


def risk(masses: tuple[float, float]) -> float:
    """Share of the first mass in both."""
    return masses[0] / sum(masses)


@dataclass(frozen=True)
class Outcome:
    """Of one resample."""

    pass_violated: bool
    block_violated: bool
    settled: float
    blocks: int


def once(population: Population, rng: np.random.Generator) -> Outcome:
    """Audit at the natural share of violations, and certify both sides."""
    margins, violating = population.audited(PASS_AUDITS, rng)
    passed = certify_passes(margins, violating, Limit(PASS_RISK))
    return outcome(population, passed.threshold if passed else None, rng)


def once_shifted(moved: Shift, rng: np.random.Generator) -> Outcome:
    """Certify passes by audits most of which are from before."""
    before = replace(moved.now, prevalence=moved.before)
    old, recent = before.audited(moved.old, rng), moved.now.audited(RECENT_AUDITS, rng)
    margins, wrong = (np.concatenate(pair) for pair in zip(old, recent, strict=True))
    is_recent = np.arange(len(margins)) >= moved.old
    tested, limit = representative(margins < 1, wrong, is_recent, Limit(PASS_RISK))
    held = certify_passes(margins[tested], wrong[tested], limit)
    return outcome(moved.now, held.threshold if held else None, rng)


def outcome(population: Population, margin: float | None, rng: np.random.Generator) -> Outcome:
    """What is true of a pass threshold, and of the blocks certified beside it."""
    limit = Limit(BLOCK_RISK, DELTA / LABELS)
    blocks = [
        certify_blocks(*population.audited_blocks(BLOCK_AUDITS, rng), limit) for _ in range(LABELS)
    ]
    thresholds = [one.threshold for one in blocks if one is not None]
    settled = 0.0 if margin is None else sum(population.passing(margin))
    settled += sum(sum(population.blocked(score)) for score in thresholds)
    return Outcome(
        margin is not None and risk(population.passing(margin)) > PASS_RISK,
        any(risk(population.blocked(score)) > BLOCK_RISK for score in thresholds),
        settled,
        len(thresholds),
    )


def row(population: Population, outcomes: Sequence[Outcome]) -> dict[str, float | str]:
    """One line of the report."""
    settled = np.array([one.settled for one in outcomes])
    return {
        "population": population.name,
        "pass_violated": sum(one.pass_violated for one in outcomes),
        "block_violated": sum(one.block_violated for one in outcomes),
        "settled": float(settled.mean()),
        "settled_low": float(np.quantile(settled, 0.025)),
        "settled_high": float(np.quantile(settled, 0.975)),
        "labels_certified": float(np.mean([one.blocks for one in outcomes])),
    }


if __name__ == "__main__":
    main()
