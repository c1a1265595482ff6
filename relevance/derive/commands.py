"""The command derive, its options and their checks; imports no table library.

["source=wands", "judgements=label.csv"] over conf/source/wands.yaml → DeriveOptions(grades={"Exact": 2, ...}, ...)
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from yaml import YAMLError

from relevance.atomic_io import sibling
from relevance.checks import bounds, form_problems
from relevance.cli import RepeatedKeyError, aligned, counts_text, parse, read_settings
from relevance.config import OnBadRow, TextFile, conf_folder, setting
from relevance.errors import UserError
from relevance.tasks import TASK_NAMES, single_labels

if TYPE_CHECKING:
    from relevance.derive.derive import Derived

FOLDER = conf_folder() / "source"
TEXTS = ("source", "judgements", "queries", "items", "taxonomy", "output", "read.text", "read.separator")
LEGEND = (
    "settled: the same two texts once more, or outvoted; apart: entities of two splits; similar: the label doubtful; "
    "capped: an entity had enough; balanced: as tasks.* ask"
)
MEMORY = re.compile(r"[0-9]+(\.[0-9]+)?\s*([KMGT]i?B)", re.IGNORECASE)
LARGEST = 2**63 - 1
THREADS = 1024


class Settle(StrEnum):
    """Which label a pair gets that several queries, or several people, label differently."""

    majority = "majority"  # the one most of them give, of equals the higher
    highest = "highest"
    lowest = "lowest"
    drop = "drop"  # none: the pair is left out


class Split(StrEnum):
    """What an entity of a test row may not be in training."""

    left = "left"  # an entity on the left of a test row stands in no training row
    strict = "strict"  # an entity on either side of a test row stands in no training row


class Similarity(StrEnum):
    off = "off"
    lexical = "lexical"  # cosine of character 3- and 4-grams
    embedding = "embedding"  # cosine of mean token states of a transformer


@dataclass
class FileOptions(TextFile):
    """How one kind of file is read."""

    columns: dict[str, str | None] = field(default_factory=dict)  # ours: theirs; null: the file's is not read
    where: dict[str, str] = field(default_factory=dict)  # their column: the value of the rows that are read


@dataclass
class ReadOptions:
    judgements: FileOptions = field(default_factory=FileOptions)  # query or query_id, item_id, label
    queries: FileOptions = field(default_factory=FileOptions)  # query_id, query
    items: FileOptions = field(default_factory=FileOptions)  # item_id, title, product_type or category
    taxonomy: FileOptions = field(default_factory=FileOptions)  # type, parent, name; or category
    text: str = "{title}"  # of an item, from its columns; an empty one goes with the words before it
    separator: str = ">"  # between the types of a category path
    longest: int = setting(20_000, "characters of a text; a longer one is at fault", at_least=1)


@dataclass
class RuleOptions:
    off: list[str] = field(default_factory=list)  # names of rules not to use
    settle: Settle = Settle.majority
    overlap: float = setting(
        0.5, "of the items judged for two queries and relevant to either, relevant to both: label 2", above=0, at_most=1
    )
    shared: int = setting(2, "and so many of them at least", at_least=1)
    rejected: int = setting(
        3, "items judged for both queries, relevant to one and irrelevant to the other: label 0", at_least=1
    )
    type_share: float = setting(
        0.2, "of a query's relevant items: from here on their type is wanted", above=0, at_most=1
    )
    far: int = setting(4, "steps in the tree from which on two types have nothing in common", at_least=1)
    broad: int = setting(500, "children from which on a shared parent means nothing", at_least=1)
    beside: int = setting(2, "siblings and parents drawn for a query, an item or a type", at_least=0)
    draws: int = setting(2, "queries or types drawn at random for each entity, far ones kept", at_least=0)


MOST = "most rows of one label in which an entity stands on one side of a derived task"


@dataclass
class CapOptions:
    query: int = setting(20, MOST, at_least=1)
    item: int = setting(6, MOST, at_least=1)
    type: int = setting(200, MOST, at_least=1)
    judgements: int = setting(40, "of a query and a label, that pair with its others", at_least=1)


@dataclass
class TaskOptions:
    rows: int | None = setting(None, "at most", at_least=1)
    balance: list[float] | None = None  # shares of labels 0, 1, 2; null: as they come


@dataclass
class SimilarityOptions:
    kind: Similarity = Similarity.off
    model: str | None = None  # embedding: hub id or folder of any AutoModel; null: the embedded encoder
    mine: int = setting(0, "nearest others of an entity among which hard negatives are looked for", at_least=0)
    pool: int = setting(20_000, "entities of a kind that take part in mining, drawn where there are more", at_least=2)
    above: float | None = None  # rows of label 0 as similar as this are dropped: perhaps relevant
    below: float | None = None  # rows of label 2 less similar than this are dropped: perhaps irrelevant


@dataclass
class DeriveOptions:
    source: str | None = None  # a file of conf/source, or a path to one of your own
    judgements: str | None = None  # a file; many: a folder/*.csv pattern
    queries: str | None = None  # where the judgements name queries by id alone
    items: str | None = None
    taxonomy: str | None = None  # null: the tree is read off the items' category paths
    output: str | None = None
    grades: dict[str, int] = field(default_factory=dict)  # the label of each grade; {}: grades are 0, 1, 2
    read: ReadOptions = field(default_factory=ReadOptions)
    rules: RuleOptions = field(default_factory=RuleOptions)
    caps: CapOptions = field(default_factory=CapOptions)
    tasks: dict[str, TaskOptions] = field(default_factory=dict)
    similarity: SimilarityOptions = field(default_factory=SimilarityOptions)
    split: Split = Split.left
    validation_share: float = 0.08  # of queries, items and types
    test_share: float = 0.12
    seed: int = 0
    on_bad_row: OnBadRow = OnBadRow.error
    memory: str = "2GB"  # of the database; beyond it, it works on disk
    threads: int | None = None  # of the database; null: all cores


def derive(words: list[str]) -> None:
    """Write the pairs that judgements, items and a tree of types give, and print how they came about."""
    from relevance.derive.derive import ASIDE, RECORD, derive_pairs

    chosen = options(words)
    derived = derive_pairs(chosen)
    output = Path(chosen.output or "")
    for warning in single_labels({task: list(splits.values()) for task, splits in derived.splits.items()}):
        print(warning)
    print(f"{output}: {derived.rows:,} pairs; how they came about is in {sibling(output, RECORD)}\n")
    print(aligned([("input", "rows"), *((name, f"{rows:,}") for name, rows in derived.inputs.items())], 1))
    if derived.faults:
        body = [
            (fault["input"], fault["problem"], "kept" if fault["kept"] else "set aside", f"{fault['rows']:,}")
            for fault in derived.faults
        ]
        print("\n" + aligned([("at fault", "", "", "rows"), *body], 3) + f"\nlisted in {sibling(output, ASIDE)}")
    print("\n" + aligned(derived.ledger.lines(), 2) + f"\n{LEGEND}")
    print(*_notes(derived), sep="\n", end="\n\n")
    counts = [(task, split, n) for task, splits in derived.splits.items() for split, n in splits.items()]
    print(counts_text(counts))


def _notes(derived: "Derived") -> Iterator[str]:
    from relevance.audit.page import agreed

    n, _, equal, kappa, interval = agreed(derived.agreement)
    if derived.agreement["n"]:
        yield f"judged again: {n} times, {equal} % alike; Cohen's kappa, quadratic weights: {kappa} ({interval})"
    for task, made in derived.ledger.made.items():
        if made.differing:
            yield f"{task}: {made.differing:,} pairs had more than one label"
        if made.alike:
            yield f"{task}: {made.alike:,} rows with two equal texts left out"
        if made.drawn:
            yield f"{task}: {made.drawn:,} drawn rows left out: the tree or a person labels their two texts"
    for reason in dict.fromkeys(derived.idle.values()):
        yield f"not used, {reason}: {', '.join(name for name, why in derived.idle.items() if why == reason)}"


def options(words: list[str]) -> DeriveOptions:
    """Raises one UserError for an unknown key, a wrong type, an absent source and values out of bounds."""
    named = [word.partition("=")[2].strip("'\"") for word in words if word.startswith("source=")]
    files = [_source_file(named[-1])] if named and named[-1] != "null" else []
    try:
        chosen = parse(DeriveOptions, [_quoted(word) for word in words], *files)
    except RepeatedKeyError as error:
        raise UserError(f"derive:\n  {error}") from error
    if wrong := list(_problems(chosen)):
        raise UserError("derive:\n" + "\n".join(f"  {problem}" for problem in wrong))
    return chosen


def _quoted(word: str) -> str:
    """The word with its text as YAML reads it back: *.csv and {title}. {brand} would mean something else to it."""
    key, _, text = word.partition("=")
    if key not in TEXTS or text in ("", "null") or text[0] in "'\"":
        return word
    return f"{key}={json.dumps(text, ensure_ascii=False)}"


def _source_file(name: str) -> Path:
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise UserError(f"source={name}: {path} is not there; available: {known}, or a path to a .yaml of your own")
    try:
        if not isinstance(read_settings(path), dict):
            raise UserError("holds a list; give keys such as grades and read, as the files of conf/source do")
        parse(DeriveOptions, [], path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"source={name}: {path}: is no YAML ({' '.join(str(error).split())}); mend it") from error
    except UserError as error:
        raise UserError(f"source={name}: {path}: {error}") from error
    return path


def _problems(o: DeriveOptions) -> Iterator[str]:
    """A line for each setting to mend."""
    shares = f"validation_share={o.validation_share} test_share={o.test_share}"
    divided = o.validation_share > 0 and o.test_share > 0 and o.validation_share + o.test_share < 1
    threads = o.threads is None or 1 <= o.threads <= THREADS
    sound = {
        "output: is missing; give output=FILE (.parquet, .csv, .tsv or .jsonl)": o.output,
        "items: is missing; give items=FILE, and judgements=FILE for six tasks": o.items or o.taxonomy,
        f"judgements={o.judgements}: need the items they are of; give items=FILE": o.items or not o.judgements,
        f"queries={o.queries}: are texts of judgements; give judgements=FILE": o.judgements or not o.queries,
        f"{shares}: both must be above 0, their sum below 1": divided,
        f"threads={o.threads}: must be from 1 to {THREADS}, or null for all cores": threads,
        f"memory={o.memory}: give a number and a unit, such as 500MB or 2GB": MEMORY.fullmatch(o.memory),
        f"seed={o.seed}: must be from 0 to {LARGEST}": 0 <= o.seed <= LARGEST,
    }
    yield from (problem for problem, fits in sound.items() if not fits)
    yield from bounds(o)
    yield from _grade_problems(o)
    yield from _read_problems(o)
    yield from _rule_and_task_problems(o)
    yield from _similarity_problems(o.similarity)


def _grade_problems(o: DeriveOptions) -> Iterator[str]:
    from relevance.data.contract import grade_text

    if odd := {grade: label for grade, label in o.grades.items() if label not in (0, 1, 2)}:
        yield f"grades={odd}: labels are 0 (irrelevant), 1 (partially relevant) and 2 (relevant)"
    texts = Counter(map(grade_text, o.grades))
    if twice := [grade for grade, count in texts.items() if count > 1]:
        yield f"grades={o.grades}: {', '.join(twice)} is given twice; give each grade one label"


def _read_problems(o: DeriveOptions) -> Iterator[str]:
    from relevance.derive.catalogue import ITEM_NAMES, TYPE_NAMES
    from relevance.derive.judgements import JUDGEMENT_NAMES, QUERY_NAMES
    from relevance.derive.quarantine import PLACE
    from relevance.derive.texts import template_fields

    fields = []
    try:
        fields = template_fields(o.read.text)
    except UserError as error:
        yield str(error)
    if ours := [name for name in fields if name in PLACE]:
        remedy = f"name the columns by others, read.items.columns={{other: {''.join(ours[:1])}}}"
        yield f"read.text={o.read.text}: {ours} are names of ours; {remedy}"
    if not o.read.separator:
        yield "read.separator=: is empty; give what stands between the types of a path, such as >"
    known = {"judgements": JUDGEMENT_NAMES, "queries": QUERY_NAMES, "taxonomy": TYPE_NAMES}
    known["items"] = tuple(dict.fromkeys((*ITEM_NAMES, *fields)))
    for kind, names in known.items():
        yield from _file_problems(f"read.{kind}", getattr(o.read, kind), names)


def _file_problems(key: str, file: FileOptions, names: Sequence[str]) -> Iterator[str]:
    if unknown := [name for name in file.columns if name not in names]:
        yield f"{key}.columns={unknown}: our names are {', '.join(names)}"
    values = {name: value for name, value in file.columns.items() if value is not None} | file.where
    if nested := [f"{k}: {value}" for k, value in values.items() if not isinstance(value, str)]:
        yield f"{key}={nested}: give one text for each column"
    yield from form_problems(f"{key}.", file.header, file.delimiter)


def _rule_and_task_problems(o: DeriveOptions) -> Iterator[str]:
    from relevance.derive.rules import RULES

    rules = [rule.name for rule in RULES]
    if unknown := [name for name in o.rules.off if name not in rules]:
        yield f"rules.off={unknown}: available: {', '.join(rules)}"
    if unknown := [name for name in o.tasks if name not in TASK_NAMES]:
        yield f"tasks={unknown}: available: {', '.join(TASK_NAMES)}"
    for name, task in o.tasks.items():
        yield from bounds(task, f"tasks.{name}.")
        shares = task.balance
        if shares is not None and not (len(shares) == 3 and 0 < sum(shares) < math.inf and min(shares) >= 0):
            yield f"tasks.{name}.balance={shares}: give the shares of labels 0, 1 and 2, such as [2,1,1]"


def _similarity_problems(s: SimilarityOptions) -> Iterator[str]:
    bounds = {name: cosine for name, cosine in (("above", s.above), ("below", s.below)) if cosine is not None}
    for name, cosine in bounds.items():
        if not -1 <= cosine <= 1:
            yield f"similarity.{name}={cosine}: a cosine is from -1 to 1"
    if (s.mine or bounds) and s.kind is Similarity.off:
        yield "similarity.kind=off: cannot mine or filter; choose lexical or embedding"
    if s.model is not None and s.kind is not Similarity.embedding:
        yield f"similarity.model={s.model}: is read with similarity.kind=embedding alone"
