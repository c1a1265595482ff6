"""The only file that imports duckdb: Arrow tables in, SQL, Arrow tables out.

database.put("judged", table); database.make("best", "SELECT q, i FROM judged WHERE label = 2") → rows made
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import duckdb
import pyarrow as pa

NONE: Mapping[str, object] = MappingProxyType({})
VALUE = re.compile(r"\$([a-z_]+)")


class Database:
    """Tables that live as long as one command; beyond the memory it was given, it works on disk."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._connection = connection

    def put(self, name: str, table: pa.Table) -> None:
        """A copy of `table` under `name`."""
        self._connection.register("arriving", table)
        self.make(name, "SELECT * FROM arriving")
        self._connection.unregister("arriving")

    def make(self, name: str, query: str, values: Mapping[str, object] = NONE) -> int:
        """Keep what `query` finds as the table `name`, in place of one that was; how many rows it has.

        `$name` in the query stands for the value given by that name; `values` may hold more.
        """
        self.rows(f"CREATE OR REPLACE TABLE {name} AS {query}", values)
        return self.count(name)

    def append(self, name: str, query: str, values: Mapping[str, object] = NONE) -> None:
        """Add what `query` finds to the table `name`."""
        self.rows(f"INSERT INTO {name} {query}", values)

    def count(self, name: str) -> int:
        return self.rows(f"SELECT count(*) FROM {name}")[0][0]

    def rows(self, query: str, values: Mapping[str, object] = NONE) -> list[tuple]:
        """What `query` finds: for counts and the like, not for tables."""
        return self._connection.execute(query, _named(query, values)).fetchall()

    def table(self, query: str, values: Mapping[str, object] = NONE) -> pa.Table:
        return self._connection.sql(query, params=_named(query, values)).to_arrow_table()

    def chunks(self, query: str, rows: int) -> Iterator[pa.Table]:
        """What `query` finds, so many rows at a time."""
        for batch in self._connection.sql(query).to_arrow_reader(rows):
            yield pa.Table.from_batches([batch])


def _named(query: str, values: Mapping[str, object]) -> dict[str, object]:
    return {name: values[name] for name in set(VALUE.findall(query))}


@contextmanager
def opened(folder: Path, memory: str, threads: int | None) -> Iterator[Database]:
    """An empty database that spills to `folder`."""
    settings = {"memory_limit": memory, "temp_directory": str(folder), "preserve_insertion_order": False}
    connection = duckdb.connect(config=settings | ({"threads": threads} if threads else {}))
    try:
        yield Database(connection)
    finally:
        connection.close()
