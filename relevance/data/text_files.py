"""The bytes of a text file, whatever it is packed or encoded as → UTF-8, streamed, and never more than a limit.

pairs.csv.gz in UTF-16 with its mark → the bytes of pairs.csv in UTF-8 without one; other encodings are never guessed
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from io import BufferedReader, FileIO, RawIOBase
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from relevance.config import TextFile
from relevance.errors import UserError

PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
BLANKS = " "  # as a delimiter: any number of blanks and tabs
BLOCK = 1 << 20
HEAD = 1 << 18  # bytes at the start of a file that say what it is
TAIL = 64
FREE = 100 * 10**6  # bytes that any file may unpack to
GB = 10**9
MARKS = {  # in this order: the mark of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
NO_TEXT = {b"\x1f\x8b\x08": ".gz", b"BZh91AY&SY": ".bz2", b"\x28\xb5\x2f\xfd": ".zst", b"PAR1": ".parquet"}
NO_TEXT |= {b"PK\x03\x04": ".zip, or a workbook: save the sheet as .csv"}
DECODED = "[^\x00-\x7f\udc80-\udcff]"  # beyond ASCII; what is no UTF-8 is read as one of the last
NOT_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
C1 = frozenset(range(0x80, 0xA0))  # control characters in Latin-1, signs such as the euro's in cp1252


@dataclass(eq=False)
class Form(TextFile):
    """What a user says of a text file; null and empty: the file says it."""

    setting: str = "data."  # what stands before the names of these settings
    __hash__ = object.__hash__  # remedies are cached by it

    @classmethod
    def of(cls, options: TextFile, setting: str) -> "Form":
        return cls(**{field.name: getattr(options, field.name) for field in fields(TextFile)}, setting=setting)


def kind_of(path: Path) -> str:
    """The suffix that says what a file holds, in small letters: ".csv" of pairs.csv and of pairs.CSV.gz."""
    packed = path.suffix.lower() in PACKED and Path(path.stem).suffix.lower() != ".parquet"
    return (Path(path.stem) if packed else path).suffix.lower()


def check_unpacked(name: str, packed: int, unpacked: int, form: Form) -> None:
    """Raise UserError where a file or archive of `packed` bytes unpacks to more than its limits."""
    times = unpacked / max(packed, 1)
    size = f"{name}: unpacks to {unpacked / GB:,.1f} GB or more, {times:,.0f} times its {packed / 10**6:,.1f} MB"
    for name, value, over in (
        ("unpacked", f"{form.unpacked:g} GB", unpacked > form.unpacked * GB),
        ("ratio", f"{form.ratio:g}", times > form.ratio),
    ):
        if over and unpacked > FREE:
            raise UserError(f"{size}; {form.setting}{name}={value} is the limit: raise it if you trust the file")


@contextmanager
def text_bytes(path: Path, form: Form) -> Iterator["BufferedReader[Any]"]:
    """The text at `path` as bytes of UTF-8, without a mark; seekable where nothing is changed in it."""
    with _unpacked(path, form) as file:
        encoding = _encoding(path, file.peek(HEAD)[:HEAD], form)
        if encoding != "utf-8":
            file = _stream(_recoded(path, file, encoding, form))
        elif file.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
            file.read(len(codecs.BOM_UTF8))
        if form.delimiter == BLANKS:
            file = _stream(b" ".join(line.split()) + b"\n" for line in file)
        if form.header and form.delimiter:  # readers of delimited text know of files with a header alone
            header = f"{form.delimiter.join(form.header)}\n".encode()
            file = _stream(chain([header], _blocks(file)))
        yield file


def whole_text(path: Path, form: Form) -> str:
    """All of the text; raises UserError for one that is not UTF-8."""
    try:
        with text_bytes(path, form) as file:
            return file.read().decode()
    except UnicodeDecodeError as cause:
        raise UserError(f"{path}: is not UTF-8 at byte {cause.start:,}; {encoding_remedy(path, form)}") from cause


def tail(path: Path, form: Form) -> bytes:
    """The last bytes of the text."""
    end = b""
    with text_bytes(path, form) as file:
        for block in _blocks(file):
            end = (end + block)[-TAIL:]
    return end


def _encoding(path: Path, head: bytes, form: Form) -> str:
    """What its mark says, else the user, else UTF-8; UserError where the two differ, and for bytes that are no text."""
    if kind := next((kind for start, kind in NO_TEXT.items() if head.startswith(start)), None):
        raise UserError(f"{path}: is no text: its first bytes are those of a {kind}; name it by what it is")
    named = _codec(path, form.encoding, form) if form.encoding else None
    marked = next((name for mark, name in MARKS.items() if head.startswith(mark)), None)
    if marked and named and not named.startswith(marked):
        raise UserError(f"{path}: its mark says {marked}, not {form.setting}encoding={form.encoding}; leave that out")
    if not marked and not named and b"\0" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if max(even, odd) <= len(head) / 8:
            raise UserError(f"{path}: holds zero bytes, which belong to no text: remove them, tr -d '\\0' < FILE")
        likely = f"{form.setting}encoding={'utf-16-le' if odd > even else 'utf-16-be'}"
        raise UserError(f"{path}: is not UTF-8 (it holds zero bytes); if it is UTF-16, {likely}")
    return marked or named or "utf-8"


def _codec(path: Path, name: str, form: Form) -> str:
    """Python's name of the encoding that the user gives."""
    try:
        "a".encode(name)  # refuses codecs that are of no text
        return codecs.lookup(name).name
    except LookupError as cause:
        why = f"no such encoding (of {path}); give one such as cp1252, utf-16-le"
        raise UserError(f"{form.setting}encoding={form.encoding}: {why}") from cause


