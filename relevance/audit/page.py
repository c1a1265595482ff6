"""The numbers of an audit → its page: findings, worst first, an overview, then a table for each part.

leaks of left 872 of 3,331 → "26.2 % of the 3,331 test rows have a left entity that training has seen under …"
"""

import math
from collections.abc import Callable, Iterator, Sequence

from relevance.audit.counts import ALL, OWN, PAIRS, SIDES
from relevance.errors import plural
from relevance.pages.blocks import NONE, Block, Section, Table, count, percent, signed
from relevance.tasks import LABELS, SPLITS

WRONG, DOUBTFUL, NOTED = range(3)  # how bad a finding is
ALMOST_ALL = 0.9  # accuracy of a lexical baseline from which the surface of the texts nearly suffices
POOR = 0.6  # kappa below which annotators hardly agree: "moderate" or less for Landis and Koch (1977)
FEW = 100  # test rows below which an accuracy is too uncertain
OVERVIEW = ["task", *SPLITS, "repeated pairs", "two labels", "left seen", "pair seen", "majority", "lexical", "kappa"]
OVERVIEW_NOTE = f"Test rows seen in training in percent; {NONE}: nothing to say."
SEEN_TITLE = "What training has seen of the test rows"
SEEN_NOTE = (
    "Percent of the test rows. An entity is its kind and its id, or its text where it has no id; it is seen where "
    "it stands on either side of a training row. both: left and right are. pair: its entities, or its texts, "
    "stand in a training row of the same task, mirrored or not. two texts: they do, under any task."
)
SURFACE_TITLE = "How far the surface of the texts gets"
SHARED_TITLE = "The same two texts under two tasks, in either order"
COPIES_NOTE = (
    "By entities: the same two, in either order. By texts: the same two texts of one task, whatever the ids. "
    "more: rows beyond the first of each pair. A task without such pairs has no line."
)
AGREED = ["couples", "pairs", "equal %", "kappa", "95 % interval"]  # heads of what `agreed` gives

Finding = tuple[int, float, str]  # how bad, share of the rows it is about, sentence


def audit_sections(facts: dict) -> list[Section]:
    """Every number of them that a person looks for; a part with nothing in it says so."""
    return [
        _opening(facts),
        Section("Overview", [Table(OVERVIEW, [_overview(facts, task) for task in facts["labels"]], 1), OVERVIEW_NOTE]),
        *_aside(facts["rows"]),
        Section("Rows by split and label", [_labels_table(facts["labels"])]),
        Section("Rules (source) and their labels", [_sources_table(facts["sources"])]),
        *_seen(facts["leaks"]),
        *_again(facts),
        _lengths(facts["lengths"]),
        _baseline(facts["baseline"]),
        _agreement(facts["agreement"]),
    ]


def _opening(facts: dict) -> Section:
    rows, split = facts["rows"], facts["split"]
    sentence = f"{rows['read']:,} rows read, {rows['set_aside']:,} set aside; "
    sentence += "splits as the file has them." if split["given"] else f"divided {split['divided']}."
    return Section("Findings", [sentence, findings(facts)])


def findings(facts: dict) -> list[str]:
    """At least one sentence; those of one badness by the share of rows they are about."""
    ordered = sorted((finding for part in PARTS for finding in part(facts)), key=lambda line: (line[0], -line[1]))
    return [sentence for _, _, sentence in ordered]


def _in_percent(value: float) -> str:
    """A share, 0 to 1, in percent; what is not nothing never reads 0.0."""
    return "under 0.1 %" if 0 < value < 0.0005 else f"{100 * value:.1f} %"


def _set_aside(facts: dict) -> Iterator[Finding]:
    rows = facts["rows"]
    if rows["set_aside"]:
        ratio = rows["set_aside"] / rows["read"]
        why = ", ".join(f"{reason['problem']} ({reason['rows']:,})" for reason in rows["reasons"])
        counts = f"{rows['set_aside']:,} of {rows['read']:,} rows ({_in_percent(ratio)})"
        yield WRONG, ratio, f"{counts} break the contract and are counted nowhere below: {why}."


