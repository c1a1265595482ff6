"""Invented studies of known truth → how often the report's intervals hold it, and its verdicts are wrong.

python -m tools.simulate [sets=5000]

A study has R routings, K seeds of each and E entities. A routing's value is the mean over entities of what all its
seeds share there, what each seed has of its own there, and an effect of the seed on all of them. The effect's standard
deviation is `scatter` times the standard error that entities alone give to a difference, times the `deviations` of the
routings; `shared` is the part of the variance over entities that a routing's seeds share. All is normal, the routings
are equal; a true effect of EFFECT such standard errors moves one of them, and the power is how often it is seen.

    deviations   K  scatter  shared   holds  decided   power     own
    1 1 3        3      2.0     0.5    95.6      4.4    10.9    94.7   (percent; see Rates)
      R  K  scatter   plain  validated  corrected     use
      7 10      5.0     8.8        7.4        1.4     0.1              (percent; see Winner)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from relevance.cli import command_line, echo, run_command
from relevance.report.inference import ALPHA, Spread, seed_parts, spread

ENTITIES = 60
CHUNK = 500  # studies at a time
SEEDS, SCATTERS, SHARED = (3, 5, 10), (0.0, 1.0, 2.0, 5.0), (0.9, 0.5, 0.1)
DEVIATIONS = ((1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (0.5, 1.0, 2.0))
EFFECT = 4.0


@dataclass
class Options:
    sets: int = 5_000


@dataclass(frozen=True)
class Setting:
    """A kind of study."""

    k: int
    scatter: float
    deviations: tuple[float, ...]
    shared: float = 0.5

    @property
    def error(self) -> float:
        """Standard error of a difference over entities alone."""
        return float(np.sqrt(2 * (self.shared + (1 - self.shared) / self.k) / ENTITIES))


@dataclass(frozen=True)
class Studies:
    """S of them: values of all cells on test and on validation rows, and on the former the influence of each entity."""

    values: np.ndarray  # [S, R, K]
    influence: np.ndarray  # [S, R, K, E]
    validation: np.ndarray  # [S, R, K]: other entities, the same training seeds

    def estimate(self, signs: dict[int, int]) -> tuple[np.ndarray, Spread]:
        """The sum of some routings' values, each with its sign, as the report has it."""
        rows, sign, k = list(signs), np.array(list(signs.values())), self.values.shape[2]
        s2, noise = seed_parts(self.values[:, rows], self.influence[:, rows])
        by_entity = np.einsum("r,srke->se", sign / k, self.influence[:, rows])
        variance, df = (by_entity**2).sum(axis=1), np.full(len(by_entity), ENTITIES - 1.0)
        return self.values[:, rows].mean(axis=2) @ sign, spread(variance, df, s2 / k, noise / k, np.full(len(rows), k))


def studies(setting: Setting, sets: int, seed: int = 0) -> Iterator[Studies]:
    """So many of one kind, in chunks."""
    random, shape = np.random.default_rng(seed), (len(setting.deviations), setting.k)
    for start in range(0, sets, CHUNK):
        s = min(CHUNK, sets - start)
        effect = (
            setting.scatter * setting.error * np.array(setting.deviations)[:, None] * random.normal(size=(s, *shape))
        )
        own, all_of = np.sqrt(1 - setting.shared), np.sqrt(setting.shared)
        tested = random.normal(size=(s, *shape, ENTITIES)) * own
        tested += random.normal(size=(s, shape[0], 1, ENTITIES)) * all_of
        means = tested.mean(axis=3)
        influence = (tested - means[..., None]) / np.sqrt(ENTITIES * (ENTITIES - 1))
        others = random.normal(size=(s, *shape)) * own + random.normal(size=(s, shape[0], 1)) * all_of
        yield Studies(means + effect, influence, others / np.sqrt(ENTITIES) + effect)


@dataclass(frozen=True)
class Rates:
    """Of the worst pair of routings."""

    holds: float  # its interval holds the truth; so it does where there is an effect, which moves both alike
    decided: float  # it is told apart though there is no effect
    power: float  # the first routing is told apart from another that is EFFECT worse
    own: float  # the interval of a routing's own value holds the truth, of the worst routing


