"""Which bucket a SKU is in: the history's partition."""

from __future__ import annotations

import hashlib
from functools import lru_cache


@lru_cache(maxsize=1 << 18)
def bucket_of(sku: str, buckets: int) -> int:
    """The bucket of a SKU, 0 <= bucket < ``buckets``: the same on every machine and in every version.

    >>> bucket_of("FOODS_1_001", 16)
    13
    """
    digest = hashlib.blake2b(sku.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % buckets
