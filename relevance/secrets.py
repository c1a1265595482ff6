"""What must not be read by others: settings and commands → the same without passwords, tokens and keys.

"postgresql://ana:hunter2@db/runs" → "postgresql://ana:***@db/runs"    ["api_key=abc"] → ["api_key=***"]
"""

import re
from typing import Any

MASK = "***"
KEY = re.compile(
    r"(^|[._-])(tokens?|secrets?|passwords?|passwd|passphrases?|credentials?|(api|access|private)?_?keys?)$", re.I
)
USER = re.compile(r"(?<=://)([^/@\s:]*):(?!\$\{oc\.env:[^{}]*\}@)([^/\s]*)@")  # of a URI: user:password@, if it is told
QUERY = re.compile(r"(?<=[?&;])([^=&;#\s]+)=(?!\$\{oc\.env:[^{}]*\})([^&;#\s'\"]+)")  # and ?password=...&


def shown(value: Any) -> Any:
    """A value without the passwords of the URIs in it."""
    return QUERY.sub(_setting, USER.sub(rf"\1:{MASK}@", value)) if isinstance(value, str) else value


def masked(node: dict[str, Any]) -> dict[str, Any]:
    """A nested mapping with what its keys call secret masked, lists included, and no password in a URI."""
    return {key: MASK if KEY.search(str(key)) and value is not None else _inside(value) for key, value in node.items()}


def words(command: list[str]) -> list[str]:
    """The words of a command line, each key=value masked as `masked` would."""
    found = []
    for word in command:
        key, is_setting, value = word.partition("=")
        secret = is_setting and KEY.search(key.lstrip("+~")) and not value.startswith("${oc.env:")
        found.append(f"{key}={MASK}" if secret else shown(word))
    return found


def _setting(found: re.Match[str]) -> str:
    """One of a URI's query, masked as its key says."""
    return f"{found[1]}={MASK}" if KEY.search(found[1]) else found[0]


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return masked(value)
    return [_inside(one) for one in value] if isinstance(value, list) else shown(value)
