"""A web server that answers no request as it should; only a login to Airflow is let through."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["hang", "lost", "503", "half", "page"]
HANG_SECONDS = 30.0


@contextmanager
def breaking_server(fault: Fault) -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was asked.

    Args:
        fault: no answer, the connection reset instead of one, 503, half of a body, or a page instead of JSON.
    """
    asked: list[str] = []
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path}")
            if self.path == "/auth/token":
                self.say(201, b'{"access_token": "x"}')
            elif fault == "hang":
                released.wait(HANG_SECONDS)
            elif fault == "lost":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                body = b"<html>starting</html>" if fault == "page" else b'{"error": "busy"}'
                self.say(503 if fault == "503" else 200, body, missing=8 if fault == "half" else 0)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 -- the names are http.server's

        def say(self, status: int, body: bytes, missing: int = 0) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + missing))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *parts: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *parts: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        released.set()
        server.shutdown()
