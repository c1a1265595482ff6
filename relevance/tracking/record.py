"""What a cell logs, written beside its predictions and then delivered to MLflow: record.jsonl, one event a line.

["start",{"name":"ce-mh-joint-s0","tags":{…},"at":1764…},"5c0e8a71"]
["log",{"metrics":{"train/loss":1.09},"step":20,"at":1764…},"0b91f3d4"]
["kept",{"step":40},"e2217c60"]                  a checkpoint; MLflow does not hear of it
["end",{"status":"FINISHED","at":1764…},"97ab40ff"]

A line ends with the crc32 of all that stands before it in the file, so that none is altered, removed or moved unseen;
in an older record the lines from the first that has one on.

record.sent says how much of it which store has: {"store": "9f2c…", "run_id": "5d41…", "sent": 1042}.

Events are delivered in order, each once, however often it is tried. Each is the name of a method of Run and what to
call it with, times included, so that saying it again stores nothing new; a run is made once, since its record's own id
is one of its tags.
"""

import errno
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from filelock import FileLock, Timeout

from relevance.atomic_io import with_filename
from relevance.cell_id import CellFolder
from relevance.cli import echo
from relevance.errors import UserError
from relevance.masking import mask_texts
from relevance.tracking.store import Run, Store, reason, unreached

METHODS = frozenset("log params tags text data model reopen end".split())
LINE_END = re.compile(rb',"([0-9a-f]{8})"\]\n$')
LONGEST = len(',"00000000"]\n')  # bytes of such an end
Event = tuple[str, dict[str, Any]]


@dataclass
class Record:
    """The events of one run, in order; appended to by one process at a time (whoever holds the cell's lock)."""

    folder: Path

    @property
    def files(self) -> CellFolder:
        return CellFolder(self.folder)

    @property
    def path(self) -> Path:
        return self.files.record

    def exists(self) -> bool:
        return bool(self.events())

    def append(self, name: str, /, **values: Any) -> None:
        """One more event, whole, without secrets and on disk when this returns; OSError where it finds no room."""
        body = json.dumps([name, mask_texts(values)], separators=(",", ":")).encode().removesuffix(b"]")
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            before = os.fstat(file).st_size
            with open(file, "rb", closefd=False) as written:
                line = body + b',"%08x"]\n' % crc32(body, _digest(written, before))
            with with_filename(self.path):
                if os.write(file, line) < len(line):  # one call, which no signal can cut in two
                    os.ftruncate(file, before)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if name != "log":  # a curve may lose its last points to a power cut, a status may not
                    os.fsync(file)
        finally:
            os.close(file)

    def mend(self) -> None:
        """Cut off what a process that died left of a last line."""
        text = self.path.read_bytes()
        os.truncate(self.path, text.rfind(b"\n") + 1)

    def events(self, since: int = 0) -> list[tuple[Event, int]]:
        """The whole events from byte `since` on, each with the byte after it."""
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            digest, last = _digest(file, since), _line_end(file, since)
            file.seek(since)
            events = []
            for line in file:
                if not line.endswith(b"\n"):
                    break
                since += len(line)
                end = LINE_END.search(line)
                if int(end[1], 16) != crc32(line[: end.start()], digest) if end else last:
                    raise self._altered(since)
                digest, last = crc32(line, digest), end
                events.append((self._event(line, since), since))
        if events:
            self._check_owner(events[0][0])
        return events

    def last(self, *names: str) -> dict[str, Any]:
        """The values of the newest event of these names; {} where there is none."""
        return next((values for (kind, values), _ in reversed(self.events()) if kind in names), {})

    def tags(self) -> dict[str, str]:
        return self._newest("tags", "start", "tags", "reopen")

    def metrics(self) -> dict[str, float]:
        return self._newest("metrics", "log")

    def points(self) -> set[tuple[str, int]]:
        logs = [values for (kind, values), _ in self.events() if kind == "log"]
        return {(key, values["step"]) for values in logs for key in values["metrics"]}

    def ended(self) -> str:
        """The status the cell ended with, "" while it has not."""
        return self.last("start", "reopen", "end").get("status", "")  # only an end has one

    def sent(self, store: str) -> tuple[str, int]:
        """The run in that store, and the bytes it has of the record: ("", 0) where it knows nothing."""
        try:
            known = json.loads(self.files.sent.read_text())
            return (str(known["run_id"]), int(known["sent"])) if known["store"] == store else ("", 0)
        except (OSError, ValueError, LookupError, TypeError):  # never sent, or torn: sending again changes nothing
            return "", 0

    def mark(self, store: str, run_id: str, sent: int) -> None:
        """Note that a store has the record up to that byte."""
        self.files.sent.write_text(json.dumps({"store": store, "run_id": run_id, "sent": sent}))

    def pending(self, store: str) -> bool:
        return self.path.is_file() and self.sent(store)[1] < self.path.stat().st_size

    def _event(self, line: bytes, end: int) -> Event:
        try:
            name, values, *_ = json.loads(line)
            return str(name), dict(**values)
        except (ValueError, TypeError) as error:
            raise self._altered(end) from error

    def _altered(self, end: int) -> UserError:
        return UserError(
            f"{self.path}: what ends at byte {end:,} is no event, or not as it was written; remove {self.folder}, or "
            "give rerun=true, to train its cell from the start"
        )

    def _check_owner(self, event: Event) -> None:
        """UserError where the record begins as that of another cell than its folder is named by."""
        name, values = event
        owner, place = values.get("tags", {}).get("fingerprint", ""), self.folder.name.removesuffix(".part")
        if name == "start" and owner and owner[: len(place)] != place:
            raise UserError(
                f"{self.path}: is the record of {owner[:16]}, another cell; remove {self.folder} to train its cell "
                "from the start"
            )

    def _newest(self, key: str, *names: str) -> dict[str, Any]:
        """What the events of those names hold under `key`, later ones over earlier."""
        newest: dict[str, Any] = {}
        for (name, values), _ in self.events():
            newest |= values.get(key, {}) if name in names else {}
        return newest


