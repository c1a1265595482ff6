"""Grades of people beside the labels of rules → how far each rule can be trusted, as plain data and as a page.

{"rules": [{"task": "query_item", "source": "chorus", "graded": 57, ...}], ...} → [Section("Rules", ...), ...]
query_item "chorus": 57 graded, 3 not, 82.5 % equal, kappa 0.74 (0.58 to 0.86); ann and bob: kappa 0.81
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from relevance.audit.agreement import agreement, couples
from relevance.audit.opened import Opened
from relevance.audit.page import AGREED, agreed, decimal, share
from relevance.audit.sheet import Grades, first_of_each, pair_digests, read_grades
from relevance.pages.blocks import NONE, Section, Table, count
from relevance.tasks import LABELS, TASK_NAMES


def graded(pairs: Opened, files: Sequence[Path]) -> dict:
    """Every number of it, with stable keys; raises UserError for a file that cannot be read, with its rows."""
    digest = pair_digests(pairs.table)
    places = first_of_each(digest)
    people = [read_grades(path, digest[places], places) for path in files]
    rules = [_rule(pairs, places, task, source, people) for task, source in _rules(pairs, people)]
    return {
        "file": pairs.name,
        "graders": [{"file": one.name, "graded": len(one.at), "ungraded": len(one.ungraded)} for one in people],
        "rules": rules,
        "tasks": [_task(pairs, task, people) for task in dict.fromkeys(rule["task"] for rule in rules)],
        "all": _counts(pairs, people, np.ones(len(pairs.rows), bool)),
        "confusion": _confusion(pairs, people).tolist(),
        "between": [_between(*two) for two in combinations(people, 2)],
    }


def _rules(pairs: Opened, people: Sequence[Grades]) -> list[tuple[str, str | None]]:
    """Task and rule of the rows that people were shown."""
    shown = np.unique(np.concatenate([np.concatenate([one.at, one.ungraded]) for one in people]))
    cells = pairs.table.select(["task", "source"]).take(shown).to_pylist()
    named = {(cell["task"], cell["source"]) for cell in cells}
    return sorted(named, key=lambda one: (TASK_NAMES.index(one[0]), one[1] is None, one[1] or ""))


def _rule(pairs: Opened, places: np.ndarray, task: str, source: str | None, people: Sequence[Grades]) -> dict:
    column = pairs.table["source"]
    mine = pc.is_null(column) if source is None else pc.fill_null(pc.equal(column, source), False)
    rows = mine.to_numpy() & (pairs.keys.task == TASK_NAMES.index(task))
    counts = _counts(pairs, people, rows)
    totals = np.bincount(pairs.label[places][rows[places]], minlength=len(LABELS))
    weighted = _weighted(totals, _confusion(pairs, people, rows))
    return {"task": task, "source": source} | counts | {"weighted": weighted}


def _task(pairs: Opened, task: str, people: Sequence[Grades]) -> dict:
    """All rules of a task together: most of them have one label, and so no kappa of their own."""
    return {"task": task} | _counts(pairs, people, pairs.keys.task == TASK_NAMES.index(task))


def _counts(pairs: Opened, people: Sequence[Grades], rows: np.ndarray) -> dict:
    """Counts of the rows of a mask [N], and how their labels agree with the grades: a pair is drawn as one."""
    graded = sum(int(rows[one.at].sum()) for one in people)
    ungraded = sum(int(rows[one.ungraded].sum()) for one in people)
    at, grade = _joined(people, rows)
    return {"graded": graded, "ungraded": ungraded} | agreement(couples(at, pairs.label[at], grade))


def _joined(people: Sequence[Grades], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at, grade = (np.concatenate([getattr(one, name) for one in people]) for name in ("at", "grade"))
    return at[rows[at]], grade[rows[at]]


def _confusion(pairs: Opened, people: Sequence[Grades], rows: np.ndarray | None = None) -> np.ndarray:
    """Grades [3, 3] by the label of the table, then by the grade."""
    at, grade = _joined(people, np.ones(len(pairs.rows), bool) if rows is None else rows)
    return np.bincount(pairs.label[at] * len(LABELS) + grade, minlength=len(LABELS) ** 2).reshape(len(LABELS), -1)


def _weighted(totals: np.ndarray, confusion: np.ndarray) -> float | None:
    """The share of equal grades, a label weighed by its pairs `totals` [3] in the table: the sheet shows all alike."""
    n = confusion.sum(axis=1)
    if (n[totals > 0] == 0).any():
        return None
    return float((totals * np.diagonal(confusion) / np.maximum(n, 1)).sum() / totals.sum())


def _between(one: Grades, other: Grades) -> dict:
    """Two people on the pairs both graded."""
    both, a, b = np.intersect1d(one.at, other.at, return_indices=True)
    return {"graders": [one.name, other.name]} | agreement(couples(both, one.grade[a], other.grade[b]))


def graded_sections(facts: dict) -> list[Section]:
    """The answer, the rules, the people and where labels and grades part."""
    return [
        Section("", [_opening(facts)]),
        Section("Rules", [_rules_table(facts), _words()]),
        Section("Graders", [_graders(facts["graders"]), *_between_graders(facts["between"])]),
        Section("Labels (rows) and grades (columns)", [_confusion_table(facts["confusion"])]),
    ]


def _opening(facts: dict) -> str:
    whole = facts["all"]
    if whole["kappa"] is None:
        return f"{whole['graded']:,} grades, {whole['ungraded']:,} left empty: too few, or all alike, for a kappa."
    text = (
        f"{whole['graded']:,} grades, {whole['ungraded']:,} left empty: {share(whole['agreement'])} % equal the label, "
        f"kappa {decimal(whole['kappa'])} ({agreed(whole)[-1]})."
    )
    known = [rule for rule in facts["rules"] if rule["agreement"] is not None]
    if len(known) < 2:
        return text
    low = min(known, key=lambda rule: rule["agreement"])
    rule = f"{low['task']} {low['source'] or NONE}"
    return f"{text} Least to be trusted: {rule}, {share(low['agreement'])} % of {low['graded']:,} equal."


def _words() -> str:
    return (
        "kappa: Cohen's, quadratic weights, between label and grade; its interval is of 1,000 draws of the pairs. A "
        "rule that gives one label has none: its grades count in its task's (all rules). Each "
        "label of a rule is shown alike often; in the table %: equal grades with each label weighed by its pairs in "
        "the table. Where a pair stands in several rows, the first stands for it."
    )


def _rules_table(facts: dict) -> Table:
    tasks = [{"source": "all rules", "weighted": None} | one for one in facts["tasks"]]
    lines = [*facts["rules"], *tasks, {"task": "all", "source": "", "weighted": None} | facts["all"]]
    body = [
        [
            line["task"],
            NONE if line["source"] is None else line["source"],
            count(line["graded"]),
            count(line["ungraded"]),
            share(line["weighted"]),
            *agreed(line)[2:],
        ]
        for line in lines
    ]
    return Table(["task", "rule", "graded", "ungraded", "in the table %", *AGREED[2:]], body, left=2)


def _graders(people: list[dict]) -> Table:
    body = [[one["file"], count(one["graded"]), count(one["ungraded"])] for one in people]
    return Table(["file", "graded", "ungraded"], body, left=1)


def _between_graders(between: list[dict]) -> list[Table]:
    body = [[*one["graders"], count(one["n"]), *agreed(one)[2:]] for one in between]
    return [Table(["grader", "other grader", "pairs", *AGREED[2:]], body, left=2)] if body else []


def _confusion_table(cells: list[list[int]]) -> Table:
    body = [[name, *map(count, line)] for name, line in zip(LABELS, cells, strict=True)]
    return Table(["label", *LABELS], body, left=1)
