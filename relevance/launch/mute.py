"""The run of every rank but the first: it takes what a CellRun takes, and keeps nothing."""

from typing import Any


class Mute:
    """Has the methods of tracking.CellRun that a cell in training calls."""

    run_id = ""

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        """Keeps nothing."""

    def params(self, params: dict[str, Any]) -> None:
        """Keeps nothing."""

    def tag(self, key: str, value: str) -> None:
        """Keeps nothing."""

    def text(self, text: str, name: str) -> None:
        """Keeps nothing."""

    def model(self, folder: str, task: str) -> None:
        """Keeps nothing."""

    def kept(self, step: int) -> None:
        """Keeps nothing."""

    def tell(self, **progress: float) -> None:
        """Keeps nothing."""
