"""A database on this disk: waited for while another process makes it, and moved or copied with the files of its runs.

/p/mlflow.db says that the files of its runs lie in /p/outputs/artifacts, and still says so where it came to /q
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote, urlparse

from relevance.errors import UserError

PLACES = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}
READ_ONLY = "is read-only here; let it be written to, or give tracking_uri=URI of a store of your own"


@dataclass(frozen=True)
class Database:
    """A SQLite file of MLflow's, and the folder in which this project keeps the files of its runs."""

    file: Path
    artifacts: Path
    shown: str  # its URI, as others may read it

    @property
    def location(self) -> str:
        return self.artifacts.as_uri()

    def check_made(self) -> None:
        """UserError for a file without MLflow's tables, which MLflow would make in it even for a reader."""
        with closing(sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            try:
                tables = opened.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
            except sqlite3.DatabaseError as error:
                raise UserError(
                    f"tracking_uri={self.shown}: {error}; give tracking_uri=URI of an MLflow store"
                ) from error
        if not tables:
            raise UserError(
                f"tracking_uri={self.shown}: no MLflow store; train a sweep first, or give tracking_uri=URI"
            )

    def check_writable(self) -> None:
        """UserError for a database that exists and that this user, or this mount, may only read."""
        for path in (self.file, self.file.parent):
            if path.exists() and not os.access(path, os.W_OK):
                raise UserError(f"tracking_uri={self.shown}: {path.absolute()} {READ_ONLY}")

    def came_from(self, there: str) -> bool:
        """Whether it names `there` as the place of its runs' files, and was moved or copied from there with them.

        One that serves several folders of outputs was not. Raises UserError for a copy without those files.
        """
        former = Path(unquote(urlparse(there).path))
        if there == self.location or not former.is_dir():
            return there != self.location and self.artifacts.is_dir()
        original = self._original(former)
        if original and not self.artifacts.is_dir():
            raise UserError(
                f"tracking_uri={self.shown}: is a copy of {original}, without the files of its runs; copy {former} to "
                f"{self.artifacts}, or give experiment=NAME to begin an experiment of its own"
            )
        return original is not None

    def _original(self, former: Path) -> Path | None:
        """The database that lies to the folder `former` as this one to its own, where that is another."""
        pairs = zip(reversed(former.parts), reversed(self.artifacts.parts), strict=False)
        alike = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
        root, file = self.artifacts.parents[alike - 1], self.file.resolve()
        if not alike or not file.is_relative_to(root):
            return None
        original = former.parents[alike - 1] / file.relative_to(root)
        return original if original.is_file() and not original.samefile(file) else None

    def adopt(self, experiment_id: str, there: str) -> None:
        """Let the runs and models of an experiment keep their files in this project, no longer in `there`."""
        with closing(sqlite3.connect(self.file, timeout=60)) as opened, opened:
            for table, column in PLACES.items():
                opened.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE experiment_id = ? AND substr({column} || '/', 1, ?) = ?",
                    (self.location, len(there) + 1, int(experiment_id), len(there) + 1, f"{there}/"),
                )


@contextmanager
def unmade(lock: Path) -> Iterator[None]:
    """Within it no other process makes the store of this lock; nothing is written, so any reader may wait so."""
    if not lock.is_file():
        yield
        return
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield
