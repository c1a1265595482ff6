"""What cells answered when something was changed, or exchanged → the sections on probes and on consistency.

probes: test rows scored again with one thing changed, from what cells logged
| model | routing | task mix | variant | probe      | seeds  | query_item n=402 | ... |
| llm   | mhp     | joint    |         | as trained | 2 of 3 | 87.1 ± 0.4       | ... |
| llm   | mhp     | joint    |         | other_head | 2 of 3 | 41.3 ± 2.0       | ... |

consistency: mirrored pairs and the sides of triangles, from the predictions beside a cell's own
llm mhp: 4.1 % of 330 mirrored pairs get another label; of 410 triangles with two sides called relevant, 3.2 % break
"""

from dataclasses import dataclass

import numpy as np

from relevance import predictions
from relevance.data.implied import Implied, ensure_implied
from relevance.metrics import COLUMN_NAMES, COLUMNS, task_codes
from relevance.pages.blocks import IDENTITY, NONE, Block, Section, Table, percent
from relevance.report.matrix import MainRows, Matrix, whole
from relevance.report.rows import FINISHED, Row, spread
from relevance.report.sections.accuracy import headings, seeds, values
from relevance.report.stats import HeldOut
from relevance.tasks import TASK_NAMES, TASKS
from relevance.tracking.records import CellRecord

KINDS = {
    "no_prefix": "the prefix removed",
    "wrong_prefix": "the next task's prefix",
    "shuffled_prefix": "prefixes shuffled among the rows",
    "other_head": "another task's head",
    "other_private": "another task's private layers",
    "closed_gate": "the gates of post-norm private layers closed",
}
PROBES = "No training: the same test rows scored again with one thing changed; means are over the seeds that logged it."
SAMPLED = "probe/rows"  # logged where a probe scored a part of the test rows
UNKNOWN = "a change that this report does not know"
MIRRORS, SIDES = ("row", "mirror"), ("first", "second", "third")
RELEVANT, IRRELEVANT = 2, 0
SAID = "query_item + item_type → query_type"  # relevant, exact, yet irrelevant: what the paper sets out from
CONSISTENCY = (
    "From pairs that the test rows imply, scored by each cell after its test. Mirrored: the two texts of a symmetric "
    "pair exchanged; the label changes on this share of them, and the expected label (0 to 2) moves by this much. "
    "Triangles: of those whose first two sides the cell calls relevant, the share whose third side it calls "
    "irrelevant. Not every such triangle must close (two items of one type need not be alike): the shares compare "
    "cells. single × 6: the six single-task cells of a model, each asked about its own task."
)
ABSENT = "cells scored no implied pairs (consistency=false, or trained before it was there)"


def probed(cell: CellRecord) -> dict[str, np.ndarray]:
    """Accuracies, 0 to 1, in the order of COLUMNS [8] by kind of probe; NaN where the run logged none.

    Known kinds come first, others after them by name; a cell that did not finish has none.
    """
    kinds: dict[str, np.ndarray] = {}
    for metric, value in (cell.metrics if cell.status == FINISHED else {}).items():
        group, kind, name = (*metric.split("/", 2), "", "")[:3]
        if group == "probe" and name in COLUMN_NAMES:
            kinds.setdefault(kind, np.full(len(COLUMNS), np.nan))[COLUMN_NAMES.index(name)] = value
    return {kind: kinds[kind] for kind in _ordered(set(kinds))}


def probes_section(found: list[Matrix]) -> list[Section]:
    """What the kinds shown mean, then a table for each matrix with probes; no section without any."""
    shown = _ordered({kind for matrix in found for row in matrix.rows for kind in _by_kind(row)})
    if not shown:
        return []
    told = "; ".join(f"{kind}: {KINDS.get(kind, UNKNOWN)}" for kind in shown)
    blocks: list[Block] = [f"{PROBES} {told}.", *_sampled(found)]
    for matrix in found:
        if body := [line for row in matrix.rows for line in _lines(row, matrix)]:
            header = [*IDENTITY, "probe", "seeds", *headings(matrix)]
            blocks += [f"Data {matrix.digest[:12]}:"] if len(found) > 1 else []
            blocks.append(Table(header, body, left=len(IDENTITY) + 1))
    return [Section("Probes", blocks)]


