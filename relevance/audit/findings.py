"""The numbers of an audit → the sentences a person reads first, worst first.

leaks of left 872 of 3,331 → "26.2 % of the 3,331 test rows have a left entity that training has seen under another
task: item_item 86.3 %, type_type 48.7 %."
"""

from collections.abc import Callable, Iterator

from relevance.audit.opened import ALL
from relevance.tasks import LABELS, SPLITS

WRONG, DOUBTFUL, TOLD = range(3)  # how bad a finding is
ALMOST_ALL = 0.9  # accuracy of a lexical baseline from which a task asks for little else
POOR = 0.6  # kappa below which annotators hardly agree: "moderate" or less for Landis and Koch (1977)
FEW = 100  # test rows below which an accuracy says little

Finding = tuple[int, float, str]  # how bad, share of the rows it is about, sentence


def findings(facts: dict) -> list[str]:
    """At least one sentence; those of one badness by the share of rows they are about."""
    found = [finding for part in PARTS for finding in part(facts)]
    return [sentence for _, _, sentence in sorted(found, key=lambda one: (one[0], -one[1]))]


def percent(share: float) -> str:
    """A share, 0 to 1, in percent; what is not nothing never reads 0.0."""
    return "under 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def _set_aside(facts: dict) -> Iterator[Finding]:
    rows = facts["rows"]
    if rows["set_aside"]:
        share = rows["set_aside"] / rows["read"]
        why = ", ".join(f"{one['problem']} ({one['rows']:,})" for one in rows["reasons"])
        yield (
            WRONG,
            share,
            (
                f"{rows['set_aside']:,} of {rows['read']:,} rows ({percent(share)}) break the contract and are counted "
                f"nowhere below: {why}."
            ),
        )


def _copies(facts: dict) -> Iterator[Finding]:
    sound, copies = facts["rows"]["sound"], facts["copies"]
    same, texts = copies[ALL]["entities"], copies[ALL]["texts"]
    if same["conflicting"]:
        rows = same["conflicting_rows"]
        told = f"The same pair with two labels: {_pairs(same['conflicting'])} in {rows:,} rows"
        yield WRONG, rows / sound, f"{told} ({_copies_by_task(copies, 'entities', 'conflicting')})."
    if same["pairs"]:
        told = f"The same pair in several rows: {_pairs(same['pairs'])}, {same['mirrored']:,} of them mirrored"
        told += f", {same['rows']:,} rows beyond the first of each"
        yield DOUBTFUL, same["rows"] / sound, f"{told} ({_copies_by_task(copies, 'entities', 'pairs')})."
    if texts["conflicting"] > same["conflicting"]:
        rows = texts["conflicting_rows"]
        told = f"The same two texts of a task, whatever the ids, with two labels: {_pairs(texts['conflicting'])}"
        yield DOUBTFUL, rows / sound, f"{told} ({_copies_by_task(copies, 'texts', 'conflicting')})."


def _leaks(facts: dict) -> Iterator[Finding]:
    leaks = facts["leaks"]
    n = leaks[ALL]["n"]
    for kind, bad, what in (
        ("pair", WRONG, "are pairs that training holds under the same task, by entities or by texts"),
        ("own_left", WRONG, "have a left entity that training has seen under the same task"),
        ("left", DOUBTFUL, "have a left entity that training has seen under some task"),
        ("right", TOLD, "have a right entity that training has seen under some task"),
    ):
        held = leaks[ALL][kind]
        again = kind == "left" and held["rows"] == leaks[ALL]["own_left"]["rows"]  # said already
        if held["rows"] and not again:
            by_task = _by_task({task: seen[kind]["share"] for task, seen in leaks.items()}, percent)
            yield bad, held["share"], f"{percent(held['share'])} of the {n:,} test rows {what}: {by_task}."


def _shared_texts(facts: dict) -> Iterator[Finding]:
    lines = facts["shared_texts"]
    if lines:
        pairs, apart = (sum(line[name] for line in lines) for name in ("pairs", "differing"))
        most = f", most between {' and '.join(lines[0]['tasks'])} ({lines[0]['differing']:,})" if apart else ""
        yield (
            DOUBTFUL if apart else TOLD,
            apart / facts["rows"]["sound"],
            (
                f"The same two texts stand under two tasks {pairs:,} times, with differing labels {apart:,}{most}; "
                "only a model that is told the task can be right on both."
            ),
        )


