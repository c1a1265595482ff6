"""The commands generate and shop of relevance.data, their options and the checks of these.

["output=shop", "items=2000"] → shop/judgements.parquet, shop/items.parquet, shop/taxonomy.parquet
"""

from dataclasses import dataclass, field
from pathlib import Path

from relevance.atomic_io import atomic_file
from relevance.checks import bounds, validate_data
from relevance.cli import parse
from relevance.config import DataConfig, setting
from relevance.errors import UserError
from relevance.outputs import check_folder, check_table
from relevance.shop.catalogue import load_lexicon, most_leaves

FILES = ("judgements.parquet", "items.parquet", "taxonomy.parquet")
LEAST_LEAVES = 20


@dataclass
class ShopOptions:
    output: str | None = None  # folder of FILES
    judgements: int = setting(800_000, "judged pairs of a query and an item", at_least=200)
    items: int = setting(200_000, "of the catalogue", at_least=100)
    types: int = 5_000  # of the taxonomy: departments, groups and leaves
    queries: int = setting(40_000, "each with a judgement or more", at_least=20)
    seed: int = setting(0, "of all draws", at_least=0)
    noise: float = setting(0.04, "share of wrong labels, of each annotator", at_least=0, below=0.5)
    twice: float = setting(0.05, "share of the pairs that a second annotator judged as well", at_least=0, at_most=1)

    @property
    def leaves(self) -> int:
        """The types that items have."""
        return self.types - _upper_types()


def most_judged(items: int) -> int:
    """How many of the items one query is judged with at most."""
    return items // 4


def _upper_types() -> int:
    """Departments and groups, which every shop has."""
    return sum(2 + len(department["groups"]) for department in load_lexicon()["departments"])


def check_options(options: ShopOptions) -> ShopOptions:
    """The options, or a UserError that names each setting that no shop can have and what is allowed."""
    upper = _upper_types()
    types = upper + LEAST_LEAVES, upper + most_leaves(0)
    faults = list(bounds(options))
    if not types[0] <= options.types <= types[1]:
        faults.append(f"types={options.types}: must be in [{types[0]:,}, {types[1]:,}], the words there are")
    if faults := faults or _too_many(options):
        raise UserError("; ".join(faults))
    return options


def place(options: ShopOptions) -> Path:
    """The folder to write, or a UserError where none is given or it holds anything but an earlier shop."""
    if not options.output:
        raise UserError("output: give the folder to write, output=FOLDER")
    folder = check_folder(Path(options.output))
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= set(FILES)):
        raise UserError(f"output={folder}: holds something else; give a new or an empty folder")
    return folder


def _too_many(options: ShopOptions) -> list[str]:
    """Every query is judged, and with a quarter of the items at most."""
    queries, items, judgements = options.queries, options.items, options.judgements
    if queries > judgements:
        return [f"queries={queries}: at most judgements={judgements}, since each is judged"]
    if judgements <= (most := queries * most_judged(items)):
        return []
    limit = f"at most {most:,} with queries={queries} and items={items}"
    return [f"judgements={judgements}: {limit}, since a query is judged with a quarter of the items at most"]


@dataclass
class GenerateOptions:
    output: str | None = None
    data: DataConfig = field(default_factory=DataConfig)


def generate(words: list[str]) -> None:
    """Write a generated table and print what it is; raises UserError for an output that is no parquet."""
    options = parse(GenerateOptions, words)
    validate_data(options.data)
    output = Path(options.output or "")
    if output.suffix != ".parquet":
        raise UserError(f"output={options.output}: give the file to write, output=FILE.parquet")
    import pyarrow.parquet as pq

    from relevance.shop.generate import describe_pairs, generate_pairs

    table = generate_pairs(options.data.rows, options.data.seed, options.data.noise)
    check_table(output, table.column_names.__eq__)
    with atomic_file(output) as part:
        pq.write_table(table, part)
    print(f"{output}: {len(table):,} pairs\n\n{describe_pairs(table)}")


def shop(words: list[str]) -> None:
    """Write the three files of a generated shop and print what they hold."""
    options = check_options(parse(ShopOptions, words))
    output = place(options)
    from relevance.shop.files import build_shop, describe_shop, write_shop

    built = build_shop(options)
    write_shop(built, output)
    print(f"{output}\n\n{describe_shop(built)}")
