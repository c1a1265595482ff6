"""A config ↔ the text of config.yaml: passwords masked, and ${oc.env:NAME} as it was written.

tracking_uri: postgresql://ana:${oc.env:STORE_PASSWORD}@db/runs

What others must not read is masked in commands and addresses, too:
"postgresql://ana:hunter2@db/runs" → "postgresql://ana:***@db/runs"    ["api_key=abc"] → ["api_key=***"]
"""

import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from relevance.config import Config
from relevance.errors import UserError, first_line

ENVIRONMENT = re.compile(r"(?<!\\)\$\{oc\.env:([^{},]*)\}")  # without a default of its own
MASK = "***"
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
    unresolved: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return OmegaConf.to_yaml(OmegaConf.create(mask_settings(frozen_config(self.config, self.unresolved))))


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


def read_config(path: Path) -> Config:
    """The config in `path`. A variable that is not set here stays a name: most settings are of no use to a reader.

    Raises UserError where what names one is no text.
    """
    stored: Any = OmegaConf.to_container(OmegaConf.load(path))
    try:
        return typed_config(map_texts(_current(stored), _named))
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


def _named(text: str) -> str:
    """Every ${oc.env:NAME} that cannot be resolved here, escaped."""
    return ENVIRONMENT.sub(lambda found: found[0] if found[1] in os.environ else f"\\{found[0]}", text)


def map_texts(node: Any, change: Callable[[str], str]) -> Any:
    """Nested mappings and lists with every text in them changed; other values, and keys, stay."""
    if isinstance(node, dict):
        return {key: map_texts(value, change) for key, value in node.items()}
    if isinstance(node, list):
        return [map_texts(value, change) for value in node]
    return change(node) if isinstance(node, str) else node


def unset_variables(text: str) -> list[str]:
    """The environment variables that a setting names and that are not set."""
    return [name for name in ENVIRONMENT.findall(text) if name not in os.environ]


def anchored_uri(uri: str) -> str:
    """A URI whose file, where it names one, starts at the root."""
    file = uri.removeprefix("sqlite:///")
    return uri if file == uri else f"sqlite:///{Path(file).absolute()}"


def mask_settings(node: dict[str, Any]) -> dict[str, Any]:
    """A nested mapping with what its keys call secret masked, lists included, and no password in a URI."""
    return {
        key: MASK if SECRET_KEY.search(str(key)) and value is not None else _inside(value)
        for key, value in node.items()
    }


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return mask_settings(value)
    return [_inside(one) for one in value] if isinstance(value, list) else mask_uris(value)


def mask_uris(value: Any) -> Any:
    """A value without the passwords of the URIs in it."""
    return URI_QUERY.sub(_setting, URI_PASSWORD.sub(rf"\1:{MASK}@", value)) if isinstance(value, str) else value


def _setting(found: re.Match[str]) -> str:
    """One of a URI's query, masked as its key says."""
    return f"{found[1]}={MASK}" if SECRET_KEY.search(found[1]) else found[0]


def mask_words(command: list[str]) -> list[str]:
    """The words of a command line, each key=value masked as `mask_settings` would."""
    found = []
    for word in command:
        key, is_setting, value = word.partition("=")
        secret = is_setting and SECRET_KEY.search(key.lstrip("+~")) and not value.startswith("${oc.env:")
        found.append(f"{key}={MASK}" if secret else mask_uris(word))
    return found