def _splits(facts: dict) -> Iterator[Finding]:
    labels = {task: splits for task, splits in facts["labels"].items() if task != ALL}
    for split in SPLITS:
        without = [task for task, splits in labels.items() if not splits[split]["rows"]]
        if without:
            yield DOUBTFUL, len(without) / len(labels), f"No {split} rows: {', '.join(without)}."
    few = {task: splits["test"]["rows"] for task, splits in labels.items() if 0 < splits["test"]["rows"] < FEW}
    if few:
        told = ", ".join(f"{task} {n}" for task, n in few.items())
        yield TOLD, 0, f"Fewer than {FEW} test rows, too few to tell close cells apart: {told}."
    for task, splits in labels.items():
        absent = [name for name, n in zip(LABELS, splits["train"]["labels"], strict=True) if not n]
        if absent and splits["train"]["rows"]:
            yield DOUBTFUL, 0, f"The training rows of {task} hold no label {' and no '.join(absent)}."
    if not facts["split"]["given"]:
        yield TOLD, 0, f"The file has no split column: the rows are divided {facts['split']['divided']}."


def _baseline(facts: dict) -> Iterator[Finding]:
    tasks = facts["baseline"]["tasks"]
    known = {task: one for task, one in tasks.items() if one["lexical"] is not None}
    high = {task: one["lexical"] for task, one in known.items() if task != ALL and one["lexical"] >= ALMOST_ALL}
    if high:
        told = f"a lexical baseline reaches {_by_task(high, percent)}"
        yield DOUBTFUL, max(high.values()), f"The surface of the texts gives the labels nearly away; {told}."
    if ALL in known:
        one = known[ALL]
        yield (
            TOLD,
            0,
            (
                f"To beat: a lexical baseline is right on {percent(one['lexical'])} of {one['test']:,} test rows, "
                f"the most frequent label on {percent(one['majority'])}."
            ),
        )


def _agreement(facts: dict) -> Iterator[Finding]:
    one = facts["agreement"]["tasks"][ALL]
    if one["kappa"] is not None:
        yield (
            DOUBTFUL if one["kappa"] < POOR else TOLD,
            0,
            (
                f"Annotators who judged the same pair agree at a quadratic-weighted kappa of {one['kappa']:.2f} "
                f"({one['low']:.2f} to {one['high']:.2f}; {one['n']:,} couples of judgements)."
            ),
        )


def _clean(facts: dict) -> Iterator[Finding]:
    """What was looked for and is not there."""
    copies, leaks = facts["copies"][ALL], facts["leaks"][ALL]
    checks = {
        "no row breaks the contract": facts["rows"]["set_aside"],
        "no pair stands in two rows": copies["entities"]["pairs"],
        "no pair of texts has two labels within a task": copies["texts"]["conflicting"],
        "no test pair stands in training": leaks["pair"]["rows"] or not leaks["n"],
        "no left entity of a test row is trained on under its task": leaks["own_left"]["rows"] or not leaks["n"],
    }
    kept = [words for words, count in checks.items() if not count]
    if kept:
        said = "; ".join(kept)
        yield TOLD, -1, f"Clean: {said}."


def _pairs(count: int) -> str:
    return f"{count:,} pair{'s' * (count != 1)}"


def _copies_by_task(copies: dict, way: str, kind: str) -> str:
    return _by_task({task: ways[way][kind] for task, ways in copies.items()}, "{:,}".format)


def _by_task(values: dict[str, float], form: Callable[[float], str]) -> str:
    """ "item_item 86.3 %, type_type 48.7 %": the tasks that have some, those of most first."""
    ordered = sorted(values.items(), key=lambda value: -(value[1] or 0))
    return ", ".join(f"{task} {form(n)}" for task, n in ordered if n and task != ALL)


PARTS = (_set_aside, _copies, _leaks, _shared_texts, _splits, _baseline, _agreement, _clean)
