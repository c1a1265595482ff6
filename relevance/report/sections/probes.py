"""What cells answered when something was changed, or exchanged → the sections on probes and on consistency.

probes: test rows scored again with one thing changed, from what cells logged
| model | routing | task mix | variant | probe      | seeds  | query_item n=402 | ... |
| llm   | mhp     | joint    |         | as trained | 2 of 3 | 87.1 ± 0.4       | ... |
| llm   | mhp     | joint    |         | other_head | 2 of 3 | 41.3 ± 2.0       | ... |

consistency: mirrored pairs and the sides of triangles, from the predictions beside a cell's own
llm mhp: 4.1 % of 330 mirrored pairs get another label; of 410 triangles with two sides called relevant, 3.2 % break
"""

import numpy as np
import pyarrow as pa

from relevance import predictions
from relevance.data.implied import Implied, ensure_implied
from relevance.metrics import COLUMN_NAMES, COLUMNS, task_codes
from relevance.pages.blocks import NONE, Block, Section, percent
from relevance.ranking import expected_grade
from relevance.report.held_out import HeldOut
from relevance.report.matrix import MainRows, Matrix, whole
from relevance.report.rows import FINISHED, Row, spread
from relevance.report.sections import headings, of_data, percents, seeds, table, values
from relevance.tasks import TASK_NAMES, TASKS
from relevance.tracking.records import CellRecord

KINDS = {
    "no_prefix": "the prefix removed",
    "wrong_prefix": "the next task's prefix",
    "shuffled_prefix": "prefixes shuffled among the rows",
    "other_head": "another task's head",
    "other_private": "another task's private layers, learnt vectors or matrices",
    "closed_gate": "the gates of post-norm private layers closed",
}
PROBES = "No training: the same test rows scored again with one thing changed; means are over the seeds that logged it."
SAMPLED = "probe/rows"  # logged where a probe scored a part of the test rows
UNKNOWN = "a change that this report does not know"
MIRRORS, SIDES = ("row", "mirror"), ("first", "second", "third")
RELEVANT, IRRELEVANT = 2, 0
PAPERS = "query_item + item_type → query_type"  # relevant, exact, yet irrelevant: what the paper sets out from
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


def probes_section(tables: list[Matrix]) -> list[Section]:
    """What the kinds shown mean, then a table for each matrix with probes; no section without any."""
    cells = [cell for matrix in tables for row in matrix.rows for cell in row.cells if probed(cell)]
    if not cells:
        return []
    kinds = "; ".join(f"{kind}: {KINDS.get(kind, UNKNOWN)}" for kind in _ordered({k for c in cells for k in probed(c)}))
    parts = sorted({int(cell.metrics[SAMPLED]) for cell in cells if SAMPLED in cell.metrics})
    blocks: list[Block] = [f"{PROBES} {kinds}."]
    if parts:
        rows = " or ".join(f"{n:,}" for n in parts)
        blocks.append(f"Of a larger table {rows} test rows, drawn once, were scored again; 'as trained' is of all.")
    for matrix in tables:
        if body := [line for row in matrix.rows for line in _lines(row, matrix)]:
            blocks += [*of_data(matrix, tables), table(body, ["seeds", *headings(matrix)], ["probe"])]
    return [Section("Probes", blocks, closed=True)]


def _lines(row: Row, matrix: Matrix) -> list[list[str]]:
    """The row as it was trained, then each kind that any of its seeds logged; no line without one."""
    cells = [probed(cell) for cell in row.cells]
    lines = [[*row.labels, "as trained", seeds(row.finished, row), *values(row, matrix.n)]]
    for kind in _ordered({kind for kinds in cells for kind in kinds}):
        logged = [kinds[kind] for kinds in cells if kind in kinds]
        lines.append([*row.labels, kind, seeds(len(logged), row), *percents(logged)])
    return lines if len(lines) > 1 else []


def _ordered(kinds: set[str]) -> list[str]:
    return [kind for kind in KINDS if kind in kinds] + sorted(kinds - KINDS.keys())


Answers = tuple[np.ndarray, np.ndarray]  # label and expected label by row id, of the test rows and the implied pairs


