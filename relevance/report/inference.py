"""How sure: the variances of an estimate → its interval, its p, what would decide it, and the verdict of a family.

mh 81.4 (seeds 82.0 80.6 81.5), prefix 81.3 (82.0 80.4 81.5), 3,331 rows
→ +0.1 [-1.8, +1.9], df 4.9: of its standard error 0.5 from the rows drawn, 0.5 from training seeds, p 0.91

An estimate is a sum of seed means, each with its factor c: a difference has +1 and -1. Two things could fall out
otherwise, the test rows and the training seeds, and their variances add:

rows     of the seed mean over clusters of rows (`report.panel`)
seeds    sum of c² (s² - row noise) / K, none below 0: s² is what K seeds differ by, row noise what of it the rows make
scatter  sum of c² s² / K: what the second is known from, with df_seeds

Seeds are not paired: in 42 columns of accuracies of the project's own reports, routings of one number of seed do not go
up and down together much more than others (F of seeds against rest at the median 1.1), and a pair of three seeds has 2
degrees of freedom instead of 4. Each row has its own seed variance: pooled over the routings of a family it is too sure
where one of them is unsteady (88 % instead of 95 at a deviation three times that of the others). The critical value is
Cochran and Cox's (Experimental Designs, 1957) weighted mean of two quantiles of Student's t, that of the rows and
that of the scatter: Satterthwaite's (1946, doi:10.2307/3002019), from variances that are themselves estimated, is too
sure at three seeds (92 to 94 %). It is given as the `df` at which t has this quantile. `make simulate` prints what all
this covers.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import stdtr, stdtrit

ALPHA = 0.05
SEEDS = 2  # of a row, below which nothing of it is decided
MOST_SEEDS = 100  # in a row, looked through for the number that would decide
MOST_ROWS = 100.0  # times as many, likewise


@dataclass(frozen=True)
class Spread:
    """Variances of estimates, numbers or arrays of one shape; seeds, scatter and df_seeds are NaN at one seed."""

    rows: np.ndarray
    df_rows: np.ndarray
    noise: np.ndarray  # that part of `rows` which falls with the number of seeds
    scatter: np.ndarray
    df_seeds: np.ndarray

    @property
    def seeds(self) -> np.ndarray:
        """Variance by training seeds beyond row noise."""
        return np.maximum(self.scatter - self.noise, 0)

    @property
    def se(self) -> np.ndarray:
        """Standard error; of one seed that of the rows alone."""
        return np.sqrt(self.rows + np.nan_to_num(self.seeds))

    @property
    def df(self) -> np.ndarray:
        """Degrees of freedom at which t has Cochran and Cox's quantile; of one seed those of the rows."""
        scatter = np.nan_to_num(self.scatter)
        share = np.divide(scatter, self.rows + scatter, out=np.zeros(np.shape(scatter)), where=scatter > 0)
        degrees, quantiles = _quantiles()
        both = (np.interp(df, degrees, quantiles) for df in (self.df_rows, np.nan_to_num(self.df_seeds, nan=1.0)))
        rows, seeds = both
        return np.interp(-(rows + share * (seeds - rows)), -quantiles, degrees)

    def half(self, alpha: float = ALPHA) -> np.ndarray:
        """Half the width of the interval that leaves out the truth in a share `alpha` of cases."""
        return self.se * stdtrit(self.df, 1 - alpha / 2)

    def p(self, estimate: np.ndarray) -> np.ndarray:
        """Two-sided p that the truth is zero: below ALPHA where the interval leaves out zero; NaN at one seed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2 * stdtr(self.df, -np.abs(estimate) / self.se)
        return np.where(np.isnan(self.scatter), np.nan, np.where(np.asarray(estimate) == 0, 1.0, p))

    def with_seeds(self, times: np.ndarray, k: np.ndarray) -> "Spread":
        """The same with `times` as many seeds, of which there are `k` now."""
        steady = np.maximum(self.rows - self.noise, 0)
        df = self.df_seeds * (k * times - 1) / (k - 1)
        return Spread(steady + self.noise / times, self.df_rows, self.noise / times, self.scatter / times, df)

    def with_rows(self, times: np.ndarray) -> "Spread":
        """The same with `times` as many rows, of as many more entities."""
        noise = self.noise / times
        return Spread(self.rows / times, self.df_rows * times, noise, self.seeds + noise, self.df_seeds)


@cache
def _quantiles() -> tuple[np.ndarray, np.ndarray]:
    """Degrees of freedom, rising, and the quantiles of t at them, falling."""
    degrees = np.geomspace(0.5, 1e7, 4_000)
    return degrees, stdtrit(degrees, 1 - ALPHA / 2)


def spread(rows: np.ndarray, df_rows: np.ndarray, scatter: np.ndarray, noise: np.ndarray, k: np.ndarray) -> Spread:
    """Of estimates [...] over R rows of a table: c² s² / K and c² row noise / K of each [..., R], its seeds k [R].

    One seed has no scatter. df_seeds lies a third of the way from Welch's (1947, doi:10.1093/biomet/34.1-2.28) down to
    that of the row of fewest seeds, and is that at two seeds: Welch's alone leaves 93 % at three seeds of unlike
    variance.
    """
    k = np.asarray(k)
    few = int(k.min()) - 1
    if few < 1:
        scatter = np.full(np.shape(scatter), np.nan)
    total = scatter.sum(axis=-1)
    squares = (scatter**2 / np.maximum(k - 1, 1)).sum(axis=-1)
    welch = np.divide(total**2, squares, out=np.full(np.shape(total), float(few)), where=squares > 0)
    df_seeds = (2 * welch + few) / 3 if few > 1 else np.full(np.shape(total), float(few))
    return Spread(np.asarray(rows), np.asarray(df_rows), noise.sum(axis=-1), total, df_seeds)


def seed_parts(values: np.ndarray, influence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """s² of the seeds' values [..., K], and what of it is row noise, from each one's influence by cluster [..., K, G].

    Row noise is the mean over seeds of the variance of what is a seed's own: its influence less the seeds' mean. 0 for
    a single seed, of which nothing is known.
    """
    k = values.shape[-1]
    if k < 2:
        return np.zeros(values.shape[:-1]), np.zeros(values.shape[:-1])
    own = influence - influence.mean(axis=-2, keepdims=True)
    return values.var(axis=-1, ddof=1), np.einsum("...kg,...kg->...", own, own) / (k - 1)


def seeds_to_decide(estimate: np.ndarray, of: Spread, k: np.ndarray) -> np.ndarray:
    """How many seeds a row would set the interval of estimates [E] apart from zero, if they stayed as they are.

    NaN where MOST_SEEDS would not, and of one seed. A new sweep of so many decides in about half of all cases: its
    estimate falls above the old one as often as below.
    """
    counts = np.arange(2, MOST_SEEDS + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        column = [np.asarray(each, float)[:, None] for each in (of.rows, of.df_rows, of.noise, of.scatter, of.df_seeds)]
        k = np.asarray(k, float)[:, None]
        enough = Spread(*column).with_seeds(counts / k, k).half() < np.abs(estimate)[:, None]
    return _first(enough & (k > 1), counts)


def rows_to_decide(estimate: np.ndarray, of: Spread) -> np.ndarray:
    """How many times as many test rows would, of as many more entities; NaN where MOST_ROWS times would not.

    So it is of one seed, which no number of rows makes up for.
    """
    times = np.geomspace(1, MOST_ROWS, 200)
    column = [np.asarray(each, float)[:, None] for each in (of.rows, of.df_rows, of.noise, of.scatter, of.df_seeds)]
    enough = Spread(*column).with_rows(times).half() < np.abs(estimate)[:, None]
    return _first(enough & ~np.isnan(of.scatter)[:, None], times)


def _first(enough: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(enough.any(axis=1), counts[enough.argmax(axis=1)], np.nan)
