"""The numbers of an audit → its page: findings, an overview, then a table for each part.

{"labels": {"query_item": {...}}, ...} → [Section("Findings", [["26.2 % of ...", ...]]), Section("Overview", ...), ...]
"""

import math

from relevance.audit.findings import findings
from relevance.audit.leaks import OWN, PAIRS, SIDES
from relevance.audit.opened import ALL
from relevance.pages.blocks import NONE, Section, Table, count, percent, signed
from relevance.tasks import LABELS, SPLITS

OVERVIEW_NOTE = f"Test rows seen in training in percent; {NONE}: nothing to say."
AGREED = ["couples", "pairs", "equal %", "kappa", "95 % interval"]  # heads of what `agreed` gives


def audit_sections(facts: dict) -> list[Section]:
    """Every number of them that a person looks for; a part with nothing in it says so."""
    return [
        _opening(facts),
        Section("Overview", [_overview_table(facts), OVERVIEW_NOTE]),
        *_aside(facts),
        Section("Rows by split and label", [_labels_table(facts["labels"])]),
        _sources(facts),
        *_seen(facts),
        *_again(facts),
        _lengths(facts["lengths"]),
        _baseline(facts),
        _agreement(facts),
    ]


def _opening(facts: dict) -> Section:
    rows, split = facts["rows"], facts["split"]
    sentence = f"{rows['read']:,} rows read, {rows['set_aside']:,} set aside; "
    sentence += "splits as the file has them." if split["given"] else f"divided {split['divided']}."
    return Section("Findings", [sentence, findings(facts)])


def _overview_table(facts: dict) -> Table:
    """A line for each task: the numbers that decide whether to go on."""
    header = ["task", *SPLITS, "repeated pairs", "two labels", "left seen", "pair seen", "majority", "lexical", "kappa"]
    return Table(header, [_overview(facts, task) for task in facts["labels"]], left=1)


def _overview(facts: dict, task: str) -> list[str]:
    copies, leaks = facts["copies"][task]["entities"], facts["leaks"].get(task)
    surface, kappa = facts["baseline"]["tasks"].get(task), facts["agreement"]["tasks"][task]["kappa"]
    return [
        task,
        *(count(facts["labels"][task][split]["rows"]) for split in SPLITS),
        count(copies["pairs"]),
        count(copies["conflicting"]),
        *(share(leaks[name]["share"] if leaks else None) for name in ("left", "pair")),
        *(share(surface[name] if surface else None) for name in ("majority", "lexical")),
        decimal(kappa),
    ]


def _aside(facts: dict) -> list[Section]:
    rows = facts["rows"]
    if not rows["set_aside"]:
        return []
    words = f"These rows are in no other count; a row may break several rules ({rows['counted']})."
    return [Section("Set aside", [_aside_table(rows["reasons"]), words])]


def _aside_table(reasons: list[dict]) -> Table:
    """A line for each rule that rows break, with the numbers of the first of them."""
    body = [
        [one["problem"], _first(one["first"][:5], one["rows"]), one["remedy"], count(one["rows"])] for one in reasons
    ]
    return Table(["problem", "rows such as", "remedy", "rows"], body, left=3)


def _first(rows: list[int], n: int) -> str:
    return ", ".join(map(str, rows)) + (", …" if n > len(rows) else "")


def _labels_table(labels: dict) -> Table:
    """A line for each task and split that has rows, and the shares of the labels."""
    body = []
    for task, splits in labels.items():
        for split, one in splits.items():
            if one["rows"]:
                body.append([task, split, count(one["rows"]), *map(count, one["labels"]), *map(percent, one["shares"])])
    return Table(["task", "split", "rows", *LABELS, *(f"{name} %" for name in LABELS)], body, left=2)


def _sources(facts: dict) -> Section:
    told = (
        _sources_table(facts["sources"]) if facts["sources"] else "The table names no rules: it has no column source."
    )
    return Section("Rules (source) and their labels", [told])


def _sources_table(sources: dict) -> Table:
    """A line for each task and rule."""
    body = [
        [task, _source(rule), count(sum(rule["labels"])), *map(count, rule["labels"])]
        for task, rules in sources.items()
        for rule in rules
    ]
    return Table(["task", "source", "rows", *LABELS], body, left=2)


def _source(rule: dict) -> str:
    if "others" in rule:
        return f"{rule['others']:,} others"
    return NONE if rule["source"] is None else rule["source"]


def _seen(facts: dict) -> list[Section]:
    if not facts["leaks"][ALL]["n"]:
        return [Section("What training has seen of the test rows", ["There are no test rows."])]
    words = (
        "Percent of the test rows. An entity is its kind and its id, or its text where it has no id; it is seen where "
        "it stands on either side of a training row. both: left and right are. pair: its entities, or its texts, "
        "stand in a training row of the same task, mirrored or not. two texts: they do, under any task."
    )
    tables = [_leaks_table(facts["leaks"], own) for own in (False, True)]
    return [
        Section("What training has seen of the test rows", [words, "Under any task:", tables[0]]),
        Section("", ["Entities under the row's own task:", tables[1]]),
    ]


