"""Options of `derive` → what of them cannot be, in words.

seed=-1, read.text="x" → ["seed=-1: must be from 0 to ...", "read.text=x: names no column; ..."]
"""

import math
import re
from collections import Counter

from relevance.derive.options import DeriveOptions, Similarity
from relevance.errors import UserError
from relevance.tasks import TASK_NAMES

Checks = list[tuple[bool, str]]  # whether it is wrong, and what to say then
MEMORY = re.compile(r"[0-9]+(\.[0-9]+)?\s*([KMGT]i?B)", re.IGNORECASE)
LARGEST = 2**63 - 1
THREADS = 1024


def problems(options: DeriveOptions) -> list[str]:
    """What a person should mend, a line each; none where the options can be."""
    return [message for wrong, message in _checks(options) if wrong]


def _checks(o: DeriveOptions) -> Checks:
    shares = o.validation_share + o.test_share
    return [
        (not o.output, "output: is missing; give output=FILE (.parquet, .csv, .tsv or .jsonl)"),
        (not o.items and not o.taxonomy, "items: is missing; give items=FILE, and judgements=FILE for six tasks"),
        (bool(o.judgements and not o.items), f"judgements={o.judgements}: need the items they are of; give items=FILE"),
        (bool(o.queries and not o.judgements), f"queries={o.queries}: are texts of judgements; give judgements=FILE"),
        (
            not (o.validation_share > 0 and o.test_share > 0 and shares < 1),
            f"validation_share={o.validation_share} test_share={o.test_share}: both must be above 0, their sum below 1",
        ),
        (not 0 <= o.seed <= LARGEST, f"seed={o.seed}: must be from 0 to {LARGEST}"),
        (
            o.threads is not None and not 1 <= o.threads <= THREADS,
            f"threads={o.threads}: must be from 1 to {THREADS}, or null for all cores",
        ),
        (not MEMORY.fullmatch(o.memory), f"memory={o.memory}: give a number and a unit, such as 500MB or 2GB"),
        *_grade_checks(o),
        *_read_checks(o),
        *_rule_checks(o),
        *_task_checks(o),
        *_similarity_checks(o),
    ]


def _grade_checks(o: DeriveOptions) -> Checks:
    from relevance.derive.judgements import grade_text

    odd = {grade: label for grade, label in o.grades.items() if label not in (0, 1, 2)}
    written = Counter(grade_text(grade) for grade in o.grades)
    twice = [grade for grade, count in written.items() if count > 1]
    return [
        (bool(odd), f"grades={odd}: labels are 0 (irrelevant), 1 (partially relevant) and 2 (relevant)"),
        (bool(twice), f"grades={o.grades}: {', '.join(twice)} is given twice; give each grade one label"),
    ]


def _read_checks(o: DeriveOptions) -> Checks:
    from relevance.derive.items import ITEM_NAMES
    from relevance.derive.judgements import JUDGEMENT_NAMES, QUERY_NAMES
    from relevance.derive.quarantine import PLACE
    from relevance.derive.taxonomy import TYPE_NAMES
    from relevance.derive.texts import template_fields

    try:
        fields, checks = template_fields(o.read.text), []
    except UserError as error:
        fields, checks = [], [(True, str(error))]
    ours = [name for name in fields if name in PLACE]
    renamed = f"{ours} are names of ours; name the columns by others, read.items.columns={{other: {''.join(ours[:1])}}}"
    checks += [
        (bool(ours), f"read.text={o.read.text}: {renamed}"),
        (not o.read.separator, "read.separator=: is empty; give what stands between the types of a path, such as >"),
        (o.read.longest < 1, f"read.longest={o.read.longest}: must be 1 or more"),
    ]
    known = {"judgements": JUDGEMENT_NAMES, "queries": QUERY_NAMES, "taxonomy": TYPE_NAMES}
    for kind, names in (known | {"items": (*ITEM_NAMES, *fields)}).items():
        own = getattr(o.read, kind)
        unknown = [name for name in own.columns if name not in names]
        checks.append(
            (bool(unknown), f"read.{kind}.columns={unknown}: our names are {', '.join(dict.fromkeys(names))}")
        )
        nested = [f"{key}: {value}" for key, value in (own.columns | own.where).items() if not isinstance(value, str)]
        checks.append((bool(nested), f"read.{kind}={nested}: give one text for each column"))
        odd = own.delimiter is not None and (len(own.delimiter) != 1 or own.delimiter in '\r\n"')
        remedy = f"must be one character; a tab is 'read.{kind}.delimiter=\"\\t\"'"
        checks.append((odd, f"read.{kind}.delimiter={own.delimiter!r}: {remedy}"))
    return checks


def _rule_checks(o: DeriveOptions) -> Checks:
    from relevance.derive.rules import RULES

    rules, names = o.rules, [rule.name for rule in RULES]
    unknown = [name for name in rules.off if name not in names]
    ones = {f"rules.{name}": getattr(rules, name) for name in ("shared", "rejected", "far", "broad")}
    ones |= {f"caps.{name}": getattr(o.caps, name) for name in ("query", "item", "type", "judgements")}
    counts = {f"rules.{name}": getattr(rules, name) for name in ("beside", "draws")}
    return [
        (bool(unknown), f"rules.off={unknown}: available: {', '.join(names)}"),
        *((not 0 < share <= 1, f"rules.{name}={share}: must be above 0 and at most 1")
          for name, share in (("overlap", rules.overlap), ("type_share", rules.type_share))),
        *((value < 1, f"{name}={value}: must be 1 or more") for name, value in ones.items()),
        *((value < 0, f"{name}={value}: must be 0 or more") for name, value in counts.items()),
    ]  # fmt: skip


def _task_checks(o: DeriveOptions) -> Checks:
    unknown = [name for name in o.tasks if name not in TASK_NAMES]
    checks = [(bool(unknown), f"tasks={unknown}: available: {', '.join(TASK_NAMES)}")]
    for name, task in o.tasks.items():
        shares = task.balance
        bad = shares is not None and (
            len(shares) != 3 or not all(0 <= one < math.inf for one in shares) or not sum(shares)
        )
        checks.append((bad, f"tasks.{name}.balance={shares}: give the shares of labels 0, 1 and 2, such as [2,1,1]"))
        checks.append((task.rows is not None and task.rows < 1, f"tasks.{name}.rows={task.rows}: must be 1 or more"))
    return checks


def _similarity_checks(o: DeriveOptions) -> Checks:
    s = o.similarity
    used = s.mine or s.above is not None or s.below is not None
    return [
        *(
            (value is not None and not -1 <= value <= 1, f"similarity.{name}={value}: a cosine is from -1 to 1")
            for name, value in (("above", s.above), ("below", s.below))
        ),
        (s.mine < 0, f"similarity.mine={s.mine}: must be 0 or more"),
        (s.pool < 2, f"similarity.pool={s.pool}: must be 2 or more"),
        (
            bool(used) and s.kind is Similarity.off,
            "similarity.kind=off: cannot mine or filter; choose lexical or embedding",
        ),
        (
            s.model is not None and s.kind is not Similarity.embedding,
            f"similarity.model={s.model}: is read with similarity.kind=embedding alone",
        ),
    ]
