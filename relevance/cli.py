"""key=value words → a filled dataclass: the form every command but relevance.run takes.

["sweep=nightly", "data.rows=500", "cells=[a,b]"] → Options(sweep="nightly", data=..., cells=["a", "b"])
"""

import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import OmegaConfBaseException
from yaml import MappingNode, Node, ScalarNode, SequenceNode, YAMLError

from relevance.config import allowed
from relevance.errors import Stopped, UserError, did_you_mean, interruptible
from relevance.masking import mask_words, masked_streams, printable
from relevance.tasks import LABELS

Options = TypeVar("Options")
MEANING, WIDTH, LONGEST = 42, 120, 80  # of --help: where meanings start, where lines end, characters of a value
TEXT_TAG, BOOL_TAG, NULL_TAG = (f"tag:yaml.org,2002:{name}" for name in ("str", "bool", "null"))
AS_WRITTEN = {"columns", "where", "header"}  # settings whose values are words of a file
NAMES = {"cell", "cells", "sweep", "compare", "name"}  # a run id may begin with 0123 or 1e10, which are no numbers
BRACKETS = (
    "close brackets and quotes, and in a list quote a name that has brackets: \"cells=['ce-mh[lr=1]-joint-s0',B]\""
)
INTERRUPTED = 130  # exit code of a command that Ctrl-C ended, as shells have it


class RepeatedKeyError(UserError):
    """A mapping in a word or a file of settings has a key twice."""


def parse(schema: type[Options], words: list[str], *files: Path) -> Options:
    """The options in `words` over those of YAML `files` over defaults; UserError for an unknown key or a wrong type."""
    for word in words:
        if "=" not in word:
            raise UserError(f"argument {word!r}: expected key=value; --help lists the keys")
    base = OmegaConf.structured(schema)
    try:
        chosen = OmegaConf.create()
        for word in words:
            key, _, text = word.partition("=")
            OmegaConf.update(chosen, key, _value(text, key, word))
        options: Any = OmegaConf.to_object(OmegaConf.merge(base, *map(read_settings, files), chosen))
    except OmegaConfBaseException as error:
        known = list(key_help(schema, base))
        hint = did_you_mean(str(error.full_key), known)
        why = f"{error.full_key}: {str(error.msg).splitlines()[0]}"
        raise UserError(f"{why}; {hint}available: {', '.join(known)}") from error
    except YAMLError as error:
        why = " ".join(str(error).split())
        raise UserError(f"arguments {mask_words(words)}: {why}; {BRACKETS}") from error
    return options


def read_settings(path: Path) -> Any:
    """What a YAML file holds, its keys as they are written; raises YAMLError and UnicodeDecodeError."""
    return _value(path.read_text("utf-8"), "", str(path)) or {}


def _value(text: str, key: str, place: str) -> Any:
    """The YAML `text` of a key: keys, and the values of columns and where, are the words that a file holds.

    YAML 1.1 would make true of yes, 8 of 010 and 1000 of 1_000. Raises UserError for a key given twice in `place`.
    """
    loader = get_yaml_loader()(text)
    try:
        node = loader.get_single_node()
        _keep_words(node, tuple(key.split(".")), place)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _keep_words(node: Node | None, path: tuple[str, ...], place: str) -> None:
    if isinstance(node, MappingNode):
        keys = [key.value for key, _ in node.value]
        if twice := [name for at, name in enumerate(keys) if name in keys[:at]]:
            raise RepeatedKeyError(f"{place}: {twice[0]} is given twice; give each key one value")
        for name, value in node.value:
            name.tag = TEXT_TAG
            _keep_words(value, (*path, name.value), place)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            _keep_words(value, (*path, ""), place)
    elif isinstance(node, ScalarNode):
        odd = node.tag == BOOL_TAG and node.value.lower() not in ("true", "false")
        words = odd or AS_WRITTEN & {*path[:-1]} or path[0] in NAMES
        unnamed = node.tag == NULL_TAG and "where" not in path
        node.tag = TEXT_TAG if words and not unnamed else node.tag


def command_line(
    usage: str | None, schema: type[Options], required: Sequence[str] = ()
) -> Callable[[Callable[[Options], None]], Callable[[], None]]:
    """Make of a function of options a command of this process's words: --help prints `usage` and the keys."""

    def decorate(run: Callable[[Options], None]) -> Callable[[], None]:
        def command() -> None:
            words = sys.argv[1:]
            if {"-h", "--help"} & set(words):
                print(help_text((usage or "").strip(), schema))
                return
            options = parse(schema, words)
            absent = [key for key in required if getattr(options, key) in (None, "", [])]
            if absent:
                keys = " ".join(f"{key}=…" for key in absent)
                raise UserError(f"{' and '.join(absent)} missing; give {keys} (--help)")
            run(options)

        return command

    return decorate


