"""A file or folder written whole or not at all: beside its place, flushed to disk, renamed over an earlier one.

with atomic_file(Path("a.parquet")) as part: write(part)  →  .a.parquet.box-817-0.part, and at the end a.parquet

A full disk, a quota or a read-only folder becomes a UserError that names the place, never the part.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from itertools import count
from pathlib import Path

import psutil

from relevance.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
SHUT = {errno.EROFS, errno.EACCES, errno.EPERM}
RUST = re.compile(r"\(os error (\d+)\)")  # safetensors and tokenizers raise no OSError: the number is in the text alone
HOST = os.uname().nodename[:32]
NUMBER = count()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A path to write, which takes the place of `path` at the end; after an error the file there is as it was.

    Makes the folders above. Raises UserError where the system lets nothing be written there.
    """
    with _beside(path) as part:
        yield part
        _flush(part)
        part.replace(path)
        _flush(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """As `atomic_file`, of an empty folder; one that stood there is out of its place for an instant, never half.

    Whoever may read the folder may read its files: safetensors lets nobody but their writer.
    """
    with scratch_folder(path) as part:
        yield part
        mode = part.stat().st_mode & 0o666
        for inner in (*part.rglob("*"), part):
            if inner.is_file() and not inner.is_symlink():
                inner.chmod(mode)
            _flush(inner)
        _take(part, path)
        _flush(path.parent)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; those that killed processes left are removed."""
    with _beside(path) as part:
        part.mkdir()
        yield part


def sibling(path: Path, name: str) -> Path:
    """Where what belongs to a file lies: pairs.parquet, "audit" → pairs.audit beside it."""
    return path.with_name(f"{path.stem}.{name}")


def write_text(path: Path, text: str) -> None:
    """Write a text, its lines ending as they do on every system."""
    with atomic_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def with_filename(part: Path) -> Iterator[None]:
    """An error of the system that names no file names `part`: for code that writes several at once."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(part)) from error


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    part = path.with_name(f"{_stem(path)}-{os.getpid()}-{next(NUMBER)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
        yield part
    except Exception as error:
        if reason := _reason(error, part):
            state = "what stood there is whole" if os.path.lexists(path) else "nothing was written"
            remedy = "let it be written to" if _code(error) in SHUT else "free space there"
            raise UserError(f"{path}: {reason}; {state}; {remedy}, or choose another place") from error
        raise
    finally:
        _remove(part)


def _stem(path: Path) -> str:
    """Hidden, and short enough for a file system however long the name is."""
    return f".{path.name[:40]}.{HOST}"


def _clear(path: Path) -> None:
    """Remove the parts of processes of this host that were killed."""
    for left in path.parent.glob(f"{escape(_stem(path))}-*-*.part"):
        pid = left.name.split("-")[-2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            _remove(left)


def _flush(path: Path) -> None:
    """To the disk, with what the system holds back."""
    if path.is_symlink():
        return
    with with_filename(path):
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        except OSError as error:
            if not path.is_dir() or error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some know no flushed folder
                raise
        finally:
            os.close(opened)


def _take(part: Path, path: Path) -> None:
    if not path.is_dir():
        part.rename(path)
        return
    old = part.with_suffix(".old")  # no `part`: should we be killed here, nobody clears it away
    path.rename(old)
    part.rename(path)
    shutil.rmtree(old)


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    with suppress(OSError):  # a file system that turned read-only under us
        part.unlink(missing_ok=True)


def _reason(error: Exception, part: Path) -> str:
    """Why the system did not let us write `part`, "" where the error speaks of something else."""
    code = _code(error)
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes | os.PathLike):
        there = Path(os.fsdecode(error.filename))
        ours = there in (part, *part.parents) or part in there.parents
    elif isinstance(error, OSError):  # pyarrow's, whose text may hold the path; one that reads can be shut out too
        ours = code in FULL | {errno.EROFS} or str(part) in str(error)
    else:
        ours = code in FULL | SHUT
    return os.strerror(code) if ours and code else ""


def _code(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    number = RUST.search(str(error))
    return int(number[1]) if number else None
