"""A number for what was delivered of a series, that tells whether anything new came and is kept up to date by adding.

Rows are hashed one by one and the hashes added up, so neither the order of the rows nor the number of ingestions
matters. No protection against forgery: two sets of rows agree by chance once in 2^64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))


def hash_rows(columns: Sequence[npt.NDArray[np.int64] | npt.NDArray[np.float64]]) -> Hashes:
    """One hash per row of columns of equal length. NaN is one value, and so is zero, whatever its sign.

    The mixing is that of SplitMix64 (Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number generators").
    """
    hashed = np.zeros(len(columns[0]), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in columns:
            hashed = _mix(hashed + _ODD + _as_bits(column))
    return hashed


def add_hashes(hashes: Hashes, starts: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """The sums, modulo 2^64, of the runs of hashes that begin at ``starts``; as signed numbers, for files."""
    return np.add.reduceat(hashes, starts).view(np.int64)


def _as_bits(column: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> Hashes:
    if column.dtype.kind != "f":
        return column.astype(np.int64).view(np.uint64)
    return np.where(np.isnan(column), np.nan, column + 0.0).view(np.uint64)


def _mix(value: Hashes) -> Hashes:
    for shift, factor in _SPREAD:
        value = (value ^ (value >> shift)) * factor
    return value ^ (value >> np.uint64(31))