def _copies(facts: dict) -> Iterator[Finding]:
    sound, copies = facts["rows"]["sound"], facts["copies"]
    same, texts = copies[ALL]["entities"], copies[ALL]["texts"]

    def by_task(way: str, kind: str) -> str:
        return _by_task({task: ways[way][kind] for task, ways in copies.items()}, "{:,}".format)

    if same["conflicting"]:
        rows = same["conflicting_rows"]
        sentence = f"The same pair with two labels: {plural(same['conflicting'], 'pair')} in {rows:,} rows"
        yield WRONG, rows / sound, f"{sentence} ({by_task('entities', 'conflicting')})."
    if same["pairs"]:
        sentence = (
            f"The same pair in several rows: {plural(same['pairs'], 'pair')}, {same['mirrored']:,} of them mirrored"
        )
        sentence += f", {same['rows']:,} rows beyond the first of each"
        yield DOUBTFUL, same["rows"] / sound, f"{sentence} ({by_task('entities', 'pairs')})."
    if texts["conflicting"] > same["conflicting"]:
        sentence = (
            f"The same two texts of a task, whatever the ids, with two labels: {plural(texts['conflicting'], 'pair')}"
        )
        yield DOUBTFUL, texts["conflicting_rows"] / sound, f"{sentence} ({by_task('texts', 'conflicting')})."


def _leaks(facts: dict) -> Iterator[Finding]:
    leaks = facts["leaks"]
    whole = leaks[ALL]
    for kind, bad, what in (
        ("pair", WRONG, "are pairs that training holds under the same task, by entities or by texts"),
        ("own_left", WRONG, "have a left entity that training has seen under the same task"),
        ("left", DOUBTFUL, "have a left entity that training has seen under some task"),
        ("right", NOTED, "have a right entity that training has seen under some task"),
    ):
        rows, ratio = whole[kind]["rows"], whole[kind]["share"]
        again = kind == "left" and rows == whole["own_left"]["rows"]  # the finding before it
        if rows and not again:
            by_task = _by_task({task: seen[kind]["share"] for task, seen in leaks.items()}, _in_percent)
            yield bad, ratio, f"{_in_percent(ratio)} of the {whole['n']:,} test rows {what}: {by_task}."


def _shared_texts(facts: dict) -> Iterator[Finding]:
    lines = facts["shared_texts"]
    if lines:
        pairs, apart = (sum(line[name] for line in lines) for name in ("pairs", "differing"))
        most = f", most between {' and '.join(lines[0]['tasks'])} ({lines[0]['differing']:,})" if apart else ""
        counts = f"The same two texts stand under two tasks {pairs:,} times, with differing labels {apart:,}{most}"
        sentence = f"{counts}; only a model that is told the task can be right on both."
        yield DOUBTFUL if apart else NOTED, apart / facts["rows"]["sound"], sentence


def _splits(facts: dict) -> Iterator[Finding]:
    labels = {task: splits for task, splits in facts["labels"].items() if task != ALL}
    for split in SPLITS:
        without = [task for task, splits in labels.items() if not splits[split]["rows"]]
        if without:
            yield DOUBTFUL, len(without) / len(labels), f"No {split} rows: {', '.join(without)}."
    few = [f"{task} {n}" for task, splits in labels.items() if 0 < (n := splits["test"]["rows"]) < FEW]
    if few:
        yield NOTED, 0, f"Fewer than {FEW} test rows, too few to tell close cells apart: {', '.join(few)}."
    for task, splits in labels.items():
        absent = [name for name, n in zip(LABELS, splits["train"]["labels"], strict=True) if not n]
        if absent and splits["train"]["rows"]:
            yield DOUBTFUL, 0, f"The training rows of {task} hold no label {' and no '.join(absent)}."
    if not facts["split"]["given"]:
        yield NOTED, 0, f"The file has no split column: the rows are divided {facts['split']['divided']}."


