"""One BLAS thread, as in the fleet: small matrices, and a busy machine would spend its time on handing them around."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Pin the numeric libraries for the session."""
    with threadpool_limits(limits=1):
        yield
