"""How a trained cell reads pairs: the form of its text, and which tasks it was trained on.

template.json {"prefix": false, "pair": true, "max_length": 128, "line": true, "tasks": ["query_item", ...]} → Reading
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from relevance.data.tokens import Template
from relevance.tasks import TASK_NAMES


@dataclass(frozen=True)
class Reading:
    """Of a model folder."""

    template: Template
    tasks: tuple[str, ...]  # trained on, in the order of TASK_NAMES

    @classmethod
    def of(cls, folder: Path) -> "Reading":
        """What `written` left in template.json; a file that names no tasks is of a cell that knows all.

        One without `line` is of a cell that read the task's name without a line break behind it.
        """
        told = json.loads((folder / "template.json").read_text())
        tasks = tuple(told.pop("tasks", TASK_NAMES))
        return cls(Template(**{"line": False, **told}), tasks)

    def written(self) -> dict[str, object]:
        return {**asdict(self.template), "tasks": list(self.tasks)}

    def unknown(self, tasks: Iterable[str]) -> list[str]:
        """Those of `tasks` that it was not trained on, in the order of TASK_NAMES."""
        asked = set(tasks)
        return [name for name in TASK_NAMES if name in asked and name not in self.tasks]
