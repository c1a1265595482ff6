"""Checkpoints of a half-trained cell: Lightning's whole state ↔ work/checkpoints/last-<step>.ckpt, the newest two.

last-40.ckpt comes with last-40.json, which seals it: {"step": 40, "steps": 100, "epoch": 1, "within": 20, "best": …}
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from relevance.atomic_io import atomic_file, write_text
from relevance.cli import echo
from relevance.errors import UserError

FOLDER = "checkpoints"
MARK = "half-trained"  # beside the folder: that a checkpoint was once in it
WEIGHTS = ".safetensors"  # the best weights of a validation, which a checkpoint names
KEPT = 2


@dataclass(frozen=True)
class Note:
    """What is known of a checkpoint without reading it."""

    fingerprint: str  # of the cell
    step: int  # steps done
    steps: int  # of the whole training
    epoch: int  # that training goes on in
    within: int  # steps done of that epoch
    best: str  # name of the file with the best weights so far; "" where none are kept
    digests: dict[str, str] = field(default_factory=dict)  # sha256 of the files: the checkpoint, the best weights


def write(path: Path, state: dict[str, Any], note: Note) -> None:
    """Keep `state` as `path`: there whole and sealed, or, whenever the process ends, not there at all."""
    folder = path.parent
    known = {name: digest for one in _notes(folder) for name, digest in one.digests.items()}
    with atomic_file(path) as part:
        _save(state, part)
        digests = {path.name: _digest(part)}
        if note.best:
            digests[note.best] = known.get(note.best) or _digest(folder / note.best)
        seal(path.with_suffix(".json"), replace(note, digests=digests))
    mark = folder.parent / MARK
    if not mark.exists():  # after the first checkpoint: a kill between the two leaves one that needs no mark
        write_text(mark, note.fingerprint)
    _prune(folder)


def read(path: Path) -> dict[str, Any]:
    """The state that `write` kept: tensors and plain values, never an object of another kind."""
    return torch.load(path, map_location="cpu", weights_only=True)


def seal(path: Path, note: Note) -> None:
    """Write a note with its own digest under it, so that no altered one is believed."""
    text = json.dumps(asdict(note)).encode()
    with atomic_file(path) as part:
        part.write_bytes(text + b"\n" + hashlib.sha256(text).hexdigest().encode())


def newest(work: Path, fingerprint: str) -> tuple[Path, Note] | None:
    """The newest whole checkpoint of a cell's work folder, None where none was ever written.

    Torn ones are passed over and said; UserError where none is whole, or it is of another cell.
    """
    torn: dict[Path, str] = {}
    for path in _newest_first(work / FOLDER):
        note = _note(path)
        if note and note.fingerprint != fingerprint:
            raise UserError(
                f"{path}: is a checkpoint of another cell, {note.fingerprint[:16]} and not {fingerprint[:16]}; "
                f"remove {work}, or give rerun=true, to train the cell from the start"
            )
        fault = _fault(path, note)
        if note and not fault:
            for one, why in torn.items():
                echo(f"  checkpoint {one.name} is torn ({why}); going on from {path.name}")
            return path, note
        torn[path] = fault
    if torn or (work / MARK).exists():
        found = ", ".join(f"{path.name}: {why}" for path, why in torn.items()) or "they are gone"
        raise UserError(
            f"{work / FOLDER}: the cell was half trained, but no checkpoint is whole ({found}); "
            f"remove {work}, or give rerun=true, to train the cell from the start"
        )
    return None


def forget_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps: those that were torn, where training goes on from an earlier one."""
    for path in _newest_first(folder):
        if _step(path) > step:
            _remove(path)


def needed(path: Path) -> bool:
    """Whether a kept checkpoint names this file as its best weights."""
    return path.name in {note.best for note in _notes(path.parent)}


def _save(state: dict[str, Any], part: Path) -> None:
    try:
        with part.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as error:  # torch's, of its archive, where a write failed
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _fault(path: Path, note: Note | None) -> str:
    """What is wrong with a checkpoint; "" where it is as it was written."""
    if note is None:
        return f"{path.with_suffix('.json').name}, which seals it, is not whole"
    for name, digest in note.digests.items():
        file = path.with_name(name)
        if not file.exists():
            return f"its best weights {name} are gone"
        if _digest(file) != digest:
            return f"{file.stat().st_size:,} bytes of {name} are not those that were written"
    return ""


def _note(path: Path) -> Note | None:
    try:
        text, digest = path.with_suffix(".json").read_bytes().split(b"\n")
        return Note(**json.loads(text)) if hashlib.sha256(text).hexdigest().encode() == digest else None
    except (OSError, ValueError, TypeError):  # TypeError: of another version of this file
        return None


def _notes(folder: Path) -> list[Note]:
    return [note for path in _newest_first(folder) if (note := _note(path))]


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("last-[0-9]*.ckpt"), key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("last-"))


def _prune(folder: Path) -> None:
    """Leave the newest checkpoints, their notes and their best weights."""
    for path in _newest_first(folder)[KEPT:]:
        _remove(path)
    for path in [*folder.glob(f"*{WEIGHTS}"), *folder.glob(".*.part")]:  # parts: of processes that were killed
        if not needed(path):
            path.unlink()


def _remove(path: Path) -> None:
    path.unlink()
    path.with_suffix(".json").unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
