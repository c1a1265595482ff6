"""Two sweeps → what changing one thing did: rows of one model, routing and task mix in both, B minus A.

compare=[before,after], the second with model.lr=1e-4
| model | routing | task mix | A                | B                | B minus A        | seeds |
| llm   | mhp     | joint    | 84.5 (lr=0.001)  | 86.0 (lr=0.0001) | +1.5 [+0.2, +2.8] | 3 : 3 |

Rows of the two are paired whatever else differs, of several tunings by tuning; what differs stands in the heads. Where
the test rows are not the same, both are measured on those that the two share, and the page says how many that are.

compare.csv: model, routing, task_mix, a, b (settings that differ), measure, scope, and what relevance.report.panel has
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from relevance.atomic_io import write_text
from relevance.cell_id import flat, slug, without
from relevance.config_io import ConfigFile
from relevance.errors import UserError
from relevance.metrics import COLUMNS
from relevance.pages.blocks import Block, Code, Section, Table, percent
from relevance.pages.render import html, markdown
from relevance.report.evidence import Evidence
from relevance.report.files import check_free, csv_text
from relevance.report.held_out import HeldOut
from relevance.report.matrix import Matrix, matrices
from relevance.report.measures import ACCURACY, Measured, Measurer
from relevance.report.panel import difference, effects
from relevance.report.rows import Row
from relevance.report.sections import decided_text
from relevance.report.turned import turned_sections
from relevance.report.verdict import settled
from relevance.tracking.records import SweepRecord

RULE = (
    "B minus A in points of accuracy with its 95 % interval, over entities of the test rows and training seeds. Bold: "
    "it leaves out zero after Holm's correction for the rows compared. One seed decides nothing."
)
SHARED = "Test rows: A has {a:,}, B has {b:,}; both are measured on the {n:,} that they share."
SAME = "Both are measured on the same {n:,} test rows."
ALONE = "Only in {name}: {rows}."
EQUAL = "The same cells stand in both, and nothing is to be compared: {rows}."
UNSAID = {"name", "outputs", "tracking_uri", "experiment", "seed", "tune.trial", "tune.sweep"}  # they change no number
COLUMNS_OF = ("estimate", "low", "high", "df", "se_rows", "se_seeds", "n_rows", "n_lefts", "seeds", "p", "p_holm")
HEADER = ["model", "routing", "task_mix", "settings_a", "settings_b", "scope", "a", "b", *COLUMNS_OF, "verdict"]
Key = tuple[str, str, str]  # model, routing, task mix


@dataclass(frozen=True, eq=False)
class Pair:
    """A row of each sweep, and in what their settings differ."""

    key: Key
    a: Row
    b: Row
    settings: tuple[str, str]


def write_comparison(first: SweepRecord, other: SweepRecord, reports: Path) -> Path:
    """Write compare.md, compare.csv and index.html; returns their folder. UserError where the two share nothing."""
    sides = [_rows(sweep) for sweep in (first, other)]
    pairs = _pairs(*sides)
    if not pairs:
        raise UserError(f"compare=[{first.name},{other.name}]: no row in common (model, routing, task mix)")
    changed = [pair for pair in pairs if _cells(pair.a) != _cells(pair.b)] or pairs  # a sweep beside itself: zeros
    frames, notes, turned = [], [], list[Section]()
    for (a, b), group in _by_table(sides, changed).items():
        frame, note = _effects(a, b, group)
        frames.append(frame)
        notes.append(note)
        turned += turned_sections(Evidence(a), Evidence(b))
    frame = settled(pd.concat(frames, ignore_index=True))
    folder = reports / slug(f"{first.name}-vs-{other.name}")
    check_free(folder, "compare.md", "# A:")
    title = f"A: {first.name}, B: {other.name}"
    alone = [ALONE.format(name=sweep.name, rows=", ".join(names))
             for sweep, side in zip((first, other), sides, strict=True) if (names := _alone(side, pairs))]  # fmt: skip
    if equal := [" ".join(pair.key) for pair in pairs if pair not in changed]:
        alone.append(EQUAL.format(rows=", ".join(equal)))
    page = [*_page([first, other], frame, [*dict.fromkeys(notes)], alone), *turned]
    write_text(folder / "compare.md", markdown(title, page))
    write_text(folder / "index.html", html(title, page, folder))
    lines = ([value if value == value else "" for value in line] for line in frame[HEADER].itertuples(index=False))
    write_text(folder / "compare.csv", csv_text(HEADER, lines))
    return folder


Side = dict[Key, list[tuple[Matrix, Row]]]


def _rows(sweep: SweepRecord) -> Side:
    rows: Side = defaultdict(list)
    for matrix in matrices(sweep):
        for row in matrix.finished:
            rows[row.labels[:3]].append((matrix, row))
    return rows


def _pairs(first: Side, other: Side) -> list[Pair]:
    """Each row of A with each of B of the same model, routing and task mix; of equal settings where there are any.

    A tuning that both have is compared with itself alone.
    """
    pairs = []
    for key, rows in first.items():
        against = [b for _, b in other.get(key, [])]
        both = {a.kind for _, a in rows} & {b.kind for b in against}
        for _, a in rows:
            alike = [b for b in against if a.kind == b.kind or not {a.kind, b.kind} & both]
            same = [b for b in alike if _untuned(b) == _untuned(a)] or alike
            pairs += [Pair((_model(key, a, b), *key[1:]), a, b, _differing(a, b)) for b in same]
    return pairs


def _model(key: Key, a: Row, b: Row) -> str:
    """The model of a pair, with a tuning of its own where both have it."""
    return f"{key[0]} {a.kind}".strip() if a.kind == b.kind else key[0]


def _alone(side: Side, pairs: list[Pair]) -> list[str]:
    """The rows of a sweep that no pair holds."""
    paired = {id(row) for pair in pairs for row in (pair.a, pair.b)}
    left = [(key, row) for key, rows in side.items() for _, row in rows if id(row) not in paired]
    return [*dict.fromkeys(" ".join((f"{key[0]} {row.kind}".strip(), *key[1:])) for key, row in left)]


def _cells(row: Row) -> set[str]:
    return {cell.fingerprint for cell in row.cells}


def _untuned(row: Row) -> str:
    """The variant of its cells without where their rates are from."""
    cell = row.cells[0]
    return without(cell.variant, *(part for part in cell.variant.split(",") if part.startswith("tuned=")))


def _differing(a: Row, b: Row) -> tuple[str, str]:
    """The settings that differ, as each has them: "lr=0.001", "lr=0.0001"."""
    one, two = (flat(ConfigFile(row.config).settings()) for row in (a, b))
    unsaid = UNSAID | ({"model.tuning"} if a.kind == b.kind else set())  # null where it is the family's own
    names = [name for name in {**one, **two} if one.get(name) != two.get(name) and name not in unsaid]
    sides = [", ".join(f"{name}={values.get(name)}" for name in names) for values in (one, two)]
    return sides[0], sides[1]


def _by_table(sides: list[Side], pairs: list[Pair]) -> dict[tuple[Matrix, Matrix], list[Pair]]:
    of = {id(row): matrix for side in sides for rows in side.values() for matrix, row in rows}
    tables: dict[tuple[Matrix, Matrix], list[Pair]] = defaultdict(list)
    for pair in pairs:
        tables[of[id(pair.a)], of[id(pair.b)]].append(pair)
    return tables


def _effects(a: Matrix, b: Matrix, pairs: list[Pair]) -> tuple[pd.DataFrame, str]:
    """The effects of rows on two tables, over the test rows of both, and the line that says which these are."""
    here, there = shared_rows(a.tested, b.tested)
    measurer = Measurer(a.tested.part(here))
    measured: list[Measured] = []
    contrasts = []
    for number, pair in enumerate(pairs):
        places = []
        for row, tested, rows in ((pair.a, a.tested, here), (pair.b, b.tested, there)):
            places.append(tuple(range(len(measured), len(measured) + row.finished)))
            measured += [measurer.measure(tested.answers(cell.files.test)[rows]) for cell in row.done]
        contrasts += [(number, column, places) for column in COLUMNS]
    panel = measurer.panel(ACCURACY, measured)
    asked = [
        difference(column, (f"B {number}", places[1]), (f"A {number}", places[0]), column, panel.weights(column))
        for number, column, places in contrasts
    ]
    frame = effects(panel, asked).rename(columns={"a": "name_b", "b": "name_a"})
    of = [pairs[number] for number, _, _ in contrasts]
    frame[["model", "routing", "task_mix"]] = [pair.key for pair in of]
    frame[["settings_a", "settings_b"]] = [pair.settings for pair in of]
    frame["counts"] = [f"{pair.a.finished} : {pair.b.finished}" for pair in of]
    for at, side in enumerate(("a", "b")):
        frame[side] = [panel.values(places[at], panel.weights(column)).mean() for _, column, places in contrasts]
    if len(here) == len(a.tested.row) == len(b.tested.row):
        return frame, SAME.format(n=len(here))
    return frame, SHARED.format(a=len(a.tested.row), b=len(b.tested.row), n=len(here))


def shared_rows(a: HeldOut, b: HeldOut) -> tuple[np.ndarray, np.ndarray]:
    """Places of the test rows that two tables share, in each: equal task, entities and label. UserError for none."""
    if a.path == b.path:
        return np.arange(len(a.row)), np.arange(len(a.row))
    one, two = (pd.DataFrame(tested.keys()).assign(place=np.arange(len(tested.row))) for tested in (a, b))
    one, two = (frame.drop_duplicates([*frame.columns[:-1]]) for frame in (one, two))
    both = one.merge(two, on=[*one.columns[:-1]], suffixes=("_a", "_b"))
    if both.empty:
        raise UserError(f"compare: {a.path} and {b.path} share no test row; compare sweeps of one file of pairs")
    return both["place_a"].to_numpy(), both["place_b"].to_numpy()


def _page(sweeps: list[SweepRecord], frame: pd.DataFrame, notes: list[str], alone: list[str]) -> list[Section]:
    """The macro of each pair and its change, then every column; the commands, and what only one of them has."""
    macro = frame[frame["scope"] == "macro"]
    known = {"settings_a": macro["settings_a"].unique(), "settings_b": macro["settings_b"].unique()}
    one = {name: values[0] for name, values in known.items() if len(values) == 1}
    heads = [f"A, macro % {one.get('settings_a', '')}".strip(), f"B, macro % {one.get('settings_b', '')}".strip()]
    body = []
    for e in macro.to_dict("records"):
        texts = [percent(e["a"]), percent(e["b"])]
        if not one:
            texts = [f"{text} ({e[name]})" for text, name in zip(texts, known, strict=True)]
        body.append([e["model"], e["routing"], e["task_mix"], *texts, decided_text(e), e["counts"]])
    header = ["model", "routing", "task mix", *heads, "B minus A", "seeds"]
    blocks: list[Block] = [RULE, *notes, Table(header, body, left=3), *alone]
    blocks += [Code(run.command) for sweep in sweeps for run in sweep.runs]
    lines = [
        [*key, *map(decided_text, group.to_dict("records"))]
        for key, group in frame.groupby(["model", "routing", "task_mix", "name_b"], sort=False)
    ]
    every = Table(["model", "routing", "task mix", *COLUMNS], [[*line[:3], *line[4:]] for line in lines], left=3)
    return [Section("B minus A", blocks), Section("By task", [every])]
