"""What others must not read, taken out of every text that is said or kept, by its structure.

"postgresql://ana:PASSWORD@db/runs?sslpassword=x" → "postgresql://***@db/runs?sslpassword=***"
What names the environment stays: "postgresql://ana:${oc.env:PASSWORD}@db/runs".
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

MASK = "***"
NAMED = r"\$\{oc\.env:[^{},]*\}"  # without a default, which could be the secret itself
WHOLLY_NAMED = re.compile(NAMED)
STRONG = r"(?:password|passwd|passphrase|pwd|secret|token|credential|signature|odbc_connect)s?"  # ends of keys
WEAK = r"(?<![A-Za-z0-9])(?:pass|sig|auth|key)s?|(?:api|access|account|private|ssl|shared)_?keys?(?:_?id)?"
SECRET_KEY = re.compile(rf"(?:{STRONG}|{WEAK})$", re.I)
# A password may hold / and @, so that the user part ends at the last @; a path alone (sqlite:///a@b) has none.
URI_USER = re.compile(rf"(?<=://)(?!(?:(?:[^\s@:/]|{NAMED})*:)?{NAMED}@)(?!/)\S{{0,999}}@")
ODBC = re.compile(r"(odbc_connect=)(?:\{[^}\n]*\}|[^&\s'\"])+", re.I)
WORD, VALUE = r"[^\s=&;?#'\"(\[{,]*", rf"(?!{NAMED})(?:\{{[^}}\n]*\}}|[^&;#\s'\"])+"
PAIR = re.compile(rf"((?<=[?&;]){WORD}(?:{STRONG}|{WEAK})|(?<![^\s'\"(\[{{,]){WORD}{STRONG})={VALUE}", re.I)
ENV_SET = re.compile(
    rf"(env_set[\w.-]*['\"]?[ ]*[:=][ ]*)(?!{NAMED})(\{{[^\n]*\}}|'[^'\n]*'|\"[^\"\n]*\"|[^\s{{][^\s]*)"
)
ENV_BLOCK = re.compile(r"^([ \t]*)(env_set:[ ]*\n)((?:\1[ \t]+\S.*(?:\n|$))+)", re.M)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # but for tab and line break


def mask_uris(value: Any) -> Any:
    """A text without the secrets in it: user parts of URIs, settings that sound like one, values under env_set."""
    if not isinstance(value, str) or not ("=" in value or "://" in value or "env_set" in value):
        return value
    text = ENV_BLOCK.sub(rf"\1\2\1  {MASK}\n", URI_USER.sub(f"{MASK}@", value))
    text = ENV_SET.sub(rf"\1{MASK}", ODBC.sub(rf"\1{MASK}", text))
    return PAIR.sub(rf"\1={MASK}", text)


def mask_settings(node: dict[str, Any]) -> dict[str, Any]:
    """A nested mapping with what its keys call secret masked, lists included, and no secret in a text."""
    return {
        key: MASK if SECRET_KEY.search(str(key)) and value is not None else _inside(value, mask_settings)
        for key, value in node.items()
    }


def mask_texts(node: dict[str, Any]) -> dict[str, Any]:
    """A nested mapping with no secret in a text, whatever its keys are called."""
    return {key: _inside(value, mask_texts) for key, value in node.items()}


def _inside(value: Any, mapping: Any) -> Any:
    if isinstance(value, dict):
        return mapping(value)
    return [_inside(inner, mapping) for inner in value] if isinstance(value, list) else mask_uris(value)


def mask_words(command: Iterable[str]) -> list[str]:
    """The words of a command line, each key=value masked as `mask_settings` would."""
    words = []
    for word in command:
        key, is_setting, value = word.partition("=")
        secret = is_setting and ("env_set" in word or SECRET_KEY.search(key.lstrip("+~")))
        words.append(f"{key}={MASK}" if secret and not WHOLLY_NAMED.fullmatch(value) else mask_uris(word))
    return words


def printable(text: str) -> str:
    """A text of others as a terminal may show it: what would move its cursor, colour it or turn its order is a �."""
    return CONTROLS.sub("�", text)


class MaskedStream:
    """A text stream to which no secret is written; in all else it is the stream it stands for."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(mask_uris(text))

    def writelines(self, lines: Iterable[str]) -> None:
        self._stream.writelines(map(mask_uris, lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def masked_streams() -> Iterator[None]:
    """Within it nothing that this process says, libraries and tracebacks included, shows a secret."""
    out, errors = MaskedStream(sys.stdout), MaskedStream(sys.stderr)
    with redirect_stdout(out), redirect_stderr(errors):
        yield