def _line_end(file: BinaryIO, end: int) -> re.Match[bytes] | None:
    """The digest of the line that ends at that byte; None of one that has none."""
    file.seek(max(0, end - LONGEST))
    return LINE_END.search(file.read(min(end, LONGEST)))


def _digest(file: BinaryIO, end: int) -> int:
    """crc32 of the bytes before `end`, where a line begins; all are read where the line before tells none."""
    if last := _line_end(file, end):
        return crc32(last[0], int(last[1], 16))
    file.seek(0)
    return crc32(file.read(end))


def deliver(store: Store, record: Record, parent: str = "", abandoned: Callable[[], bool] = lambda: False) -> str:
    """Log to the store what it lacks; returns the run's id. Raises what MLflow raises.

    Called before each event, `abandoned` ends it early. A run whose sweep the store does not know belongs to `parent`.
    """
    run_id, sent = record.sent(store.key)
    events = record.events(sent)
    if sent and not store.knows(run_id):  # the store was lost, and another stands in its place
        run_id, events = "", record.events()
    if not run_id and events:
        run_id = _made(store, events[0][0], parent)
    for event, after in events:
        if abandoned():
            break
        _log(Run(store, run_id), event, record.folder)
        record.mark(store.key, run_id, after)
    return run_id


def _made(store: Store, event: Event, parent: str) -> str:
    """The run a record begins with: found by the record's id, or made."""
    _, values = event
    tags = values["tags"]
    if runs := store.runs(f"tags.record = '{tags['record']}'"):
        return runs[0].info.run_id
    if parent and not store.knows(tags.get("mlflow.parentRunId", "")):
        tags = {**tags, "mlflow.parentRunId": parent}
    return store.start(values["name"], tags, values["at"]).run_id


def _log(run: Run, event: Event, folder: Path) -> None:
    name, values = event
    if name == "model":
        values = {**values, "folder": str(folder / values["folder"])}
    if name in METHODS:
        getattr(run, name)(**values)
    elif name not in ("start", "kept"):
        raise ValueError(
            f"{CellFolder(folder).record}: unknown event {name!r}; it knows start, kept, {', '.join(sorted(METHODS))}"
        )


def deliver_all(store: Store, parent: str = "", folders: Iterable[Path] = ()) -> list[str]:
    """Deliver what earlier commands could not, of cells that nobody trains now; returns the names of the runs.

    Of the finished cells in `folders` also what the store once had and has lost, as one put back to an older copy.
    """
    known, folders = dict[str, str](), set(folders)
    if any(CellFolder(folder).record.is_file() for folder in folders):
        known = {run.info.run_id: run.info.status for run in store.runs("tags.kind = 'cell'")}
    delivered = []
    for path in sorted(store.outputs.glob(CellFolder.of(Path(), "*").record.as_posix())):
        record = Record(path.parent)
        lost = path.parent in folders and known.get(record.sent(store.key)[0]) != "FINISHED"
        if not (lost or record.pending(store.key)):
            continue
        try:
            with FileLock(record.files.lock, timeout=0):  # nobody begins to train it meanwhile
                if lost and record.ended() == "FINISHED":
                    record.files.sent.unlink(missing_ok=True)  # an older copy of the store lacks its end, or all of it
                if record.exists():
                    deliver(store, record, parent)
                delivered.append(record.last("start").get("name", path.parent.name))
        except Timeout:
            continue  # it is being trained, and told by who does
        except Exception as error:
            if unreached(error):
                raise
            echo(f"not delivered: {reason(error)}")  # its cell, where it is asked for, fails with it
    return delivered
