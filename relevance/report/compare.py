"""Two sweeps side by side → compare.md, compare.csv, index.html: each row both have, one minus the other.

llm mhp joint  macro  A 84.5 ± 0.4  B 83.1 ± 0.6  A - B +1.4 [+0.2, +2.6]  n=1,212
"""

from dataclasses import dataclass
from pathlib import Path

from relevance.atomic_io import write_text
from relevance.cell_id import slug
from relevance.errors import UserError
from relevance.metrics import COLUMNS
from relevance.pages.blocks import IDENTITY, NONE, Block, Bold, Code, Section, Table, percent
from relevance.pages.render import html, markdown
from relevance.report.files import Field, csv_text
from relevance.report.matrix import Matrix, matrices
from relevance.report.rows import Row
from relevance.report.stats import Effect, contrast, effect_text, versus
from relevance.tracking.records import SweepRecord

TOLD = (
    "Rows that both sweeps have, by model, routing, task mix and variant; a change is A minus B in points with its 95 "
    "% interval, over the same resampled entities and the seeds both have. Bold: the interval leaves out zero."
)
APART = "The sweeps share no table of pairs: their numbers stand side by side, and no difference can be tested."
ALONE = "Only in {name}: {rows}."
FIELDS = ("model", "routing", "task_mix", "variant", "column", "a", "b", "difference", "low", "high", "n", "seeds")


@dataclass(frozen=True)
class Pair:
    """A row of each sweep; without a matrix in common their effects are None."""

    a: Row
    b: Row
    effects: dict[str, Effect | None]  # by column


def write_comparison(first: SweepRecord, other: SweepRecord, reports: Path) -> Path:
    """Write the comparison of two sweeps; returns its folder. UserError where they share no row."""
    a, b = (_rows(sweep) for sweep in (first, other))
    matrices_a = {matrix.digest: matrix for matrix, _ in a.values()}
    pairs = [_pair(a[key], b[key], matrices_a) for key in a if key in b]
    if not pairs:
        raise UserError(f"compare=[{first.name},{other.name}]: no row in common (model, routing, task mix, variant)")
    folder = reports / slug(f"{first.name}-vs-{other.name}")
    page = _page((first, other), pairs, ([key for key in a if key not in b], [key for key in b if key not in a]))
    title = f"A: {first.name}, B: {other.name}"
    files = {"compare.md": markdown(title, page), "index.html": html(title, page, folder), "compare.csv": _csv(pairs)}
    for name, text in files.items():
        write_text(folder / name, text)
    return folder


def _rows(sweep: SweepRecord) -> dict[tuple[str, ...], tuple[Matrix, Row]]:
    """By the full labels of its cells: what all cells of one sweep have alike may differ between two."""
    return {tuple(_labels(row)): (matrix, row) for matrix in matrices(sweep) for row in matrix.rows}


def _pair(a: tuple[Matrix, Row], b: tuple[Matrix, Row], known: dict[str, Matrix]) -> Pair:
    (matrix, first), (theirs, other) = a, b
    same = matrix.digest == theirs.digest and first.finished and other.finished
    effects = {name: contrast(versus(first.series, other.series, name), matrix.n) if same else None for name in COLUMNS}
    return Pair(first, other, effects)


def _page(sweeps: tuple[SweepRecord, ...], pairs: list[Pair], alone: tuple[list, list]) -> list[Section]:
    """Commands, a table for each kind of number, and what only one of them has."""
    commands: list[Block] = [Code(run.command) for sweep in sweeps for run in sweep.runs]
    tested = any(value for pair in pairs for value in pair.effects.values())
    body = [[*_labels(pair.a), *(_change(pair.effects[name]) for name in COLUMNS)] for pair in pairs]
    rest = [
        ALONE.format(name=sweep.name, rows=", ".join(" ".join(filter(None, key)) for key in keys))
        for sweep, keys in zip(sweeps, alone, strict=True)
        if keys
    ]
    changes = [Table([*IDENTITY, *COLUMNS], body, left=4)] if tested else [APART]
    both = Table([*IDENTITY, "sweep", "seeds", *COLUMNS], [line for pair in pairs for line in _both(pair)], left=5)
    return [Section("A minus B", [TOLD, *commands, *changes, *rest]), Section("Both", [both])]


def _both(pair: Pair) -> list[list[str]]:
    return [
        [*_labels(row), name, str(row.finished), *(percent(*value) for value in zip(row.mean, row.sd, strict=True))]
        for name, row in (("A", pair.a), ("B", pair.b))
    ]


def _labels(row: Row) -> list[str]:
    first = row.cells[0]
    return [first.model, first.routing, first.task_mix, first.variant]


def _change(effect: Effect | None) -> str:
    if effect is None:
        return NONE
    return Bold(effect_text(effect)) if effect.low > 0 or effect.high < 0 else effect_text(effect)


def _csv(pairs: list[Pair]) -> str:
    lines: list[list[Field]] = []
    for pair in pairs:
        for at, (name, effect) in enumerate(pair.effects.items()):
            numbers = [effect.value, effect.low, effect.high, effect.n, len(effect.seeds)] if effect else [""] * 5
            values = [pair.a.mean[at], pair.b.mean[at], *numbers]
            lines.append([*_labels(pair.a), name, *("" if value != value else value for value in values)])  # NaN
    return csv_text(FIELDS, lines)
