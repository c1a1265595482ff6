"""key=value words → a filled dataclass: the form every command but relevance.run takes.

["sweep=nightly", "data.rows=500", "cells=[a,b]"] → Options(sweep="nightly", data=..., cells=["a", "b"])
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from relevance.errors import Stopped, UserError, did_you_mean

Options = TypeVar("Options")
INTERRUPTED = 130  # exit code of a command that Ctrl-C ended, as shells have it


def parse(schema: type[Options], words: list[str], *files: Path) -> Options:
    """The options in `words` over those of YAML `files` over the defaults of `schema`.

    Raises UserError for an unknown key or a wrong type.
    """
    for word in words:
        if "=" not in word:
            raise UserError(f"argument {word!r}: expected key=value; --help lists the keys")
    base = OmegaConf.structured(schema)
    try:
        merged = OmegaConf.merge(base, *map(OmegaConf.load, files), OmegaConf.from_dotlist(words))
        options: Any = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise UserError(_explain(error, base)) from error
    except YAMLError as error:
        raise UserError(f"arguments {words}: {' '.join(str(error).split())}; close brackets and quotes") from error
    return options


def command_line(
    usage: str | None, schema: type[Options], required: Sequence[str] = ()
) -> Callable[[Callable[[Options], None]], Callable[[], None]]:
    """Make of a function of options a command of this process's words: --help prints `usage` and the keys.

    Raises UserError where one of the keys `required` has no value.
    """

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


def among(key: str, asked: list[str], known: Iterable[str]) -> None:
    """UserError where the list `asked` for is empty or names what is not known."""
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        raise UserError(f"{key}={unknown or asked}: available: {', '.join(known)}")


def listed(key: str, value: object) -> list[str]:
    """Null, one name or a list of names, as a list; UserError for names that are empty or repeated."""
    if value is None:
        return []
    names = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    nested = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, list | dict) for one in value))
    if nested or not names or not all(names) or len(set(names)) < len(names):
        raise UserError(f"{key}={value}: give a name, or a list of different names, {key}=[A,B]")
    return names


def echo(*lines: str) -> None:
    """Tell the person at the terminal: on stderr, later lines indented under the first. Nobody there stops no work."""
    try:
        print(*lines, sep="\n  ", file=sys.stderr, flush=True)
    except OSError:  # a closed pipe, a terminal that is gone, a log on a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # or Python complains again as it ends


def duration_text(seconds: float) -> str:
    """90 → "2 min", 7000 → "1.9 h"."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def run_command(run: Callable[[], None]) -> None:
    """Run a command. A UserError is one message on stderr and exit code 2, Ctrl-C code 130; a closed pipe is quiet."""
    try:
        run()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again as it ends
    except (KeyboardInterrupt, Stopped):
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        if not error.filename:
            raise
        print(f"error: {error.filename}: {error.strerror}; give another file or folder", file=sys.stderr)
        raise SystemExit(2) from None


def help_text(usage: str, schema: type) -> str:
    """The text of --help: usage, then each key with its default."""
    lines = [f"  {key}={'null' if value is None else value}" for key, value in _leaves(OmegaConf.structured(schema))]
    return "\n".join([usage, "", "keys and their defaults:", *lines])


def _leaves(node: DictConfig, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key in map(str, node):
        value = node[key]
        if isinstance(value, DictConfig) and len(value):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _explain(error: OmegaConfBaseException, base: DictConfig) -> str:
    known = [key for key, _ in _leaves(base)]
    hint = did_you_mean(str(error.full_key), known)
    return f"{error.full_key}: {str(error.msg).splitlines()[0]}; {hint}available: {', '.join(known)}"
