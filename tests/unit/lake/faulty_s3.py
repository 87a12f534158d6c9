"""The real S3 server behind a proxy that breaks the answers to some requests, in the ways in which networks do."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["hang", "reset", "503", "half", "stall", "lost"]
HANG_SECONDS = 30.0


@dataclass
class FaultyS3:
    """The proxy.

    Attributes:
        environ: what a client needs to go through it.
        fault: how answers are broken: not given at all, the connection reset, 503, half a body where the whole was
            declared, half a body and then silence, or done but the connection reset before the answer.
        broken: pattern of the requests (method and address) whose answers are broken.
        times: how many of them; all that follow are whole.
        asked: method and address of the requests whose answer was broken.
    """

    environ: dict[str, str]
    fault: Fault
    broken: str
    times: int = 1_000
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def faulty_s3(upstream: dict[str, str], fault: Fault, broken: str, times: int = 1_000) -> Iterator[FaultyS3]:
    """Start it before the server whose environment is ``upstream``."""
    address = urlsplit(upstream["AWS_ENDPOINT_URL_S3"]).netloc
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if re.search(proxy.broken, f"{self.command} {self.path}") and len(proxy.asked) < proxy.times:
                proxy.asked.append((self.command, self.path))
                if not self.break_before():
                    return
                self.pass_on(body, broken=True)
            else:
                self.pass_on(body, broken=False)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do  # noqa: N815 -- the names are http.server's

        def break_before(self) -> bool:
            """Break the answer before it begins, or say that it is to be asked for."""
            self.close_connection = proxy.fault != "503"
            if proxy.fault == "hang":
                released.wait(HANG_SECONDS)
            elif proxy.fault == "reset":
                self.reset()
            elif proxy.fault == "503":
                body = b"<Error><Code>SlowDown</Code><Message>Slow down</Message></Error>"
                self.send_response(503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            else:
                return True
            return False

        def reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def pass_on(self, body: bytes, *, broken: bool) -> None:
            connection = http.client.HTTPConnection(address, timeout=30)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            whole = len(content)
            if broken and proxy.fault == "lost":
                self.reset()
                return
            if broken:
                content = content[: whole // 2]
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "content-length", "connection", "date", "server"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", answer.getheader("Content-Length") or "0")
            self.end_headers()
            self.wfile.write(content)
            if broken and proxy.fault == "stall":
                self.wfile.flush()
                released.wait(HANG_SECONDS)

        def log_message(self, *parts: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *parts: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    proxy = FaultyS3(
        {**upstream, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}"}, fault, broken, times
    )
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield proxy
    finally:
        released.set()
        server.shutdown()
