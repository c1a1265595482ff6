"""What we leave on disk and how it is opened again: only as it was written, and only in the place it was written for.

{"of": "3f55…", "files": {"rows.parquet": {"size": 181331, "sha256": "9c41…"}}} in rows.parquet.seal

`of` says whose it is (the digest of the data, the fingerprint of the cell): the whole and sealed file of another is not
taken for it. Of a large file .NAME.seen notes in which state (inode, times) its digest was right.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from relevance.atomic_io import write_text
from relevance.errors import UserError

INSIDE = "seal.json"  # of a folder
SEEN = ".seen"
SMALL = 1 << 20  # bytes of which a digest takes less than a millisecond


def place(path: Path) -> Path:
    """Where the seal of a file or folder lies."""
    return path / INSIDE if path.is_dir() else path.with_name(f"{path.name}.seal")


def write(path: Path, of: str, files: Iterable[Path] | None = None) -> None:
    """Seal for `of` a file, or a folder: all files below it, or those of `files` in it that are there."""
    chosen = files if files is not None else path.rglob("*") if path.is_dir() else [path]
    root = path if path.is_dir() else path.parent
    entries = {
        file.relative_to(root).as_posix(): _entry(file)
        for file in sorted(chosen)
        if file.is_file() and file.name != INSIDE and file.suffix != SEEN
    }
    write_text(place(path), json.dumps({"of": of, "files": entries}, indent=1) + "\n")


def fault(path: Path, of: str | None = None, files: Iterable[Path] | None = None) -> str:
    """What is wrong with a file or folder, "" where it is as it was sealed; `of` null: whoever's it is.

    What was left before there were seals is sealed as it stands, in silence where that cannot be written.
    """
    if not path.exists():
        return f"{path}: is gone"
    try:
        whose, entries = _read(place(path))
    except FileNotFoundError:
        with suppress(UserError):
            write(path, of or "", files)
        return ""
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return f"{place(path)}: is no whole seal"
    if of is not None and whose != of:
        return f"{path}: was left by {whose[:16]}, and is not of {of[:16]}"
    if path.is_file() and path.name not in entries:
        return f"{path}: its seal is that of {', '.join(entries)[:80]}"
    root = path if path.is_dir() else path.parent
    return next((why for name, entry in entries.items() if (why := _difference(root / name, *entry))), "")


def check(path: Path, of: str | None, remedy: str, files: Iterable[Path] | None = None) -> Path:
    """The path of a file or folder in which `fault` sees nothing wrong; else a UserError with it and the remedy."""
    if why := fault(path, of, files):
        raise UserError(f"{why}; {remedy}")
    return path


def digest(path: Path) -> str:
    """sha256, in hex, of the bytes of a file; read once a process as long as the file stays what it is."""
    return _digest(path, _state(path))


def _state(path: Path) -> tuple[int, ...]:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@lru_cache(maxsize=4096)
def _digest(path: Path, state: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(file: Path) -> dict[str, Any]:
    size, sha256 = file.stat().st_size, digest(file)
    if size > SMALL:
        _note(file, sha256)
    return {"size": size, "sha256": sha256}


def _note(file: Path, sha256: str) -> None:
    """Remember in which state a file had this digest; in silence where that cannot be written."""
    with suppress(UserError):
        write_text(_seen(file), f"{sha256} {_state(file)}")


def _seen(file: Path) -> Path:
    return file.with_name(f".{file.name}{SEEN}")


def _read(place: Path) -> tuple[str, dict[str, tuple[int, str]]]:
    """Whose it is, and of each file size and digest; raises one of many errors for what is no seal."""
    content = json.loads(place.read_bytes())
    entries = {name: (int(entry["size"]), str(entry["sha256"])) for name, entry in content["files"].items()}
    return str(content["of"]), entries


def _difference(file: Path, size: int, sha256: str) -> str:
    """How a file differs from what was sealed, "" where it does not; its size is asked first, which costs nothing."""
    try:
        present = file.stat().st_size
        if present != size:
            return f"{file}: has {present:,} of the {size:,} bytes that were written"
        return "" if _is(file, sha256, size) else f"{file}: its bytes are not those that were written"
    except FileNotFoundError:
        return f"{file}: is gone"
    except OSError as error:  # a disk that cannot read it any more, too
        return f"{file}: {error.strerror}"


def _is(file: Path, sha256: str, size: int) -> bool:
    """Whether a file has this digest, as it was computed now or when the file was last in the state it is in."""
    if size <= SMALL:
        return digest(file) == sha256
    seen = _seen(file)
    if seen.is_file() and seen.read_text(errors="replace") == f"{sha256} {_state(file)}":
        return True
    if digest(file) != sha256:
        return False
    _note(file, sha256)
    return True
