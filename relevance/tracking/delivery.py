"""A record → MLflow: its events in order, each once, however often it is tried.

Every event is the name of a method of Run and what to call it with, times included, so that saying it again stores
nothing new; a run is made once, since its record's own id is one of its tags.
"""

import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from relevance.commands import say
from relevance.errors import UserError
from relevance.tracking.record import NAME, Event, Record
from relevance.tracking.run import Run
from relevance.tracking.store import Store

SAID = frozenset("log params tags text data model reopen end".split())


def begin(record: Record, name: str, tags: dict[str, str], at: int) -> None:
    """The first event of a record: a run by that name."""
    record.append("start", name=name, tags={**tags, "record": uuid.uuid4().hex}, at=at)


def deliver(store: Store, record: Record, parent: str = "", given_up: Callable[[], bool] = lambda: False) -> str:
    """Say to the store what it has not heard yet; returns the run's id. Raises what MLflow raises.

    Asked before each event, `given_up` ends it early. A run whose sweep the store does not know belongs to `parent`.
    """
    run_id, sent = record.sent(store.key)
    events = record.events(sent)
    if sent and not store.knows(run_id):  # the store was lost, and another stands in its place
        run_id, events = "", record.events()
    if not run_id and events:
        run_id = _made(store, events[0][0], parent)
    for event, after in events:
        if given_up():
            break
        _say(Run(store, run_id), event, record.folder)
        record.mark(store.key, run_id, after)
    return run_id


def deliver_all(store: Store, parent: str = "", folders: Iterable[Path] = ()) -> list[str]:
    """Deliver what earlier commands could not, of cells that nobody trains now; returns the names of the runs.

    Of the finished cells in `folders` also what the store once had and has lost.
    """
    known, folders = set[str](), set(folders)
    if any((folder / NAME).is_file() for folder in folders):
        known = {run.info.run_id for run in store.runs("tags.kind = 'cell'")}
    found = []
    for path in sorted(store.outputs.glob(f"cells/*/{NAME}")):
        record = Record(path.parent)
        lost = path.parent in folders and record.sent(store.key)[0] not in known
        if not (lost or record.pending(store.key)):
            continue
        try:
            with FileLock(path.parent.with_suffix(".lock"), timeout=0):  # nobody begins to train it meanwhile
                deliver(store, record, parent)
                found.append(record.last("start").get("name", path.parent.name))
        except Timeout:
            continue  # it is being trained, and told by who does
        except UserError as error:
            say(f"not delivered: {error}")
    return found


def _made(store: Store, event: Event, parent: str) -> str:
    """The run a record begins with: found by the record's id, or made."""
    _, said = event
    tags = said["tags"]
    if found := store.runs(f"tags.record = '{tags['record']}'"):
        return found[0].info.run_id
    if parent and not store.knows(tags.get("mlflow.parentRunId", "")):
        tags = {**tags, "mlflow.parentRunId": parent}
    return store.start(said["name"], tags, said["at"]).run_id


def _say(run: Run, event: Event, folder: Path) -> None:
    name, said = event
    if name in SAID:
        getattr(run, name)(**({**said, "folder": str(folder / said["folder"])} if name == "model" else said))
    elif name not in ("start", "kept"):
        raise ValueError(f"{folder / NAME}: unknown event {name!r}; it knows start, kept, {', '.join(sorted(SAID))}")
