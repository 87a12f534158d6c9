"""An S3 server that misbehaves on demand: a reverse proxy that passes everything on, until it is told not to.

It runs in a thread of the suite, on a port of its own; the platform's S3 address is the proxy's. Made of aiohttp's
server and client. The signature of a request covers its Host header, which is passed on as it came.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from aiohttp import ClientConnectionResetError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from yarl import URL

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-encoding"}
_MODIFIED = re.compile(rb"<LastModified>([^<]+)</LastModified>")
_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>Injected by the suite.</Message></Error>'
)


@dataclass
class Trouble:
    """What happens to requests while it lasts.

    Attributes:
        share: of the requests that it happens to.
        only: a pattern of those that it may happen to, ``METHOD /path?query``.
        times: requests that it happens to at the most.
        code: answer with 503 and this code of S3.
        hang: do not answer.
        reset: break the connection off without a word.
        lost: carry the request out, and break off without an answer.
        cut: send half of the answer's body, then break off.
        stall: send half of the answer's body, and then nothing more.
    """

    share: float = 1.0
    only: str = ""
    times: float = math.inf
    code: str = ""
    hang: bool = False
    reset: bool = False
    lost: bool = False
    cut: bool = False
    stall: bool = False


@dataclass
class Proxy:
    """The proxy before one S3 server; a context manager.

    Attributes:
        port: where it listens.
        behind: the server's address.
        seed: decides which requests trouble happens to.
        trouble: what happens now; ``None``: nothing.
        before_read: called with the path of each GET of an object before it is passed on; in a thread of its own.
        clock_ahead: added to the moments of delivery in listings of keys that contain ``clock_of``.
        struck: how many requests trouble happened to.
    """

    port: int
    behind: str
    seed: int = 0
    trouble: Trouble | None = None
    before_read: Callable[[str], None] | None = None
    clock_ahead: timedelta = timedelta()
    clock_of: str = ""
    struck: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop, repr=False)

    def __enter__(self) -> Self:
        self._random = random.Random(self.seed)  # noqa: S311 -- no secret
        self._calm = asyncio.Event()
        started = threading.Event()
        threading.Thread(target=self._live, args=(started,), daemon=True, name="proxy").start()
        started.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.calm()
        asyncio.run_coroutine_threadsafe(self._session.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def make(self, trouble: Trouble) -> None:
        """From now on there is trouble."""
        self._loop.call_soon_threadsafe(self._calm.clear)
        self.struck, self.trouble = 0, trouble

    def calm(self) -> None:
        """The trouble is over; who was left hanging is cut off."""
        self.trouble = None
        self._loop.call_soon_threadsafe(self._calm.set)

    def _live(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        started.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        self._session = ClientSession(
            timeout=ClientTimeout(total=300),
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
            connector=TCPConnector(limit=200),
        )
        app = web.Application(client_max_size=2**31)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        trouble = self._find_trouble(request)
        if trouble:
            if trouble.code:
                return web.Response(status=503, text=_ERROR.format(trouble.code), content_type="application/xml")
            if trouble.hang:
                await self._calm.wait()
            if trouble.hang or trouble.reset:
                return _break_off(request)
        if self.before_read and request.method == "GET" and not request.query:
            await asyncio.to_thread(self.before_read, request.path)
        return await self._pass_on(request, trouble or Trouble())

    def _find_trouble(self, request: web.Request) -> Trouble | None:
        """What is to happen to a request; ``None``: nothing."""
        trouble = self.trouble
        if not trouble or self.struck >= trouble.times:
            return None
        if not re.search(trouble.only, f"{request.method} {request.raw_path}"):
            return None
        if self._random.random() >= trouble.share:
            return None
        self.struck += 1
        return trouble

    async def _pass_on(self, request: web.Request, trouble: Trouble) -> web.StreamResponse:
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        address = URL(self.behind + request.raw_path, encoded=True)
        async with self._session.request(
            request.method, address, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            content = self._shift_clock(await answer.read())
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP]
            length = answer.headers.get("Content-Length", "0") if request.method == "HEAD" else str(len(content))
        if trouble.lost:
            return _break_off(request)
        halved = trouble.cut or trouble.stall
        back = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in kept:
            if name.lower() != "content-length":
                back.headers.add(name, value)
        back.headers["Content-Length"] = length
        with suppress(ClientConnectionResetError):  # whoever asked was killed meanwhile
            await back.prepare(request)
            if request.method != "HEAD":
                await back.write(content[: len(content) // 2] if halved else content)
            if trouble.stall:
                await self._calm.wait()
            if halved:
                return _break_off(request, back)
            await back.write_eof()
        return back

    def _shift_clock(self, content: bytes) -> bytes:
        """A listing in which the server's clock is ahead, for the keys that it is ahead for."""
        if not self.clock_ahead or b"<ListBucketResult" not in content:
            return content
        parts = re.split(rb"(?=<Contents>)", content)
        return b"".join(_MODIFIED.sub(self._later, part) if self.clock_of.encode() in part else part for part in parts)

    def _later(self, found: re.Match[bytes]) -> bytes:
        moment = datetime.fromisoformat(found.group(1).decode()).astimezone(UTC) + self.clock_ahead
        return b"<LastModified>" + moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode() + b"</LastModified>"


def _break_off(request: web.Request, answer: web.StreamResponse | None = None) -> web.StreamResponse:
    """End the connection at once, without the end of an answer."""
    if request.transport is not None:
        request.transport.abort()
    return answer or web.Response()