def coverage(setting: Setting, sets: int) -> Rates:
    """How often the differences of a kind of study are what they are said to be."""
    pairs = list(combinations(range(len(setting.deviations)), 2))
    counts, own = np.zeros((3, len(pairs))), np.zeros(len(setting.deviations))
    for chunk in studies(setting, sets):
        for at in range(len(own)):
            value, of = chunk.estimate({at: 1})
            own[at] += (np.abs(value) <= of.half()).sum()
        for at, (a, b) in enumerate(pairs):
            estimate, of = chunk.estimate({a: 1, b: -1})
            counts[0, at] += (np.abs(estimate) <= of.half()).sum()
            counts[1, at] += (of.p(estimate) < ALPHA).sum()
            counts[2, at] += (of.p(estimate + EFFECT * setting.error) < ALPHA).sum()
    holds, decided, power = counts / sets
    return Rates(
        float(holds.min()), float(decided.max()), float(power[[a == 0 for a, _ in pairs]].min()), own.min() / sets
    )


@dataclass(frozen=True)
class Winner:
    """How often the first of R equal routings is said to be beaten by the best of the others, or any to be the best."""

    plain: float  # the highest on test rows beats the first, not corrected
    validated: float  # the highest on validation rows beats it on test rows, not corrected
    corrected: float  # the highest on test rows, by Holm's correction over the R - 1 that could be
    use: float  # the highest is told apart from every other one: "use X"


def winners(setting: Setting, sets: int) -> Winner:
    """Of studies without any difference."""
    r, counts = len(setting.deviations), np.zeros(4)
    for chunk in studies(setting, sets):
        p, every = np.ones((len(chunk.values), r, r)), np.arange(len(chunk.values))
        for a, b in combinations(range(r), 2):
            estimate, of = chunk.estimate({a: 1, b: -1})
            p[:, a, b] = p[:, b, a] = of.p(estimate)
        means = chunk.values.mean(axis=2)
        best, chosen = means.argmax(axis=1), chunk.validation.mean(axis=2).argmax(axis=1)
        for at, (winner, times) in enumerate(((best, 1), (chosen, 1), (best, r - 1))):
            beats = means[every, winner] > means[:, 0]
            counts[at] += (beats & (p[every, winner, 0] * times < ALPHA)).sum()
        others = p[every, best]
        others[every, best] = 0
        counts[3] += (others < ALPHA).all(axis=1).sum()
    return Winner(*(counts / sets))


@command_line(__doc__, Options)
def main(options: Options) -> None:
    echo(f"{options.sets:,} studies of each kind, {ENTITIES} entities; percent, of the worst pair of routings")
    print(f"{'deviations':12}{'K':>3}{'scatter':>9}{'shared':>8}{'holds':>8}{'decided':>9}{'power':>8}{'own':>8}")
    for deviations, k, scatter, shared in product(DEVIATIONS, SEEDS, SCATTERS, SHARED):
        of = coverage(Setting(k, scatter, deviations, shared), options.sets)
        words = " ".join(f"{each:g}" for each in deviations)
        numbers = f"{100 * of.holds:8.1f}{100 * of.decided:9.1f}{100 * of.power:8.1f}{100 * of.own:8.1f}"
        print(f"{words:12}{k:3}{scatter:9}{shared:8}{numbers}", flush=True)
    print(f"{'R':>3}{'K':>3}{'scatter':>9}{'plain':>8}{'validated':>11}{'corrected':>11}{'use':>8}")
    for r, k, scatter in product((3, 7), SEEDS, SCATTERS):
        best = winners(Setting(k, scatter, (1.0,) * r), options.sets)
        numbers = (
            f"{100 * best.plain:8.1f}{100 * best.validated:11.1f}{100 * best.corrected:11.1f}{100 * best.use:8.1f}"
        )
        print(f"{r:3}{k:3}{scatter:9}{numbers}", flush=True)


if __name__ == "__main__":
    run_command(main)