def consistency_section(main: MainRows) -> list[Section]:
    """None where no cell scored implied pairs."""
    matrix = main.matrix
    if not any(cell.files.consistency.is_file() for row in matrix.rows for cell in row.done):
        return []
    implied = ensure_implied(matrix.tested.path)
    lines = [(row.labels, [[cell] for cell in row.done]) for row in whole(matrix)] + _sixes(main)
    read = [(labels, [_read(cells, matrix.tested, implied) for cells in seeds]) for labels, seeds in lines]
    shares = [(labels, [_shares(answers, implied) for answers in seeds if answers]) for labels, seeds in read]
    body = [[*labels, str(len(seeds)), *_texts(np.array(seeds))] for labels, seeds in shares if seeds]
    if not body:
        return []
    absent = sum(answers is None for _, seeds in read for answers in seeds)
    names = implied.mirrors["task"].to_pylist()
    mirrored = {name: names.count(name) for name, task in TASKS.items() if task.symmetric and name in names}
    tasks = [f"{name} mirrored, % n={n:,}" for name, n in mirrored.items()]
    header = ["seeds", *tasks, "moves by", "triangles broken, %", "said, %"]
    n = implied.triangles["kind"].to_pylist().count(PAPERS)
    notes = [
        f"{len(implied.triangles):,} triangles; said: {PAPERS}, {n:,} of them. In brackets how many count.",
        *([f"{absent} {ABSENT}."] if absent else []),
    ]
    return [Section("Consistency across tasks", [CONSISTENCY, table(body, header), *notes], closed=True)]


def _sixes(main: MainRows) -> list[tuple[tuple[str, str, str, str], list[list[CellRecord]]]]:
    """For each model with baselines of every tested task, its cells by seed."""
    sixes = {}
    for row in main.joint.values():
        for budget, singles in main.singles(row).items():
            if set(singles) == set(main.matrix.tasks):
                routing = singles[main.matrix.tasks[0]].labels[1]
                label = (row.labels[0], routing, "single × 6", f"match={budget}" if budget else "")
                cells = [cell for single in singles.values() for cell in single.done]
                seeds = sorted(set.intersection(*(set(single.seeds) for single in singles.values())))
                sixes[label] = [[cell for cell in cells if cell.seed == seed] for seed in seeds]
    return [(label, seeds) for label, seeds in sixes.items() if seeds]


def _read(cells: list[CellRecord], tested: HeldOut, implied: Implied) -> Answers | None:
    """None without a file of the test rows or of the implied pairs."""
    paths = [path for cell in cells for path in (cell.files.test, cell.files.consistency)]
    if not all(path.is_file() for path in paths):
        return None
    table = pa.concat_tables([predictions.read(path) for path in paths])
    row, *p = (table[name].to_numpy() for name in ("row", *predictions.PROBABILITIES))
    ids = [tested.row, row, *(implied.mirrors[name] for name in MIRRORS), *(implied.triangles[name] for name in SIDES)]
    size = 1 + max(int(np.max(np.asarray(column), initial=0)) for column in ids)
    label, expected = np.full(size, -1, np.int8), np.full(size, np.nan, np.float32)
    label[row], expected[row] = table["predicted"].to_numpy(), expected_grade(np.stack(p).T)
    return label, expected


def _shares(answers: Answers, implied: Implied) -> list[float]:
    """What the answers say of the implied pairs [11]; NaN where there is none to say it of.

    Of the mirrored pairs of each task the share that changes its label, of all the mean change of the expected label;
    of the triangles that count the share that is broken and their number, then the same of the kind PAPERS.
    """
    label, expected = answers
    row, mirror = (implied.mirrors[name].to_numpy() for name in MIRRORS)
    task = task_codes(implied.mirrors["task"]) if len(row) else np.empty(0, np.int64)
    known = label[mirror] >= 0  # not of a task that none of the cells was trained on
    row, mirror, task = row[known], mirror[known], task[known]
    changed = label[row] != label[mirror]
    first, second, third = label[np.stack([implied.triangles[name].to_numpy() for name in SIDES])]
    counting = (first == RELEVANT) & (second == RELEVANT) & (third >= 0)
    papers = counting & (implied.triangles["kind"].to_numpy() == PAPERS)
    broken = third == IRRELEVANT
    return [
        *(_share(changed[task == code]) for code in range(len(TASK_NAMES))),
        _share(np.abs(expected[row] - expected[mirror])),
        *(_share(broken[counting]), counting.sum()),
        *(_share(broken[papers]), papers.sum()),
    ]


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _texts(shares: np.ndarray) -> list[str]:
    """Of the shares of each seed [seeds, 11]; of tasks that are symmetric alone."""
    tasks, (moved, broken, counting, papers, of_papers) = shares[:, : len(TASK_NAMES)], shares[:, len(TASK_NAMES) :].T
    triangles = (f"{percent(*spread(part))} [{n.mean():,.0f}]" for part, n in ((broken, counting), (papers, of_papers)))
    mean, _ = spread(moved)
    shown = percents(tasks[:, ~np.isnan(tasks).all(axis=0)])
    return [*shown, NONE if np.isnan(mean) else f"{mean:.3f}", *triangles]
