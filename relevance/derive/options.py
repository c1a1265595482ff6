"""The options of `derive`: the schema of its words and of conf/source/*.yaml. Imports no table library.

derive source=wands judgements=label.csv queries=query.csv items=product.csv output=pairs.parquet caps.item=4
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from relevance.config import OnBadRow


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
class FileOptions:
    """How one kind of file is read."""

    columns: dict[str, str] = field(default_factory=dict)  # ours: theirs
    where: dict[str, str] = field(default_factory=dict)  # their column: the value of the rows that are read
    delimiter: str | None = None  # of .csv files; null: a comma
    quotes: bool = True  # whether a cell in quotes may hold the delimiter and line breaks


@dataclass
class ReadOptions:
    judgements: FileOptions = field(default_factory=FileOptions)  # query or query_id, item_id, label
    queries: FileOptions = field(default_factory=FileOptions)  # query_id, query
    items: FileOptions = field(default_factory=FileOptions)  # item_id, title, product_type or category
    taxonomy: FileOptions = field(default_factory=FileOptions)  # type, parent, name; or category
    text: str = "{title}"  # of an item, from its columns; an empty one goes with the words before it
    separator: str = ">"  # between the types of a category path
    longest: int = 20_000  # characters of a text; a longer one is at fault


@dataclass
class RuleOptions:
    off: list[str] = field(default_factory=list)  # names of rules not to use
    settle: Settle = Settle.majority
    overlap: float = 0.5  # of the items judged for two queries and relevant to either, relevant to both: label 2
    shared: int = 2  # and so many of them at least
    rejected: int = 3  # items judged for both queries, relevant to one and irrelevant to the other: label 0
    type_share: float = 0.2  # of a query's relevant items: from here on their type is wanted
    far: int = 4  # steps in the tree from which on two types have nothing in common
    broad: int = 500  # children from which on a type says nothing of what they have in common
    beside: int = 2  # siblings and parents drawn for a query, an item or a type
    draws: int = 2  # queries or types drawn at random for each entity; those that are not far are let go


@dataclass
class CapOptions:
    """Most rows of one label in which an entity stands on one side of a derived task."""

    query: int = 20
    item: int = 6
    type: int = 200
    judgements: int = 40  # of a query and a label, that pair with its others


@dataclass
class TaskOptions:
    rows: int | None = None  # at most
    balance: list[float] | None = None  # shares of labels 0, 1, 2; null: as they come


@dataclass
class SimilarityOptions:
    kind: Similarity = Similarity.off
    model: str | None = None  # embedding: hub id or folder of any AutoModel; null: the embedded encoder
    mine: int = 0  # nearest others of an entity among which hard negatives are looked for
    pool: int = 20_000  # entities of a kind that take part in mining, drawn where there are more
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
    grades: dict[Any, int] = field(default_factory=dict)  # the label of each grade; {}: grades are 0, 1, 2
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
