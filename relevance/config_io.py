"""A config ↔ the text of config.yaml: passwords masked, what came from the environment as ${oc.env:NAME}.

tracking_uri: postgresql://ana:${oc.env:STORE_PASSWORD}@db/runs

What others must not read is masked in commands and addresses, too:
"postgresql://ana:hunter2@db/runs" → "postgresql://ana:***@db/runs"    ["api_key=abc"] → ["api_key=***"]
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from relevance.cell_id import flat
from relevance.config import Config
from relevance.errors import UserError, first_line

REFERENCE = re.compile(r"\$\{oc\.env:([^{},]*)\}")
MASK = "***"
SQLITE = re.compile(r"^(sqlite(?:\+\w+)?:///(?:file:)?)([^?]+)")
SECRET_KEY = re.compile(
    r"(^|[._-])(tokens?|secrets?|passwords?|passwd|passphrases?|credentials?|(api|access|private)?_?keys?)$", re.I
)
# Of a URI, where they are not left to the environment: user:password@ and ?password=...&
URI_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):(?!\$\{oc\.env:[^{}]*\}@)([^/\s]*)@")
URI_QUERY = re.compile(r"(?<=[?&;])([^=&;#\s]+)=(?!\$\{oc\.env:[^{}]*\})([^&;#\s'\"]+)")


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


def read_config(path: Path) -> Config:
    """The config in `path`. A variable that is not set here stays a name; UserError where its setting is no text."""
    stored: Any = OmegaConf.to_container(OmegaConf.load(path))
    try:
        with _environment(_value_or_reference):
            return typed_config(_current(stored))
    except OmegaConfBaseException as error:
        raise UserError(
            f"{path}: {error.full_key}: {first_line(error)}; set the environment variable it names"
        ) from error


def typed_config(settings: Any) -> Config:
    """Settings, plain or OmegaConf's, over the schema's defaults; OmegaConfBaseException where they do not fit."""
    config: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), settings))
    return config


def _current(stored: dict[str, Any]) -> dict[str, Any]:
    """Without the settings that cells trained before 2026-11-27 have stored and that are no more."""
    for name in ("num_nodes", "strategy"):
        stored["trainer"].pop(name, None)
    private = stored["routing"]["private"]
    if private.get("width") is None:  # narrow blocks cannot be built any more: their config is refused
        private.pop("width", None)
    return stored


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


def mask_settings(node: dict[str, Any]) -> dict[str, Any]:
    """A nested mapping with what its keys call secret masked, lists included, and no password in a URI."""
    return {
        key: MASK if SECRET_KEY.search(str(key)) and value is not None else _inside(value)
        for key, value in node.items()
    }


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return mask_settings(value)
    return [_inside(inner) for inner in value] if isinstance(value, list) else mask_uris(value)


def mask_uris(value: Any) -> Any:
    """A value without the passwords of the URIs in it."""
    return URI_QUERY.sub(_setting, URI_PASSWORD.sub(rf"\1:{MASK}@", value)) if isinstance(value, str) else value


def _setting(match: re.Match[str]) -> str:
    """A setting of a URI's query, masked as its key says."""
    return f"{match[1]}={MASK}" if SECRET_KEY.search(match[1]) else match[0]


def mask_words(command: list[str]) -> list[str]:
    """The words of a command line, each key=value masked as `mask_settings` would."""
    words = []
    for word in command:
        key, is_setting, value = word.partition("=")
        secret = is_setting and SECRET_KEY.search(key.lstrip("+~")) and not value.startswith("${oc.env:")
        words.append(f"{key}={MASK}" if secret else mask_uris(word))
    return words
