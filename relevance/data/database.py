"""The only file that imports duckdb: Arrow tables in, SQL, Arrow tables out.

database.put("judged", table); database.make("best", "SELECT q, i FROM judged WHERE label = 2")
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import duckdb
import pyarrow as pa

from relevance.errors import UserError, first_line

NONE: Mapping[str, object] = MappingProxyType({})
VALUE = re.compile(r"\$([a-z_]+)")


class Database:
    """Tables that live as long as one command; `$name` in a query stands for the value of that name."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._connection = connection

    def put(self, name: str, table: pa.Table) -> None:
        """A copy of `table` under `name`."""
        self._connection.register("arriving", table)
        self.make(name, "SELECT * FROM arriving")
        self._connection.unregister("arriving")

    def make(self, name: str, query: str, values: Mapping[str, object] = NONE) -> None:
        """Make the table `name` of the rows of `query`; an earlier table of that name makes way."""
        self.rows(f"CREATE OR REPLACE TABLE {name} AS {query}", values)

    def append(self, name: str, query: str) -> None:
        self.rows(f"INSERT INTO {name} {query}")

    def count(self, name: str) -> int:
        return self.rows(f"SELECT count(*) FROM {name}")[0][0]

    def rows(self, query: str, values: Mapping[str, object] = NONE) -> list[tuple]:
        """The rows of `query`: for counts and the like, not for tables."""
        with _explained():
            return self._connection.execute(query, _named(query, values)).fetchall()

    def table(self, query: str, values: Mapping[str, object] = NONE) -> pa.Table:
        with _explained():
            return self._connection.sql(query, params=_named(query, values)).to_arrow_table()

    def chunks(self, query: str, rows: int) -> Iterator[pa.Table]:
        """The rows of `query`, so many at a time."""
        with _explained():
            for batch in self._connection.sql(query).to_arrow_reader(rows):
                yield pa.Table.from_batches([batch])


@contextmanager
def _explained() -> Iterator[None]:
    """Too little memory or disk as a UserError; Ctrl-C while a query runs as what it is."""
    try:
        yield
    except duckdb.OutOfMemoryException as cause:
        raise UserError(f"memory: too little for the database ({first_line(cause)}); raise memory=2GB") from cause
    except duckdb.IOException as cause:
        remedy = "free space beside the output, where it works beyond its memory, or raise memory=2GB"
        raise UserError(f"memory: the database could not use the disk ({first_line(cause)}); {remedy}") from cause
    except (duckdb.InterruptException, RuntimeError) as cause:
        if "interrupt" not in str(cause).lower():
            raise
        raise KeyboardInterrupt from cause


def _named(query: str, values: Mapping[str, object]) -> dict[str, object]:
    return {name: values[name] for name in set(VALUE.findall(query))}


@contextmanager
def opened(folder: Path, memory: str | None = None, threads: int | None = None) -> Iterator[Database]:
    """An empty database that spills to `folder`; null: four fifths of the machine's memory, all of its cores."""
    settings: dict[str, str | bool | int | float | list[str]] = {"temp_directory": str(folder)}
    settings["preserve_insertion_order"] = False
    settings |= {name: value for name, value in (("memory_limit", memory), ("threads", threads)) if value is not None}
    with _explained():
        connection = duckdb.connect(config=settings)
    try:
        yield Database(connection)
    finally:
        connection.close()
