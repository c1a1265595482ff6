"""A file a user names → the tables it holds: itself, or those of a .zip.

"1.json.zip" with 1.json and __MACOSX/._1.json in it → ("1.json.zip/1.json", a place where that file lies unpacked)
"""

import zipfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from relevance.errors import UserError

ZIP = ".zip"


def members(path: Path, kinds: Collection[str]) -> Iterator[tuple[str, Path]]:
    """What a person calls each table of `path`, and where it lies while the caller holds it.

    Folders of an archive are looked into, hidden files are not. Raises UserError for an archive that cannot be
    unpacked and for one that holds no file of `kinds`.
    """
    if path.suffix.lower() != ZIP:
        yield str(path), path
        return
    with _opened(path) as archive, TemporaryDirectory() as folder:
        for name in _tables(path, archive, kinds):
            with _unpacking(path):
                place = Path(archive.extract(name, folder))
            yield f"{path}/{name}", place
            place.unlink()


def _tables(path: Path, archive: zipfile.ZipFile, kinds: Collection[str]) -> list[str]:
    names = [name for name in archive.namelist() if Path(name).suffix.lower() in kinds and not _hidden(name)]
    if not names:
        raise UserError(f"{path}: holds no {', '.join(kinds)}; give the archive's files themselves")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"{path}: holds {', '.join(twice)} twice; unpack it and give the files that count")
    return names


def _hidden(name: str) -> bool:
    parts = Path(name).parts
    return name.endswith("/") or "__MACOSX" in parts or any(part.startswith(".") and part != ".." for part in parts)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with _unpacking(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield archive


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """What goes wrong with an archive, as a UserError: zlib's error is of no kind of zipfile's."""
    try:
        yield
    except OSError as cause:
        raise UserError(
            f"{path}: cannot be unpacked: {cause.strerror or cause}; free space in the folder for temporary files, "
            "or unpack it and give its files"
        ) from cause
    except RuntimeError as cause:  # a password; NotImplementedError, a way of packing that Python does not know
        raise UserError(f"{path}: cannot be unpacked: {cause}; unpack it and give its files") from cause
    except (zipfile.BadZipFile, EOFError, ValueError, *_packers()) as cause:
        raise UserError(f"{path}: cannot be read as .zip: {cause}; fetch it anew") from cause


def _packers() -> tuple[type[Exception], ...]:
    import lzma
    import zlib

    return zlib.error, lzma.LZMAError
