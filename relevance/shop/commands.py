"""The commands generate and shop of relevance.data: their words → files, and what they hold on the screen.

["output=shop", "items=2000"] → shop/judgements.parquet, shop/items.parquet, shop/taxonomy.parquet
"""

from dataclasses import dataclass, field
from pathlib import Path

from relevance.atomic_io import atomic_file
from relevance.checks import validate_data
from relevance.cli import parse
from relevance.config import DataConfig
from relevance.errors import UserError
from relevance.shop.options import ShopOptions, check_options, place


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
