"""A config ↔ the text of config.yaml: passwords masked, what came from the environment as ${oc.env:NAME}.

tracking_uri: postgresql://ana:${oc.env:STORE_PASSWORD}@db/runs
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import AnyNode, DictConfig, Node, OmegaConf, StringNode
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc
from yaml import AliasEvent, YAMLError

from relevance.cell_id import flat
from relevance.config import Config
from relevance.errors import UserError, cut, first_line
from relevance.masking import mask_settings
from relevance.masking import mask_uris as mask_uris  # of those who write addresses

INTERPOLATION = re.compile(r"While dereferencing interpolation '.*?'")
MOVED = "RELEVANCE_BACKBONE"  # an environment variable: where the backbones of adapters lie now
REFERENCE = re.compile(r"\$\{oc\.env:([^{},]*)\}")
SQLITE = re.compile(r"^(sqlite(?:\+\w+)?:///(?:file:)?)([^?]+)")


@dataclass(frozen=True)
class ConfigFile:
    """A config, and which of its leaves came from the environment: path → text, ${oc.env:NAME} in it."""

    config: Config
    unresolved: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The YAML as OmegaConf writes it, passwords masked."""
        return OmegaConf.to_yaml(OmegaConf.create(mask_settings(self.settings())))

    def settings(self) -> dict[str, Any]:
        """The config as plain values for OmegaConf to resolve; what came from the environment is named."""
        return {key: self._setting(key, value) for key, value in asdict(self.config).items()}

    def _setting(self, path: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._setting(f"{path}.{key}", inner) for key, inner in value.items()}
        return self.unresolved[path] if path in self.unresolved else _escaped(value)


def _escaped(value: Any) -> Any:
    """A value whose texts resolve to what they are."""
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return value.replace("${", r"\${") if isinstance(value, str) else value


def from_environment(composed: DictConfig) -> dict[str, Any]:
    """The leaves of a composed config that speak of the environment: path → their text, ${oc.env:NAME} in it."""
    settings = OmegaConf.create(OmegaConf.to_container(composed))  # without types: the name of a number is a text
    values: Any = OmegaConf.to_container(settings, resolve=True)
    with _environment(_reference):
        names: Any = OmegaConf.to_container(settings, resolve=True)
    leaves = flat(values)
    return {path: name for path, name in flat(names).items() if name != leaves[path]}


@contextmanager
def _environment(read: Callable[..., Any]) -> Iterator[None]:
    """Within it ${oc.env:NAME} resolves to what `read` makes of NAME, and of a default where it has one."""
    OmegaConf.register_new_resolver("oc.env", read, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def _reference(name: str, *default: Any) -> str:
    return f"${{oc.env:{','.join([name, *('null' if value is None else str(value) for value in default)])}}}"


def _value_or_reference(name: str, *default: Any) -> Any:
    return oc.env(name, *default) if name in os.environ or default else _reference(name)


def _number_or_reference(name: str, *default: Any, _node_: Node) -> Any:
    """Of a config that anybody may have written: a number tells nothing, a text could be a password of the reader's."""
    is_text = isinstance(_node_, StringNode | AnyNode)
    return _reference(name, *default) if is_text else _value_or_reference(name, *default)


class _NoAliases(get_yaml_loader()):  # type: ignore[misc]
    """Our files have none, and a few lines of them make a tree of any size."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(AliasEvent):
            raise YAMLError("holds an alias")
        return super().compose_node(parent, index)


def read_config(path: Path, trusted: bool = True) -> Config:
    """The config in `path`; where it is not `trusted` its texts stay as they stand.

    A variable that is not set here stays a name; UserError where a setting that is no text names one.
    """
    try:
        stored = yaml.load(path.read_text(encoding="utf-8"), Loader=_NoAliases)
        with _environment(_value_or_reference if trusted else _number_or_reference):
            return typed_config(_current(stored))
    except OmegaConfBaseException as error:
        why = INTERPOLATION.search(first_line(error))  # without what the variable holds
        about = f"{path}: {error.full_key}: {cut(why[0] if why else first_line(error))}"
        raise UserError(f"{about}; set the environment variable it names, or put the file back") from error
    except (YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: is no config of a cell ({cut(first_line(error))}); put the file back") from error


def typed_config(settings: Any) -> Config:
    """Settings, plain or OmegaConf's, over the schema's defaults; OmegaConfBaseException where they do not fit."""
    config: Any = OmegaConf.to_object(OmegaConf.merge(_schema(), settings))
    return config


@cache
def _schema() -> Any:
    return OmegaConf.structured(Config)


def _current(stored: dict[str, Any]) -> dict[str, Any]:
    """Without the settings that cells trained before 2026-11-27 have stored and that are no more."""
    for name in ("num_nodes", "strategy"):
        stored["trainer"].pop(name, None)
    private = stored["routing"]["private"]
    if private.get("width") is None:  # narrow blocks cannot be built any more: their config is refused
        private.pop("width", None)
    return stored


def from_variables(text: str) -> str:
    """A text with the values of the environment variables that it names, which are set."""
    return REFERENCE.sub(lambda match: os.environ[match[1]], text)


def name_moved(backbones: list[str]) -> None:
    """Let this process look for the frozen backbones of adapters in these folders first."""
    if backbones:
        os.environ[MOVED] = os.pathsep.join(backbones)


def unset_variables(text: str) -> list[str]:
    """The environment variables that a setting names and that are not set."""
    return [name for name in REFERENCE.findall(text) if name not in os.environ]


def database_file(uri: str) -> Path | None:
    """The file of a SQLite store, sqlite:///FILE or sqlite:///file:FILE, with settings or without; None of others."""
    match = SQLITE.match(uri)
    return Path(match[2]) if match else None


def anchored_uri(uri: str) -> str:
    """A URI whose file, where it names one, starts at the root."""
    return SQLITE.sub(lambda match: f"{match[1]}{Path(match[2]).absolute()}", uri)
