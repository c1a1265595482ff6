"""The numbers of an audit → its page: findings, an overview, then the tables.

{"labels": {"query_item": {...}}, ...} → [Section("Findings", [["26.2 % of ...", ...]]), Section("Overview", ...), ...]
"""

from relevance.audit.findings import findings
from relevance.audit.opened import ALL
from relevance.audit.tables import (
    agreement_table,
    aside_table,
    baseline_table,
    copies_table,
    elsewhere_table,
    labels_table,
    leaks_table,
    lengths_table,
    overview_table,
    shared_table,
    sources_table,
)
from relevance.report.document import Section
from relevance.report.tables import NONE


def sections(facts: dict) -> list[Section]:
    """Every number of them that a person looks for; a part with nothing in it says so."""
    return [
        _opening(facts),
        Section("Overview", [overview_table(facts), f"Test rows seen in training in percent; {NONE}: nothing to say."]),
        *_aside(facts),
        Section("Rows by split and label", [labels_table(facts["labels"])]),
        _sources(facts),
        *_seen(facts),
        *_again(facts),
        _lengths(facts["lengths"]),
        _baseline(facts),
        _agreement(facts),
    ]


def _opening(facts: dict) -> Section:
    rows, split = facts["rows"], facts["split"]
    told = f"{rows['read']:,} rows read, {rows['set_aside']:,} set aside; "
    told += "splits as the file has them." if split["given"] else f"divided {split['divided']}."
    return Section("Findings", [told, findings(facts)])


def _aside(facts: dict) -> list[Section]:
    rows = facts["rows"]
    if not rows["set_aside"]:
        return []
    words = f"These rows are in no other count; a row may break several rules ({rows['counted']})."
    return [Section("Set aside", [aside_table(rows["reasons"]), words])]


def _sources(facts: dict) -> Section:
    told = sources_table(facts["sources"]) if facts["sources"] else "The table names no rules: it has no column source."
    return Section("Rules (source) and their labels", [told])


def _seen(facts: dict) -> list[Section]:
    if not facts["leaks"][ALL]["n"]:
        return [Section("What training has seen of the test rows", ["There are no test rows."])]
    words = (
        "Percent of the test rows. An entity is its kind and its id, or its text where it has no id; it is seen where "
        "it stands on either side of a training row. both: left and right are. pair: its entities, or its texts, "
        "stand in a training row of the same task, mirrored or not. two texts: they do, under any task."
    )
    tables = [leaks_table(facts["leaks"], own) for own in (False, True)]
    return [
        Section("What training has seen of the test rows", [words, "Under any task:", tables[0]]),
        Section("", ["Entities under the row's own task:", tables[1]]),
    ]


def _again(facts: dict) -> list[Section]:
    words = (
        "By entities: the same two, in either order. By texts: the same two texts of one task, whatever the ids. "
        "more: rows beyond the first of each pair. A task without such pairs has no line."
    )
    shared = shared_table(facts["shared_texts"]) if facts["shared_texts"] else "No two texts stand under two tasks."
    return [
        Section("Pairs that stand in several rows", [words, copies_table(facts["copies"])]),
        Section(
            "The same pair elsewhere",
            [
                "Rows of any split, counted by what else holds their pair, mirrored or not.",
                elsewhere_table(facts["elsewhere"]),
            ],
        ),
        Section("The same two texts under two tasks, in either order", [shared]),
    ]


def _lengths(lengths: dict) -> Section:
    words = "So many percent of the texts are no longer than this; words end at white space."
    tables = (("Characters:", lengths_table(lengths, "characters")), ("Words:", lengths_table(lengths, "words")))
    return Section("Lengths", [words, *(block for pair in tables for block in pair)])


def _baseline(facts: dict) -> Section:
    one = facts["baseline"]
    words = (
        f"Accuracy in percent. majority: the task's most frequent training label. lexical: boosting on how alike the "
        f"two texts look, as in a report's floors. Of each task at most {one['most']['train']:,} training and "
        f"{one['most']['test']:,} test rows are looked at, drawn with seed {one['seed']}."
    )
    told = baseline_table(one["tasks"]) if one["tasks"] else "It needs training and test rows."
    return Section("How far the surface of the texts gets", [words, told])


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
    return Section(title, [words, agreement_table(one["tasks"])])