def _floors(facts: dict) -> Iterator[Finding]:
    tasks = {task: line for task, line in facts["baseline"]["tasks"].items() if line["lexical"] is not None}
    high = {task: line["lexical"] for task, line in tasks.items() if task != ALL and line["lexical"] >= ALMOST_ALL}
    if high:
        sentence = "The surface of the texts gives the labels nearly away; a lexical baseline reaches"
        yield DOUBTFUL, max(high.values()), f"{sentence} {_by_task(high, _in_percent)}."
    if ALL in tasks:
        lexical, majority = (_in_percent(tasks[ALL][name]) for name in ("lexical", "majority"))
        sentence = f"To beat: a lexical baseline is right on {lexical} of {tasks[ALL]['test']:,} test rows"
        yield NOTED, 0, f"{sentence}, the most frequent label on {majority}."


def _kappa(facts: dict) -> Iterator[Finding]:
    whole = facts["agreement"]["tasks"][ALL]
    if whole["kappa"] is not None:
        kappa = "{kappa:.2f} ({low:.2f} to {high:.2f}; {n:,} couples of judgements)".format(**whole)
        sentence = f"Annotators who judged the same pair agree at a quadratic-weighted kappa of {kappa}."
        yield DOUBTFUL if whole["kappa"] < POOR else NOTED, 0, sentence


def _clean(facts: dict) -> Iterator[Finding]:
    copies, leaks = facts["copies"][ALL], facts["leaks"][ALL]
    checks = {
        "no row breaks the contract": facts["rows"]["set_aside"],
        "no pair stands in two rows": copies["entities"]["pairs"],
        "no pair of texts has two labels within a task": copies["texts"]["conflicting"],
        "no test pair stands in training": leaks["pair"]["rows"] or not leaks["n"],
        "no left entity of a test row is trained on under its task": leaks["own_left"]["rows"] or not leaks["n"],
    }
    if clean := [words for words, rows in checks.items() if not rows]:
        yield NOTED, -1, f"Clean: {'; '.join(clean)}."


def _by_task(values: dict[str, float], form: Callable[[float], str]) -> str:
    """ "item_item 86.3 %, type_type 48.7 %": the tasks that have some, those of most first."""
    ordered = sorted(values.items(), key=lambda value: -(value[1] or 0))
    return ", ".join(f"{task} {form(n)}" for task, n in ordered if n and task != ALL)


PARTS = (_set_aside, _copies, _leaks, _shared_texts, _splits, _floors, _kappa, _clean)


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


def _aside(rows: dict) -> list[Section]:
    if not rows["set_aside"]:
        return []
    body = [
        [
            reason["problem"],
            ", ".join(map(str, reason["first"][:5])) + (", …" if reason["rows"] > 5 else ""),
            reason["remedy"],
            count(reason["rows"]),
        ]
        for reason in rows["reasons"]
    ]
    words = f"These rows are in no other count; a row may break several rules ({rows['counted']})."
    return [Section("Set aside", [Table(["problem", "rows such as", "remedy", "rows"], body, left=3), words])]


def _labels_table(labels: dict) -> Table:
    body = [
        [task, split, count(line["rows"]), *map(count, line["labels"]), *map(percent, line["shares"])]
        for task, splits in labels.items()
        for split, line in splits.items()
        if line["rows"]
    ]
    return Table(["task", "split", "rows", *LABELS, *(f"{name} %" for name in LABELS)], body, left=2)


def _sources_table(sources: dict) -> Block:
    if not sources:
        return "The table names no rules: it has no column source."
    body = []
    for task, rules in sources.items():
        for rule in rules:
            source = f"{rule['others']:,} others" if "others" in rule else rule["source"] or NONE
            body.append([task, source, count(sum(rule["labels"])), *map(count, rule["labels"])])
    return Table(["task", "source", "rows", *LABELS], body, left=2)


def _seen(leaks: dict) -> list[Section]:
    if not leaks[ALL]["n"]:
        return [Section(SEEN_TITLE, ["There are no test rows."])]
    every = _leaks_table(leaks, [*SIDES, *PAIRS], [*SIDES, "pair", "two texts"])
    of_task = _leaks_table(leaks, [OWN + side for side in SIDES], SIDES)
    return [
        Section(SEEN_TITLE, [SEEN_NOTE, "Under any task:", every]),
        Section("", ["Entities under the row's own task:", of_task]),
    ]


def _leaks_table(leaks: dict, kinds: list[str], heads: Sequence[str]) -> Table:
    body = [[task, count(seen["n"]), *(share(seen[kind]["share"]) for kind in kinds)] for task, seen in leaks.items()]
    return Table(["task", "test rows", *heads], body, left=1)


