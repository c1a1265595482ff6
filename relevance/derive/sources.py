"""Words of the command line over conf/source/<name>.yaml over the defaults → options, checked.

["source=wands", "judgements=label.csv", ...] → DeriveOptions(grades={"Exact": 2, ...}, judgements="label.csv", ...)
"""

from pathlib import Path

from relevance.commands import parse
from relevance.config import OnBadRow
from relevance.derive.options import DeriveOptions, Similarity
from relevance.derive.template import fields
from relevance.errors import UserError
from relevance.tasks import TASK_NAMES

FOLDER = Path(__file__).parents[2] / "conf" / "source"


def options(words: list[str]) -> DeriveOptions:
    """Raises one UserError for an unknown key, a wrong type, a source that is not there and what cannot be."""
    named = [word.partition("=")[2] for word in words if word.startswith("source=")]
    asked = parse(DeriveOptions, words, *([_file(named[-1])] if named and named[-1] != "null" else []))
    problems = [message for wrong, message in _checks(asked) if wrong]
    if problems:
        raise UserError("derive:\n" + "\n".join(f"  {problem}" for problem in problems))
    fields(asked.read.text)
    return asked


def _file(name: str) -> Path:
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in FOLDER.glob("*.yaml")))
        raise UserError(f"source={name}: {path} is not there; available: {known}, or a path to a .yaml of your own")
    return path


def _checks(o: DeriveOptions) -> list[tuple[bool, str]]:
    shares = o.validation_share + o.test_share
    odd = {grade: label for grade, label in o.grades.items() if label not in (0, 1, 2)}
    return [
        (not o.output, "output: is missing; give output=FILE (.parquet, .csv, .tsv or .jsonl)"),
        (not o.items and not o.taxonomy, "items: is missing; give items=FILE, and judgements=FILE for six tasks"),
        (bool(o.judgements and not o.items), f"judgements={o.judgements}: need the items they are of; give items=FILE"),
        (bool(o.queries and not o.judgements), f"queries={o.queries}: are texts of judgements; give judgements=FILE"),
        (bool(odd), f"grades={odd}: labels are 0 (irrelevant), 1 (partially relevant) and 2 (relevant)"),
        (
            not (o.validation_share > 0 and o.test_share > 0 and shares < 1),
            f"validation_share={o.validation_share} test_share={o.test_share}: both must be above 0, their sum below 1",
        ),
        (o.seed < 0, f"seed={o.seed}: must be 0 or more"),
        (o.threads is not None and o.threads < 1, f"threads={o.threads}: must be 1 or more, or null for all cores"),
        (o.on_bad_row not in OnBadRow, f"on_bad_row={o.on_bad_row}: available: error, quarantine"),
        *_rule_checks(o),
        *_task_checks(o),
        *_similarity_checks(o),
    ]


def _rule_checks(o: DeriveOptions) -> list[tuple[bool, str]]:
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


def _task_checks(o: DeriveOptions) -> list[tuple[bool, str]]:
    unknown = [name for name in o.tasks if name not in TASK_NAMES]
    told = [(bool(unknown), f"tasks={unknown}: available: {', '.join(TASK_NAMES)}")]
    for name, task in o.tasks.items():
        shares = task.balance
        bad = shares is not None and (len(shares) != 3 or min(shares) < 0 or not sum(shares))
        told.append((bad, f"tasks.{name}.balance={shares}: give the shares of labels 0, 1 and 2, such as [2,1,1]"))
        told.append((task.rows is not None and task.rows < 1, f"tasks.{name}.rows={task.rows}: must be 1 or more"))
    return told


def _similarity_checks(o: DeriveOptions) -> list[tuple[bool, str]]:
    s = o.similarity
    used = s.mine or s.above is not None or s.below is not None
    return [
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
