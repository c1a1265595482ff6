"""The words of `generate` and `shop` → their files, and what they hold on the screen."""

from dataclasses import dataclass, field
from pathlib import Path

from relevance import whole
from relevance.checks import validate_data
from relevance.commands import parse
from relevance.config import DataConfig
from relevance.errors import UserError
from relevance.shop.options import ShopOptions, checked, place


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

    from relevance.shop import generate as shop

    table = shop.generate(options.data.rows, options.data.seed, options.data.noise)
    with whole.file(output) as part:
        pq.write_table(table, part)
    print(f"{output}: {len(table):,} pairs\n\n{shop.describe(table)}")


def shop(words: list[str]) -> None:
    """Write the three files of a generated shop and print what they hold."""
    options = checked(parse(ShopOptions, words))
    output = place(options)
    from relevance.shop import shop as shops

    built = shops.build(options)
    shops.write(built, output)
    print(f"{output}\n\n{shops.describe(built)}")
