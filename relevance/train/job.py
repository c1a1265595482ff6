"""A cell frozen for another process: Job ↔ a line of JSON, in which ${oc.env:NAME} stays what it is.

Job(cell, parent="5d41…", place="[3/6] llm-mh-joint-s0") ↔ {"config": {…}, "fingerprint": "9f2c…", "parent": "5d41…", …}
"""

import json
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from relevance.cell_id import Cell
from relevance.config_io import ConfigFile, anchored_uri, typed_config


@dataclass(frozen=True)
class Job:
    """A cell to be trained, the MLflow run of its sweep, and what it is called at the terminal."""

    cell: Cell
    parent: str
    place: str

    def with_settings(self, **settings: Any) -> "Job":
        """The job with these settings of its cell's config."""
        return replace(self, cell=replace(self.cell, config=replace(self.cell.config, **settings)))

    def text(self) -> str:
        """A line that `thaw` reads, in another process or on another host."""
        config = ConfigFile(self.cell.config, self.cell.unresolved).settings()
        plain = {**vars(self.cell), "config": config, "rows": str(self.cell.rows)}
        return json.dumps(plain | {"parent": self.parent, "place": self.place})


@dataclass(frozen=True)
class Outcome:
    """How an attempt at a cell ended: the line for the terminal, and the reason where it failed."""

    line: str
    reason: str = ""  # "" where it finished
    died: bool = False  # its process did, so that nobody wrote the end of its run
    last: bool = False  # its process ends, and takes no other job

    def text(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def of(text: str) -> "Outcome":
        """The outcome whose `text` it is."""
        return Outcome(**json.loads(text))


Outcomes = Generator[tuple[Job, Outcome], None, None]


class Launch(Protocol):
    """One way to run cells."""

    def __call__(self, jobs: list[Job]) -> Outcomes: ...

    def at_once(self, cells: list[Cell]) -> int:
        """How many of them surely run side by side, for the guess how long they take."""
        return 1

    def close(self) -> None:
        """End what it started; a cell under way ends as KILLED."""


def anchored(job: Job) -> Job:
    """The job as another machine, which works in another folder, has to read it: its paths start at the root."""
    config, cell = job.cell.config, job.cell
    backbone = Path(config.model.backbone)
    local = backbone.exists() and not config.model.revision
    model = replace(config.model, backbone=str(backbone.absolute())) if local else config.model
    outputs, uri = str(Path(config.outputs).absolute()), anchored_uri(config.tracking_uri)
    unresolved = {key: text for key, text in cell.unresolved.items() if key not in ("outputs", "model.backbone")}
    config = replace(config, model=model, outputs=outputs, tracking_uri=uri)
    return replace(job, cell=replace(cell, config=config, rows=cell.rows.absolute(), unresolved=unresolved))


def thaw(text: str) -> Job:
    """The job of a `text`; environment variables are those of the reading process."""
    settings = json.loads(text)
    config = typed_config(settings.pop("config"))
    parent, place, rows = settings.pop("parent"), settings.pop("place"), Path(settings.pop("rows"))
    doubts = tuple(settings.pop("doubts"))  # JSON knows lists alone
    return Job(Cell(config=config, rows=rows, doubts=doubts, **settings), parent, place)
