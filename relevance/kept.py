"""A config ↔ the text of config.yaml: passwords masked, and ${oc.env:NAME} as it was written.

tracking_uri: postgresql://ana:${oc.env:STORE_PASSWORD}@db/runs
"""

import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from relevance.config import Config
from relevance.errors import UserError, first_line
from relevance.secrets import masked

ENVIRONMENT = re.compile(r"(?<!\\)\$\{oc\.env:([^{},]*)\}")  # without a default of its own


@dataclass(frozen=True)
class Kept:
    """A config, and which of its leaves came from the environment: path → text, ${oc.env:NAME} in it."""

    config: Config
    unresolved: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return OmegaConf.to_yaml(OmegaConf.create(masked(frozen_config(self.config, self.unresolved))))


def read(path: Path) -> Config:
    """The config in `path`. A variable that is not set here stays a name: most settings are of no use to a reader.

    Raises UserError where what names one is no text.
    """
    told = _named(_current(OmegaConf.to_container(OmegaConf.load(path))))
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), told))
    except OmegaConfBaseException as error:
        raise UserError(
            f"{path}: {error.full_key}: {first_line(error)}; set the environment variable it names"
        ) from error


def _current(stored: dict[str, Any]) -> dict[str, Any]:
    """Without the settings that cells trained before 2026-11-27 have stored and that are no more."""
    for name in ("num_nodes", "strategy"):
        stored["trainer"].pop(name, None)
    private = stored["routing"]["private"]
    if private.get("width") is None:  # narrow blocks cannot be built any more: their config is refused
        private.pop("width", None)
    return stored


def unset(text: str) -> list[str]:
    """The environment variables that a setting names and that are not set."""
    return [name for name in ENVIRONMENT.findall(text) if name not in os.environ]


def anchored_uri(uri: str) -> str:
    """A URI whose file, where it names one, starts at the root."""
    file = uri.removeprefix("sqlite:///")
    return uri if file == uri else f"sqlite:///{Path(file).absolute()}"


def frozen_config(config: Config, unresolved: dict[str, str]) -> dict[str, Any]:
    """The config as plain values; what came from the environment is named (`unresolved`: path → text), not told."""
    return _frozen(asdict(config), unresolved, "")


def _frozen(node: Any, unresolved: dict[str, str], path: str) -> Any:
    if isinstance(node, dict):
        return {key: _frozen(value, unresolved, f"{path}.{key}".lstrip(".")) for key, value in node.items()}
    if path in unresolved:
        return unresolved[path]
    if isinstance(node, list):
        return [_frozen(value, unresolved, f"{path}[{index}]") for index, value in enumerate(node)]
    return node.replace("${", r"\${") if isinstance(node, str) else node


def _named(node: Any) -> Any:
    """Every ${oc.env:NAME} that cannot be resolved here, escaped."""
    if isinstance(node, dict):
        return {key: _named(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_named(value) for value in node]
    if isinstance(node, str):
        return ENVIRONMENT.sub(lambda found: found[0] if found[1] in os.environ else f"\\{found[0]}", node)
    return node
