"""Do work in another process, which may die of it: the caller then hears of it instead of dying too.

The other process is started at the first call and kept, since its imports take seconds; after a death the next call
starts a new one. It ends when its caller does, however that ends: its standard input closes.
What does not belong here: what the work is (``drafting.py``).
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]


class WorkerDiedError(Exception):
    """The other process did not outlive its work; the message says what it died of."""


class Isolated:
    """Another process that does one call after the other. Not safe to share between threads.

    Used as a context manager, it takes its process with it.
    """

    def __init__(self, patience: float) -> None:
        """Nothing is started yet.

        Args:
            patience: seconds after which a call counts as hanging, and its process is killed.
        """
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the other process."""
        self._end()

    def call(self, work: Callable[..., T], *arguments: Any) -> T:
        """The work's result; what it raises is raised here.

        Args:
            work: a function that can be imported.
            arguments: can be pickled, and so can the result.

        Raises:
            WorkerDiedError: the process was killed, ended by itself, ran out of memory, or took longer than it may.
        """
        process = self._process or self._start()
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._patience, give_up)
        timer.start()
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - they are pipes
            pickle.dump((work, arguments), process.stdin)
            process.stdin.flush()
            good, answer = pickle.load(process.stdout)  # noqa: S301 - our own child's
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            code = self._end()
            raise WorkerDiedError(_describe_end(code, self._patience if late.is_set() else None)) from error
        finally:
            timer.cancel()
        if good:
            result: T = answer
            return result
        if isinstance(answer, MemoryError):
            self._end()
            raise WorkerDiedError("ran out of memory") from answer
        raise answer

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
        )
        return self._process

    def _end(self) -> int:
        """End the process if there is one; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was still to be written to a process that is gone
                    continue
        try:
            return process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _describe_end(code: int, patience: float | None) -> str:
    if patience is not None:
        return f"took longer than {patience:.0f} s"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _serve() -> None:
    """The other process: calls come in on standard input, results go out on what was standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        while True:
            try:
                work, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
            except EOFError:
                return
            try:
                answer = True, work(*arguments)
            except BaseException as error:  # noqa: BLE001 - raised again where the call was made
                answer = False, error
            pickle.dump(answer, answers)
            answers.flush()


if __name__ == "__main__":
    _serve()