def _again(facts: dict) -> list[Section]:
    lines = facts["shared_texts"]
    body = [[*line["tasks"], count(line["pairs"]), count(line["differing"]), share(line["share"])] for line in lines]
    shared = Table(["task", "other task", "pairs of texts", "differing labels", "percent"], body, left=2)
    words = "Rows of any split, counted by what else holds their pair, mirrored or not."
    header = ["task", "in another split, by entities", "by texts", "its texts under another task"]
    rows = [[task, *map(count, counts.values())] for task, counts in facts["elsewhere"].items()]
    several = [  # a line for each task by entities, one by texts; none where there is nothing to count
        [task, way, *map(count, counts.values())]
        for task, ways in facts["copies"].items()
        for way, counts in ways.items()
        if counts["pairs"] or task == ALL
    ]
    heads = ["task", "by", "pairs", "more", "mirrored", "of two labels", "rows of two labels"]
    return [
        Section("Pairs that stand in several rows", [COPIES_NOTE, Table(heads, several, left=2)]),
        Section("The same pair elsewhere", [words, Table(header, rows, left=1)]),
        Section(SHARED_TITLE, [shared if lines else "No two texts stand under two tasks."]),
    ]


def _lengths(lengths: dict) -> Section:
    words = "So many percent of the texts are no longer than this; words end at white space."
    header = ["task", "side", *("max" if share == 100 else f"{share} %" for share in lengths["percentiles"])]
    blocks: list[Block] = [words]
    for unit in ("characters", "words"):
        sides = ((task, *side) for task, of_task in lengths["tasks"].items() for side in of_task.items())
        body = [[task, side, *map(count, units[unit])] for task, side, units in sides]
        blocks += [f"{unit.capitalize()}:", Table(header, body, left=2)]
    return Section("Lengths", blocks)


def _baseline(floors: dict) -> Section:
    words = (
        f"Accuracy in percent. majority: the task's most frequent training label. lexical: boosting on how alike the "
        f"two texts look, as in a report's floors. Of each task at most {floors['most']['train']:,} training and "
        f"{floors['most']['test']:,} test rows are looked at, drawn with seed {floors['seed']}."
    )
    body = [
        [
            task,
            *(count(line[name]) for name in ("train", "test")),
            *(share(line[name]) for name in ("majority", "lexical")),
            signed(math.nan if line["gain"] is None else line["gain"]),
        ]
        for task, line in floors["tasks"].items()
    ]
    table = Table(["task", "training rows", "test rows", "majority", "lexical", "gain"], body, left=1)
    return Section(SURFACE_TITLE, [words, table if body else "It needs training and test rows."])


def _agreement(judged: dict) -> Section:
    title = "Agreement of annotators"
    if not judged["tasks"][ALL]["n"]:
        return Section(title, [f"{NONE} No pair has two rows, so that nothing can be said."])
    words = (
        "Rows of a task with the same left and right entity are judgements of one pair, in the order of the "
        f"{judged['order']}: the first beside the second, the second beside the third, and so on. Cohen's kappa with "
        "quadratic weights; the interval is of 1,000 draws of the pairs. Mere copies of a row read as agreement."
    )
    body = [[task, *agreed(facts)] for task, facts in judged["tasks"].items() if facts["n"] or task == ALL]
    return Section(title, [words, Table(["task", *AGREED], body, left=1)])


def agreed(facts: dict) -> list[str]:
    """Couples, pairs, percent that are equal, kappa and its interval."""
    span = NONE if facts["low"] is None else f"{facts['low']:.2f} to {facts['high']:.2f}"
    return [count(facts["n"]), count(facts["pairs"]), share(facts["agreement"]), decimal(facts["kappa"]), span]


def share(value: float | None) -> str:
    """A share in percent, "<0.1" where it is not nothing, NONE where there is none."""
    if value is None:
        return NONE
    return "<0.1" if 0 < value < 0.0005 else percent(value)


def decimal(value: float | None) -> str:
    """A kappa, NONE where there is none."""
    return NONE if value is None else f"{value:.2f}"