def encoding_remedy(path: Path, form: Form) -> str:
    """What to do with a file that is no UTF-8 throughout; looks at all of it."""
    with text_bytes(path, form) as lines:
        return legacy_remedy(lines, form, str(path))


def legacy_remedy(texts: Iterable[bytes], form: Form | None, path: str = "FILE") -> str:
    """The encoding that fits texts of which some are no UTF-8; `form` null: their file has no setting for it."""
    stray: set[int] = set()
    sequences = strays = dense = 0
    sample = b""
    for text in texts:
        if text.isascii():
            continue
        rest, count = re.subn(DECODED, "", text.decode(errors="surrogateescape"))
        runs = re.findall("[\udc80-\udcff]+", rest)
        beyond = "".join(runs).encode(errors="surrogateescape")
        sample = sample or (b"" if not runs else re.findall(rb"[\w .\x80-\xff]*[\x80-\xff][\w .\x80-\xff]*", text)[0])
        sequences, strays = sequences + count, strays + len(beyond)
        dense += sum(len(run) for run in runs if len(run) > 2)
        stray.update(beyond)
    setting = f", or give {form.setting}encoding={{}}" if form else ""
    if stray & NOT_CP1252 or dense > strays / 2:  # in texts of Western Europe hardly two such bytes stand together
        shown = ", ".join(f"{byte:#04x}" for byte in sorted(stray & NOT_CP1252))
        why = f"neither cp1252 nor Latin-1 has the byte {shown}" if shown else "it is no text of Western Europe"
        remedy = f"then iconv -f ENCODING -t UTF-8{setting.format('ENCODING')}"
        return f"save it as UTF-8; {why}: ask who wrote it (cp1251, shift_jis, gb18030 …), {remedy}"
    name = "cp1252" if stray & C1 else "latin-1"
    words = "cp1252 (Windows, Western Europe)" if name == "cp1252" else "Latin-1"
    if sequences > strays / 4:  # a few may be an accident
        return f"write these cells as UTF-8, the others are: they look like {words}, the file as a whole does not"
    iconv = name.upper().replace("-", "")
    reading = f", {sample.decode(name, 'replace').strip()[:30]!r}"
    return f"it looks like {words}{reading}: save it as UTF-8 (iconv -f {iconv} -t UTF-8 {path}){setting.format(name)}"


@contextmanager
def _unpacked(path: Path, form: Form) -> Iterator["BufferedReader[Any]"]:
    if codec := PACKED.get(path.suffix.lower()):
        with pa.input_stream(str(path), compression=codec) as packed:
            yield _stream(_counted(path, packed, form))
    else:
        with BufferedReader(FileIO(path), BLOCK) as file:
            yield file


def _counted(path: Path, file: pa.NativeFile, form: Form) -> Iterator[bytes]:
    """The bytes of `file`, unpacked from `path`, as long as they are within the limits."""
    packed, count = path.stat().st_size, 0
    for block in _blocks(file):
        count += len(block)
        check_unpacked(str(path), packed, count, form)
        yield block


def _recoded(path: Path, file: BinaryIO, encoding: str, form: Form) -> Iterator[bytes]:
    decoder, last = codecs.getincrementaldecoder(encoding)(), 0
    for block in chain(_blocks(file), [b""]):
        try:
            yield decoder.decode(block, final=not block).encode()
        except UnicodeError as cause:
            why = f"{path}: is no {encoding} ({cause}; counted from byte {last:,})"
            raise UserError(f"{why}; give {form.setting}encoding= as it is") from cause
        last += len(block)


def _blocks(file: BinaryIO | pa.NativeFile) -> Iterator[bytes]:
    return iter(partial(file.read, BLOCK), b"")


def _stream(blocks: Iterator[bytes]) -> BufferedReader:
    return BufferedReader(_Blocks(blocks), BLOCK)


class _Blocks(RawIOBase):
    """Blocks of bytes as a file."""

    def __init__(self, blocks: Iterator[bytes]):
        self.blocks, self.rest = blocks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.rest:
            block = next(self.blocks, None)
            if block is None:
                return 0
            self.rest = memoryview(block)
        size = min(len(buffer), len(self.rest))
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size
