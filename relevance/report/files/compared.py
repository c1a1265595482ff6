"""Findings → comparisons.csv: every difference that was tested, each with what it rests on.

data,kind,column,a,b,value,low,high,n,seeds,...
3f55934ea4b3,interval,macro,llm mhp joint,llm mh joint,0.0203,0.0061,0.0338,1212,0.018120 0.024600 0.018200,...
"""

import csv
import io
from collections.abc import Iterator

from relevance.report.evidence.contrast import Effect
from relevance.report.files.guard import guard
from relevance.report.findings import Findings

EFFECT = "value low high n seeds relative verdict".split()
MCNEMAR = "only_a only_b p_exact p_mid p_holm".split()
COMPARED = ("data", "kind", "column", "a", "b", *EFFECT, *MCNEMAR)


def comparisons_csv(found: list[Findings]) -> str:
    """comparisons.csv: for every column the best row with each other one, and each claim, in full precision, 0 to 1.

    kind `interval` has the difference of seed means and its 95 % interval; kind `mcnemar`, within one seed, how many
    rows only one of the two is right on, p exact and mid-p, and the mid-p after Holm's correction over its column;
    kind `claim` the claims, kind `gain` the differences to single-task baselines.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COMPARED, lineterminator="\n", restval="")
    writer.writeheader()
    for one in found:
        for line in (*_compared(one), *_claimed(one), *_gained(one)):
            told = {"data": one.matrix.digest[:12], **line}
            writer.writerow({key: _written(value) for key, value in told.items()})
    return text.getvalue()


def _written(value: object) -> str:
    """A text, guarded, or a number in full precision, whichever library it comes from."""
    return guard(value) if isinstance(value, str) else repr(value if isinstance(value, int) else float(value))


def _compared(found: Findings) -> Iterator[dict[str, object]]:
    for one in found.comparisons:
        pair = {"column": one.column, "a": one.best.name, "b": one.other.name}
        yield {"kind": "interval", **pair, **_effect(one.effect)}
        for test in one.tests:
            counts = {"only_a": test.only_best, "only_b": test.only_other}
            p = {"p_exact": test.exact, "p_mid": test.mid, "p_holm": test.holm}
            yield {"kind": "mcnemar", **pair, "seeds": str(test.seed), **counts, **p}


def _claimed(found: Findings) -> Iterator[dict[str, object]]:
    for one in found.claims:
        told = {"a": one.letter, "b": one.text, "verdict": one.verdict, **_effect(one.effect)}
        yield {"kind": "claim", "column": one.column, **told}


def _gained(found: Findings) -> Iterator[dict[str, object]]:
    for one in found.gains:
        pair = {"column": one.task, "a": one.row.name, "b": one.single.name}
        yield {"kind": "gain", **pair, **_effect(one.effect), "relative": one.relative}


def _effect(found: Effect | None) -> dict[str, object]:
    if found is None:
        return {}
    numbers = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
    return {**numbers, "seeds": " ".join(f"{seed:.6f}" for seed in found.seeds)}