def _leaks_table(leaks: dict, own: bool) -> Table:
    """A line for each task that has test rows: percent of them."""
    names = [OWN + name for name in SIDES] if own else [*SIDES, *PAIRS]
    header = ["task", "test rows", *SIDES, *(() if own else ("pair", "two texts"))]
    body = [[task, count(one["n"]), *(share(one[name]["share"]) for name in names)] for task, one in leaks.items()]
    return Table(header, body, left=1)


def _again(facts: dict) -> list[Section]:
    words = (
        "By entities: the same two, in either order. By texts: the same two texts of one task, whatever the ids. "
        "more: rows beyond the first of each pair. A task without such pairs has no line."
    )
    shared = _shared_table(facts["shared_texts"]) if facts["shared_texts"] else "No two texts stand under two tasks."
    return [
        Section("Pairs that stand in several rows", [words, _copies_table(facts["copies"])]),
        Section(
            "The same pair elsewhere",
            [
                "Rows of any split, counted by what else holds their pair, mirrored or not.",
                _elsewhere_table(facts["elsewhere"]),
            ],
        ),
        Section("The same two texts under two tasks, in either order", [shared]),
    ]


def _copies_table(copies: dict) -> Table:
    """A line for each task by entities, one by texts; none where there is nothing to count."""
    header = ["task", "by", "pairs", "more", "mirrored", "of two labels", "rows of two labels"]
    body = [
        [task, way, *map(count, one.values())]
        for task, ways in copies.items()
        for way, one in ways.items()
        if one["pairs"] or task == ALL
    ]
    return Table(header, body, left=2)


def _elsewhere_table(elsewhere: dict) -> Table:
    """A line for each task."""
    header = ["task", "in another split, by entities", "by texts", "its texts under another task"]
    return Table(header, [[task, *map(count, one.values())] for task, one in elsewhere.items()], left=1)


def _shared_table(lines: list[dict]) -> Table:
    """A line for each two tasks."""
    body = [[*line["tasks"], count(line["pairs"]), count(line["differing"]), share(line["share"])] for line in lines]
    return Table(["task", "other task", "pairs of texts", "differing labels", "percent"], body, left=2)


def _lengths(lengths: dict) -> Section:
    words = "So many percent of the texts are no longer than this; words end at white space."
    tables = (("Characters:", _lengths_table(lengths, "characters")), ("Words:", _lengths_table(lengths, "words")))
    return Section("Lengths", [words, *(block for pair in tables for block in pair)])


def _lengths_table(lengths: dict, unit: str) -> Table:
    """A line for each task and side, in characters or words."""
    header = ["task", "side", *("max" if one == 100 else f"{one} %" for one in lengths["percentiles"])]
    body = [
        [task, side, *map(count, units[unit])]
        for task, sides in lengths["tasks"].items()
        for side, units in sides.items()
    ]
    return Table(header, body, left=2)


def _baseline(facts: dict) -> Section:
    one = facts["baseline"]
    words = (
        f"Accuracy in percent. majority: the task's most frequent training label. lexical: boosting on how alike the "
        f"two texts look, as in a report's floors. Of each task at most {one['most']['train']:,} training and "
        f"{one['most']['test']:,} test rows are looked at, drawn with seed {one['seed']}."
    )
    told = _baseline_table(one["tasks"]) if one["tasks"] else "It needs training and test rows."
    return Section("How far the surface of the texts gets", [words, told])


def _baseline_table(tasks: dict) -> Table:
    """A line for each task that has test rows."""
    body = [
        [
            task,
            count(one["train"]),
            count(one["test"]),
            share(one["majority"]),
            share(one["lexical"]),
            _gain(one),
        ]
        for task, one in tasks.items()
    ]
    return Table(["task", "training rows", "test rows", "majority", "lexical", "gain"], body, left=1)


def _gain(one: dict) -> str:
    return signed(math.nan if one["gain"] is None else one["gain"])


def _agreement(facts: dict) -> Section:
    one = facts["agreement"]
    title = "Agreement of annotators"
    if not one["tasks"][ALL]["n"]:
        return Section(title, [f"{NONE} No pair has two rows, so that nothing can be said."])
    words = (
        "Rows of a task with the same left and right entity are judgements of one pair, in the order of the "
        f"{one['order']}: the first beside the second, the second beside the third, and so on. Cohen's kappa with "
        "quadratic weights; the interval is of 1,000 draws of the pairs. Mere copies of a row read as agreement."
    )
    return Section(title, [words, _agreement_table(one["tasks"])])


def _agreement_table(parts: dict[str, dict]) -> Table:
    """A line for each part that has judgements."""
    body = [[name, *agreed(one)] for name, one in parts.items() if one["n"] or name == ALL]
    return Table(["task", *AGREED], body, left=1)


def agreed(one: dict) -> list[str]:
    """Couples, pairs, percent that are equal, kappa and its interval."""
    span = NONE if one["low"] is None else f"{one['low']:.2f} to {one['high']:.2f}"
    return [count(one["n"]), count(one["pairs"]), share(one["agreement"]), decimal(one["kappa"]), span]


def share(value: float | None) -> str:
    """A share in percent, "<0.1" where it is not nothing, NONE where there is none."""
    if value is None:
        return NONE
    return "<0.1" if 0 < value < 0.0005 else percent(value)


def decimal(value: float | None) -> str:
    """A kappa, NONE where there is none."""
    return NONE if value is None else f"{value:.2f}"