def aligned(rows: list[tuple[str, ...]], left: int) -> str:
    """A table in plain text, its first `left` columns aligned to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            f"{cell:<{w}}" if at < left else f"{cell:>{w}}"
            for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def counts_text(counts: Iterable[tuple[str, str, Sequence[int]]]) -> str:
    """A table of tasks, splits and their rows by label."""
    lines = [(task, split, f"{sum(labels):,}", *(f"{n:,}" for n in labels)) for task, split, labels in counts]
    return aligned([("task", "split", "rows", *LABELS), *lines], 2)


def among(key: str, names: list[str], known: Iterable[str]) -> None:
    """UserError where the list `names` is empty or holds one that is not known."""
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UserError(f"{key}={unknown or names}: available: {', '.join(known)}")


def listed(key: str, value: object) -> list[str]:
    """Null, a name or a list of names, as a list; UserError for names that are empty or repeated."""
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    names = list(map(str, values))
    nested = any(isinstance(name, list | dict) for name in values)
    if nested or not names or not all(names) or len(set(names)) < len(names):
        raise UserError(f"{key}={value}: give a name, or a list of different names, {key}=[A,B]")
    return names


def echo(*lines: str) -> None:
    """Print to stderr, later lines indented under the first. A terminal that is gone stops no work."""
    try:
        print(*map(printable, lines), sep="\n  ", file=sys.stderr, flush=True)
    except OSError:  # a closed pipe, a terminal that is gone, a log on a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # or Python complains again as it ends


def duration_text(seconds: float) -> str:
    """90 → "2 min", 7000 → "1.9 h"."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def run_command(run: Callable[[], None]) -> None:
    """Run a command: a UserError is a message and exit code 2, Ctrl-C code 130; no traceback shows a secret."""
    interruptible()
    with masked_streams():
        try:
            run()
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again as it ends
        except (KeyboardInterrupt, Stopped):
            echo("interrupted")
            raise SystemExit(INTERRUPTED) from None
        except UserError as error:
            echo(f"error: {error}")
            raise SystemExit(2) from None
        except Exception as error:
            if not isinstance(error, OSError) or not error.filename:
                sys.excepthook = _traceback
                raise
            echo(f"error: {error.filename}: {error.strerror}; give another file or folder")
            raise SystemExit(2) from None


def _traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    with masked_streams():
        traceback.print_exception(kind, error, trace)


def help_text(usage: str, schema: type) -> str:
    """The text of --help: usage, then each key with its default and its meaning."""
    return "\n".join([usage, "", "keys and their defaults:", *key_help(schema, OmegaConf.structured(schema)).values()])


def key_help(schema: type, options: DictConfig) -> dict[str, str]:
    """What --help prints of each key of the `options` of a schema: key=value, and what its `setting` says of it."""
    values: Any = OmegaConf.to_container(options)
    leaves = _leaves(schema, values)
    return {key: _key_lines(f"{key}={_text(value)}", _meaning(field, value)) for key, value, field in leaves}


def _leaves(schema: type, values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Field]]:
    """Key, value and field of every setting, those of nested options under dotted keys."""
    for field in fields(schema):
        if isinstance(field.type, type) and is_dataclass(field.type):
            yield from _leaves(field.type, values[field.name], f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", values[field.name], field


def _text(value: Any) -> str:
    """A value as one would type it; a long one is cut."""
    if isinstance(value, dict):
        return textwrap.shorten(f"{{{', '.join(f'{key}: {_text(inner)}' for key, inner in value.items())}}}", LONGEST)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _meaning(field: Field, value: Any) -> str:
    if not (meta := field.metadata):
        return ""
    choices = f" ({' | '.join(type(value))})" if isinstance(value, Enum) else ""
    null = f"null: {meta['null']}" if meta["null"] else ""
    return "; ".join(part for part in (meta["help"] + choices, null, allowed(meta)) if part)


def _key_lines(setting: str, meaning: str) -> str:
    """The setting, and its meaning in a column to its right, or under it where the setting reaches into that."""
    if not meaning:
        return f"  {setting}"
    column = " " * MEANING
    lines = textwrap.wrap(meaning, WIDTH, initial_indent=column, subsequent_indent=column, break_on_hyphens=False)
    start = f"  {setting}".ljust(MEANING - 1)
    lines[:1] = [f"{start} {lines[0].lstrip()}"] if len(start) < MEANING else [start, lines[0]]
    return "\n".join(lines)