def _sampled(found: list[Matrix]) -> list[str]:
    """How many test rows the probes scored, where it was not all of them."""
    cells = [cell for matrix in found for row in matrix.rows for cell in row.cells if probed(cell)]
    parts = sorted({int(cell.metrics[SAMPLED]) for cell in cells if SAMPLED in cell.metrics})
    told = " or ".join(f"{n:,}" for n in parts)
    return (
        [f"Of a larger table {told} test rows, drawn once, were scored again; 'as trained' is of all."] if parts else []
    )


def _lines(row: Row, matrix: Matrix) -> list[list[str]]:
    """The row as it was trained, then each kind that any of its seeds logged; no line without one."""
    kinds, labels = _by_kind(row), row.labels
    if not kinds:
        return []
    trained = values(row, matrix.n, np.zeros(len(COLUMNS), bool))
    lines = [[*labels, "as trained", seeds(row.finished, row), *trained]]
    for kind, logged in kinds.items():
        texts = [percent(*spread(column)) for column in logged.T]
        lines.append([*labels, kind, seeds(len(logged), row), *texts])
    return lines


def _by_kind(row: Row) -> dict[str, np.ndarray]:
    """Accuracies of the seeds that logged a kind [seeds, 8], by kind."""
    cells = [probed(cell) for cell in row.cells]
    return {
        kind: np.array([found[kind] for found in cells if kind in found])
        for kind in _ordered({kind for found in cells for kind in found})
    }


def _ordered(kinds: set[str]) -> list[str]:
    return [kind for kind in KINDS if kind in kinds] + sorted(kinds - KINDS.keys())


@dataclass(frozen=True)
class Told:
    """Of one cell, or of six."""

    mirrors: np.ndarray  # share that changes label, per task [6]
    shift: float  # mean change of the expected label
    broken: float  # share of the triangles that count
    said: float  # of those of the kind SAID
    counted: tuple[int, int]  # triangles that count: all kinds, SAID


def consistency_section(main: MainRows) -> list[Section]:
    """None where no cell scored implied pairs."""
    matrix = main.matrix
    if not any(cell.files.consistency.is_file() for row in matrix.rows for cell, _ in row.done):
        return []
    implied = ensure_implied(matrix.tested.path)
    lines = [([*row.labels], [_read([cell], matrix.tested, implied) for cell, _ in row.done]) for row in whole(matrix)]
    lines += [(labels, [_read(cells, matrix.tested, implied) for cells in seeds]) for labels, seeds in _sixes(main)]
    told = [(labels, [_told(one, implied) for one in found if one]) for labels, found in lines]
    body = [[*labels, str(len(found)), *_texts(found)] for labels, found in told if found]
    if not body:
        return []
    absent = sum(one is None for _, found in lines for one in found)
    tasks = [f"{name} mirrored, % n={n:,}" for name, n in _mirrored(implied).items()]
    header = ["model", "routing", "task mix", "variant", "seeds", *tasks, "moves by", "triangles broken, %", "said, %"]
    kind = implied.triangles["kind"].to_pylist().count(SAID)
    notes = [
        f"{len(implied.triangles):,} triangles; said: {SAID}, {kind:,} of them. In brackets how many count.",
        *([f"{absent} {ABSENT}."] if absent else []),
    ]
    return [Section("Consistency across tasks", [CONSISTENCY, Table(header, body, left=4), *notes])]


