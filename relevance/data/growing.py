"""A .npy file that grows: arrays in, one behind the other; at the end the file that numpy.save would have written.

append([1, 2]), append([3])  →  np.load gives [1, 2, 3]
"""

from pathlib import Path
from typing import Self

import numpy as np

from relevance.whole import named


class Growing:
    """A flat array on disk, of one type; whole once it is left."""

    def __init__(self, path: Path, dtype: type):
        self.path, self.dtype, self.size = path, np.dtype(dtype), 0
        self.file = path.open("wb")
        self._header()
        self.start = self.file.tell()

    def append(self, values: np.ndarray) -> None:
        with named(self.path):
            self.file.write(np.ascontiguousarray(values, self.dtype).data)
        self.size += len(values)

    def view(self) -> np.ndarray:
        """What it holds so far, memory-mapped."""
        with named(self.path):
            self.file.flush()
        if not self.size:
            return np.empty(0, self.dtype)  # nothing cannot be mapped
        return np.memmap(self.path, self.dtype, "r", self.start, (self.size,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.file, named(self.path):
            self.file.seek(0)
            self._header()  # numpy leaves room in it for any length

    def _header(self) -> None:
        told = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.size,)}
        np.lib.format.write_array_header_1_0(self.file, told)
