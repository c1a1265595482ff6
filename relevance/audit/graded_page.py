"""What people's grades say of the rules → its page.

{"rules": [{"task": "query_item", "source": "chorus", "graded": 57, ...}], ...} → [Section("Rules", ...), ...]
"""

from relevance.audit.tables import agreed, decimal, percent
from relevance.report.document import Section, Table
from relevance.report.tables import NONE, count
from relevance.tasks import LABELS

AGREED = ["equal %", "kappa", "95 % interval"]


def sections(facts: dict) -> list[Section]:
    """The answer, the rules, the people and where labels and grades part."""
    return [
        Section("", [_opening(facts)]),
        Section("Rules", [_rules(facts), _words()]),
        Section("Graders", [_graders(facts["graders"]), *_between(facts["between"])]),
        Section("Labels (rows) and grades (columns)", [_confusion(facts["confusion"])]),
    ]


def _opening(facts: dict) -> str:
    one = facts["all"]
    if one["kappa"] is None:
        return f"{one['graded']:,} grades, {one['ungraded']:,} left empty: too few, or all alike, for a kappa."
    told = (
        f"{one['graded']:,} grades, {one['ungraded']:,} left empty: {percent(one['agreement'])} % equal the label, "
        f"kappa {decimal(one['kappa'])} ({_span(one)})."
    )
    known = [rule for rule in facts["rules"] if rule["agreement"] is not None]
    if len(known) < 2:
        return told
    low = min(known, key=lambda rule: rule["agreement"])
    rule = f"{low['task']} {low['source'] or NONE}"
    return f"{told} Least to be trusted: {rule}, {percent(low['agreement'])} % of {low['graded']:,} equal."


def _words() -> str:
    return (
        "kappa: Cohen's, quadratic weights, between label and grade; its interval is of 1,000 draws of the pairs. A "
        "rule that gives one label has none: its grades count in its task's (all rules). Each "
        "label of a rule is shown alike often; in the table %: equal grades with each label weighed by its pairs in "
        "the table. Where a pair stands in several rows, the first stands for it."
    )


def _span(one: dict) -> str:
    return agreed(one)[-1]


def _rules(facts: dict) -> Table:
    tasks = [{"source": "all rules", "weighted": None} | one for one in facts["tasks"]]
    lines = [*facts["rules"], *tasks, {"task": "all", "source": "", "weighted": None} | facts["all"]]
    body = [
        [
            line["task"],
            NONE if line["source"] is None else line["source"],
            count(line["graded"]),
            count(line["ungraded"]),
            percent(line["weighted"]),
            *agreed(line)[2:],
        ]
        for line in lines
    ]
    return Table(["task", "rule", "graded", "ungraded", "in the table %", *AGREED], body, left=2)


def _graders(people: list[dict]) -> Table:
    body = [[one["file"], count(one["graded"]), count(one["ungraded"])] for one in people]
    return Table(["file", "graded", "ungraded"], body, left=1)


def _between(between: list[dict]) -> list[Table]:
    body = [[*one["graders"], count(one["n"]), *agreed(one)[2:]] for one in between]
    return [Table(["grader", "other grader", "pairs", *AGREED], body, left=2)] if body else []


def _confusion(cells: list[list[int]]) -> Table:
    body = [[name, *map(count, line)] for name, line in zip(LABELS, cells, strict=True)]
    return Table(["label", *LABELS], body, left=1)
