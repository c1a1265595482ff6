"""Files of checkpoints: torn, altered, gone, of another cell, half written."""

import hashlib
import json
import os
import pickle
import resource

import pytest
import torch

from relevance.errors import UserError
from relevance.train import checkpoint
from relevance.train.checkpoint import Files, Note, newest, write

CELL = "a1" * 32


@pytest.fixture
def work(tmp_path):
    return tmp_path / "cell.part"


def keep(work, step: int, best: str = "", fingerprint: str = CELL) -> None:
    folder = work / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    if best:
        (folder / best).write_bytes(best.encode())
    write(folder / f"last-{step}.ckpt", {"weights": torch.arange(2000) * step}, Note(fingerprint, step, 90, 1, 3, best))


def found(work) -> int | None:
    kept = newest(work, CELL)
    return kept and kept[1].step


def names(work) -> list[str]:
    return sorted(path.name for path in (work / "checkpoints").iterdir())


def flip(path, place: int) -> None:
    told = bytearray(path.read_bytes())
    told[place] ^= 1
    path.write_bytes(told)


def test_the_newest_two_are_kept_with_what_they_name(work):
    for step, best in ((9, "one"), (100, "two"), (110, "two")):
        keep(work, step, best + ".safetensors")
    assert names(work) == ["last-100.ckpt", "last-100.json", "last-110.ckpt", "last-110.json", "two.safetensors"]
    path, note = newest(work, CELL)
    assert (path.name, note.step, note.steps, note.epoch, note.within) == ("last-110.ckpt", 110, 90, 1, 3)
    assert checkpoint.read(path)["weights"].equal(torch.arange(2000) * 110)


def test_best_weights_stay_while_a_checkpoint_names_them(work):
    """Lightning removes the second best at once; a kill before the next checkpoint would leave none to go back to."""
    keep(work, 10, "one.safetensors")
    Files().remove_checkpoint(work / "checkpoints" / "one.safetensors")
    assert found(work) == 10
    keep(work, 20, "two.safetensors")
    keep(work, 30, "two.safetensors")
    assert not (work / "checkpoints" / "one.safetensors").exists()


TEARS = {
    "cut short": lambda folder: (folder / "last-20.ckpt").write_bytes((folder / "last-20.ckpt").read_bytes()[:500]),
    "empty": lambda folder: (folder / "last-20.ckpt").write_bytes(b""),
    "one bit": lambda folder: flip(folder / "last-20.ckpt", 3000),
    "one bit of the seal": lambda folder: flip(folder / "last-20.json", 90),
    "no seal": lambda folder: (folder / "last-20.json").unlink(),
    "an empty seal": lambda folder: (folder / "last-20.json").write_bytes(b""),
    "best gone": lambda folder: (folder / "two.safetensors").unlink(),
    "best altered": lambda folder: flip(folder / "two.safetensors", 0),
}


@pytest.mark.parametrize("tear", TEARS.values(), ids=TEARS)
def test_a_torn_checkpoint_is_passed_over_and_said(work, tear, capsys):
    keep(work, 10, "one.safetensors")
    keep(work, 20, "two.safetensors")
    tear(work / "checkpoints")
    assert found(work) == 10
    assert "checkpoint last-20.ckpt is torn (" in capsys.readouterr().err
    checkpoint.forget_after(work / "checkpoints", 10)
    assert found(work) == 10
    assert not capsys.readouterr().err
    keep(work, 20, "two.safetensors")
    assert found(work) == 20


@pytest.mark.parametrize("tear", TEARS.values(), ids=TEARS)
def test_no_whole_checkpoint_is_an_error_and_removes_nothing(work, tear):
    keep(work, 20, "two.safetensors")
    tear(work / "checkpoints")
    left = names(work)
    with pytest.raises(UserError, match=r"half trained, but no checkpoint is whole \(last-20.ckpt: .*give rerun=true"):
        newest(work, CELL)
    assert names(work) == left


def test_checkpoints_that_were_expected_and_are_gone_are_an_error(work):
    assert newest(work, CELL) is None
    keep(work, 10)
    (work / "checkpoints" / "last-10.ckpt").unlink()
    with pytest.raises(UserError, match="they are gone"):
        newest(work, CELL)


def test_a_checkpoint_of_another_cell_is_an_error(work):
    keep(work, 10, fingerprint="b2" * 32)
    with pytest.raises(UserError, match="is a checkpoint of another cell, b2b2b2b2b2b2b2b2 and not a1a1a1a1a1a1a1a1"):
        newest(work, CELL)


@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_a_kill_at_any_moment_of_writing_leaves_the_one_before(work, monkeypatch, before):
    """Before the seal, the checkpoint or the mark has its name."""

    class Killed(BaseException):
        pass

    replace, calls = os.replace, []

    def killed(source, target):
        calls.append(target)
        if len(calls) > before:
            raise Killed
        replace(source, target)

    for step in (10, 20):
        monkeypatch.setattr(os, "replace", killed)
        calls.clear()
        try:
            keep(work, step)
        except Killed:
            monkeypatch.setattr(os, "replace", replace)
            written = before >= 2  # a seal and a checkpoint
            assert found(work) == (step if written else None if step == 10 else 10)
            keep(work, step)
        assert found(work) == step
    assert names(work) == ["last-10.ckpt", "last-10.json", "last-20.ckpt", "last-20.json"]


def test_a_full_disk_leaves_the_one_before_and_no_part_of_another(work):
    keep(work, 10)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))  # a file of its size cannot be written
    try:
        with pytest.raises(UserError, match=r"last-20\.ckpt: File too large; nothing was written; free space there"):
            keep(work, 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(work) == ["last-10.ckpt", "last-10.json"]
    assert found(work) == 10


def test_no_pickle_is_read_from_a_checkpoint_however_well_it_is_sealed(work):
    class Trap:
        def __reduce__(self):
            return print, ("sprung",)

    folder = work / "checkpoints"
    folder.mkdir(parents=True)
    path = folder / "last-10.ckpt"
    torch.save({"weights": Trap()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    checkpoint.seal(path.with_suffix(".json"), Note(CELL, 10, 90, 0, 10, "", {path.name: digest}))
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        Files().load_checkpoint(newest(work, CELL)[0], weights_only=False)


def test_a_seal_of_another_version_is_torn(work):
    keep(work, 10)
    text = json.dumps({"step": 10}).encode()
    (work / "checkpoints" / "last-10.json").write_bytes(text + b"\n" + hashlib.sha256(text).hexdigest().encode())
    with pytest.raises(UserError, match=r"last-10\.json, which seals it, is not whole"):
        newest(work, CELL)
