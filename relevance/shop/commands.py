"""The commands generate and shop of relevance.data, their options and the checks of these.

["output=shop", "items=2000"] → shop/judgements.parquet, shop/items.parquet, shop/taxonomy.parquet
"""

from dataclasses import dataclass, field
from pathlib import Path

from relevance.atomic_io import atomic_file
from relevance.checks import validate_data
from relevance.cli import parse
from relevance.config import DataConfig
from relevance.errors import UserError
from relevance.shop.catalogue import load_lexicon, most_leaves

FILES = ("judgements.parquet", "items.parquet", "taxonomy.parquet")
LEAST_LEAVES = 20


@dataclass
class ShopOptions:
    output: str | None = None  # folder of FILES
    judgements: int = 800_000  # judged pairs of a query and an item
    items: int = 200_000
    types: int = 5_000  # of the taxonomy: departments, groups and leaves
    queries: int = 40_000  # each with a judgement or more
    seed: int = 0
    noise: float = 0.04  # share of wrong labels, of each annotator
    twice: float = 0.05  # share of the pairs that a second annotator judged as well

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
    ranges = {
        "items": (100, None),
        "types": (upper + LEAST_LEAVES, upper + most_leaves(0)),
        "queries": (20, None),
        "judgements": (200, None),
        "seed": (0, None),
    }
    values = vars(options)
    faults = [f"{k}={values[k]}: {_allowed(*ends)}" for k, ends in ranges.items() if not _inside(values[k], *ends)]
    faults += [f"noise={options.noise}: must be in [0, 0.5)"] * (not 0 <= options.noise < 0.5)
    faults += [f"twice={options.twice}: must be in [0, 1]"] * (not 0 <= options.twice <= 1)
    if not faults:
        faults = _together(options)
    if faults:
        raise UserError("; ".join(faults))
    return options


def place(options: ShopOptions) -> Path:
    """The folder to write, or a UserError where none is given or it holds anything but an earlier shop."""
    if not options.output:
        raise UserError("output: give the folder to write, output=FOLDER")
    folder = Path(options.output)
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= set(FILES)):
        raise UserError(f"output={folder}: holds something else; give a new or an empty folder")
    return folder


def _inside(value: int, least: int, most: int | None) -> bool:
    return least <= value and (most is None or value <= most)


def _allowed(least: int, most: int | None) -> str:
    return f"must be {least:,} or more" if most is None else f"must be in [{least:,}, {most:,}], the words there are"


def _together(options: ShopOptions) -> list[str]:
    """Every query is judged, and with a quarter of the items at most."""
    if options.queries > options.judgements:
        return [f"queries={options.queries}: at most judgements={options.judgements}, since each is judged"]
    most = options.queries * most_judged(options.items)
    if options.judgements > most:
        limit = f"at most {most:,} with queries={options.queries} and items={options.items}"
        return [
            f"judgements={options.judgements}: {limit}, since a query is judged with a quarter of the items at most"
        ]
    return []


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