def _sixes(main: MainRows) -> list[tuple[list[str], list[list[CellRecord]]]]:
    """For each model with baselines of every tested task, its cells by seed."""
    found, tested = {}, [TASK_NAMES[task] for task in np.flatnonzero(main.matrix.n)]
    for row in main.joint.values():
        for budget, singles in main.singles(row).items():
            if set(singles) == set(tested):
                label = (row.labels[0], singles[tested[0]].labels[1], "single × 6", f"match={budget}" if budget else "")
                found[label] = [_of_seed(list(singles.values()), seed) for seed in _seeds(list(singles.values()))]
    return [(list(label), seeds) for label, seeds in found.items() if seeds]


def _seeds(rows: list[Row]) -> list[int]:
    return sorted(set.intersection(*(set(row.seeds) for row in rows)))


def _of_seed(rows: list[Row], seed: int) -> list[CellRecord]:
    return [cell for row in rows for cell, _ in row.done if cell.seed == seed]


def _read(cells: list[CellRecord], tested: HeldOut, implied: Implied) -> tuple[np.ndarray, np.ndarray] | None:
    """Label, and expected label, by row id: the test rows, then the implied pairs; None without a file of those."""
    paths = [path for cell in cells for path in (cell.files.test, cell.files.consistency)]
    if not all(path.is_file() for path in paths):
        return None
    tables = [predictions.read(path, ["row", "p_partial", "p_relevant", "predicted"]) for path in paths]
    row, partial, relevant, predicted = (
        np.concatenate([table[name].to_numpy() for table in tables]) for name in tables[0].column_names
    )
    ids = [tested.row, row, *(implied.mirrors[name] for name in MIRRORS), *(implied.triangles[name] for name in SIDES)]
    size = 1 + max(int(np.max(one, initial=0)) for one in map(np.asarray, ids))
    label, expected = np.full(size, -1, np.int8), np.full(size, np.nan, np.float32)
    label[row], expected[row] = predicted, partial + 2 * relevant
    return label, expected


def _told(found: tuple[np.ndarray, np.ndarray], implied: Implied) -> Told:
    label, expected = found
    row, mirror = (implied.mirrors[name].to_numpy() for name in MIRRORS)
    task = task_codes(implied.mirrors["task"]) if len(row) else np.empty(0, np.int64)
    known = label[mirror] >= 0  # not of a task that none of the cells was trained on
    row, mirror, task = row[known], mirror[known], task[known]
    changed = np.bincount(task, label[row] != label[mirror], len(TASK_NAMES))
    n = np.bincount(task, minlength=len(TASK_NAMES))
    sides = np.stack([implied.triangles[name].to_numpy() for name in SIDES])
    first, second, third = label[sides]
    counting = (first == RELEVANT) & (second == RELEVANT) & (third >= 0)
    said = counting & (implied.triangles["kind"].to_numpy() == SAID)
    broken = third == IRRELEVANT
    return Told(
        np.divide(changed, n, out=np.full(len(n), np.nan), where=n > 0),
        float(np.abs(expected[row] - expected[mirror]).mean()) if len(row) else np.nan,
        float(broken[counting].mean()) if counting.any() else np.nan,
        float(broken[said].mean()) if said.any() else np.nan,
        (int(counting.sum()), int(said.sum())),
    )


def _mirrored(implied: Implied) -> dict[str, int]:
    """Mirrored pairs of each symmetric task that has any."""
    found = implied.mirrors["task"].to_pylist()
    return {name: found.count(name) for name, task in TASKS.items() if task.symmetric and name in found}


def _texts(found: list[Told]) -> list[str]:
    tasks = [at for at in range(len(TASK_NAMES)) if not np.isnan([one.mirrors[at] for one in found]).all()]
    shares = [percent(*spread(np.array([one.mirrors[at] for one in found]))) for at in tasks]
    moved, _ = spread(np.array([one.shift for one in found]))
    triangles = [
        f"{percent(*spread(np.array(values)))} [{np.mean(counts):,.0f}]"
        for values, counts in (
            ([one.broken for one in found], [one.counted[0] for one in found]),
            ([one.said for one in found], [one.counted[1] for one in found]),
        )
    ]
    return [*shares, NONE if np.isnan(moved) else f"{moved:.3f}", *triangles]
