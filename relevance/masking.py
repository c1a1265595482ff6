"""What others must not read, taken out of every text that is said or kept, by its structure.

"postgresql://ana:PASSWORD@db/runs?sslpassword=x" → "postgresql://***@db/runs?sslpassword=***"
What names the environment stays: "postgresql://ana:${oc.env:PASSWORD}@db/runs".
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import combinations
from typing import Any, TextIO
from urllib.parse import unquote

MASK = "***"
NAMED = r"\$\{oc\.env:[^{},]*\}"  # without a default, which could be the secret itself
WHOLLY_NAMED = re.compile(NAMED)
STRONG = r"(?:password|passwd|passphrase|pwd|secret|token|credential|signature|odbc_connect)s?"  # ends of keys
WEAK = r"(?<![A-Za-z0-9])(?:pass|sig|auth|key)s?|(?:api|access|account|private|ssl|shared)_?keys?(?:_?id)?"
SECRET_KEY = re.compile(rf"(?:{STRONG}|{WEAK})$", re.I)
# A password may hold / and @, so that the user part ends at the last @; a path alone (sqlite:///a@b) has none.
URI_USER = re.compile(rf"(?<=://)(?!(?:(?:[^\s@:/]|{NAMED})*:)?{NAMED}@)(?!/)\S{{0,999}}@")
# Nor does one that was mistyped, ana:PASSWORD@db or postgresql:/ana:PASSWORD@db, show its password.
MISTYPED = re.compile(
    r"(?<![^\s='\"(\[,])((?:[a-z][\w+.-]*:/)?)(?!\S{0,999}\$\{oc\.env:)[^\s:@/=?]+:(?![\s/@])\S{0,999}@(?=[\w\[])", re.I
)
SEPARATORS = re.compile(r"([^\w.~-]+)")  # at which drivers take a URI apart
FEW = 3  # characters of a password that tell something
ODBC = re.compile(r"(odbc_connect=)(?:\{[^}\n]*\}|[^&\s'\"])+", re.I)
WORD = r"[^\s=&;?#'\"(\[{,]*"
VALUE = rf"(?!{NAMED})(?:'[^'\n]*'|\"[^\"\n]*\"|(?:\{{[^}}\n]*\}}|[^&;#\s'\"])+)"
PAIR = re.compile(rf"((?<=[?&;#]){WORD}(?:{STRONG}|{WEAK})|(?<![^\s'\"(\[{{,]){WORD}{STRONG})={VALUE}", re.I)
# {'password': 'PASSWORD'} and Authorization: Bearer TOKEN, as libraries print what they were called with
SPOKEN = (
    r"[\w-]*(?:password|passwd|passphrase|pwd|secret|credential)s?|(?:(?:api|access|auth|hf)[_-]?)?(?:token|api_?key)"
)
QUOTED = re.compile(rf"((['\"])(?:{SPOKEN})\2\s*:\s*)(['\"])(?!{NAMED}).{{0,999}}?\3", re.I)
BEARER = re.compile(r"(authorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic|token)\s+)[^\s'\"]+", re.I)
# A value that is a URI: its password may hold white space too.
SPACED = re.compile(rf"\A((?:[+\w.]+=)?['\"]?[a-z][\w+.-]*://)(?!/|{NAMED})[^\s@/:]*:(?!{NAMED}).*@(?=[\w\[])", re.I)
# A value of a query with a URI or settings of their own in it: options=-c%20password%3DPASSWORD
ENCODED = re.compile(r"(?<=[?&;])([^\s=&;?#'\"]+=)([^&;#\s'\"]*%[^&;#\s'\"]*)")
ENV_SET = re.compile(
    rf"(env_set[\w.-]*['\"]?[ ]*[:=][ ]*)(?!{NAMED})(\{{[^\n]*\}}|'[^'\n]*'|\"[^\"\n]*\"|[^\s{{][^\s]*)"
)
ENV_BLOCK = re.compile(r"^([ \t]*)(env_set:[ ]*\n)((?:\1[ \t]+\S.*(?:\n|$))+)", re.M)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # but for tab and line break


def mask_uris(value: Any) -> Any:
    """A text without the secrets in it: user parts of URIs, settings that sound like one, values under env_set."""
    if not isinstance(value, str) or not any(sign in value for sign in "=@:"):
        return value
    text = value
    if "@" in text:
        text = URI_USER.sub(f"{MASK}@", SPACED.sub(rf"\1{MASK}@", text))
        text = MISTYPED.sub(rf"\1{MASK}@", text)
    text = ENV_BLOCK.sub(rf"\1\2\1  {MASK}\n", text)
    text = ENV_SET.sub(rf"\1{MASK}", ODBC.sub(rf"\1{MASK}", text))
    text = BEARER.sub(rf"\1{MASK}", QUOTED.sub(rf"\1\3{MASK}\3", text))
    text = PAIR.sub(rf"\1={MASK}", text)
    return ENCODED.sub(_without_encoded, text) if "%" in text else text


def _without_encoded(match: re.Match[str]) -> str:
    value = match[2]
    while (inner := unquote(value)) != value:
        value = inner
    return match[0] if mask_uris(value) == value else f"{match[1]}{MASK}"


_pieces: set[str] = set()  # of passwords, in small letters, which drivers may take for a host, a port or a path


def know_password(uri: str) -> None:
    """From now on no message shows what a driver that takes a URI apart may quote of the password in it."""
    users = [user.removesuffix("@") for user in re.findall(r"(?<=://)(?!/).*@", uri)]
    passwords = [user.partition(":")[2] or user for user in users]
    for key, _, value in (setting.partition("=") for setting in re.split(r"[?&;\s]", uri)):
        if SECRET_KEY.search(key):
            passwords.append(value)
        elif (inner := unquote(value)) != value:
            know_password(inner)
    for password in passwords:
        for parts in (SEPARATORS.split(form.lower())[:99] for form in {password, unquote(password)}):
            pieces = ("".join(parts[start:end]) for start, end in combinations(range(len(parts) + 1), 2))
            _pieces.update(piece for piece in pieces if len(parts) > 1 and len(piece) >= FEW)


def mask_message(text: str) -> str:
    """A text that people read: without secrets, and without pieces of the passwords that are known."""
    pieces = "|".join(map(re.escape, sorted(_pieces, key=len, reverse=True)))
    return mask_uris(re.sub(rf"(?<!\w)(?:{pieces})(?!\w)", MASK, text, flags=re.I) if pieces else text)


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
        return self._stream.write(mask_message(text))

    def writelines(self, lines: Iterable[str]) -> None:
        self._stream.writelines(map(mask_message, lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def masked_streams() -> Iterator[None]:
    """Within it nothing that this process says, libraries and tracebacks included, shows a secret."""
    out, errors = MaskedStream(sys.stdout), MaskedStream(sys.stderr)
    with redirect_stdout(out), redirect_stderr(errors):
        yield
