"""A small HTTP server that speaks the part of Airflow's REST API that the command line uses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ENDED = ("success", "failed")
USER, PASSWORD = "ann", "right"


@dataclass
class StandIn:
    """What the server knows and what it was asked.

    Attributes:
        dags: known from so many requests for them on.
        states: the run's state at each time it is asked; the last one stays.
        instances: the run's task instances.
        tokens: tokens handed out; all but the last have run out.
        failures: answers, as status and body, that are given before anything else.
        asked: method, path and body of each request.
        on_trigger: called with the params of a run that is triggered.
    """

    dags: dict[str, int] = field(default_factory=lambda: {"retrain_demo": 0})
    states: list[str] = field(default_factory=lambda: ["success"])
    instances: list[dict[str, Any]] = field(default_factory=list)
    import_errors: list[dict[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    failures: list[tuple[int, str]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    on_trigger: Callable[[dict[str, Any]], None] = lambda _: None
    run_id: str = "manual__2026-04-01T00:00:00+00:00"
    url: str = ""

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any, token: str) -> tuple[int, Any]:
        self.asked.append((method, path, body))
        if path == "/auth/token":
            if body != {"username": USER, "password": PASSWORD}:
                return 401, {"detail": "Invalid credentials"}
            self.tokens.append(f"token-{len(self.tokens)}")
            return 201, {"access_token": self.tokens[-1]}
        if not self.tokens or token != f"Bearer {self.tokens[-1]}":
            return 401, {"detail": "Invalid JWT token"}
        if self.failures:
            return self.failures.pop(0)
        dag = path.split("/")[4] if path.startswith("/api/v2/dags/") else ""
        if path == f"/api/v2/dags/{dag}" and method == "GET":
            self.dags[dag] = self.dags.get(dag, 10**6) - 1
            return (200, {"dag_id": dag}) if self.dags[dag] < 0 else (404, {"detail": f"no {dag}"})
        if path == f"/api/v2/dags/{dag}" and method == "PATCH":
            return 200, body
        if path == f"/api/v2/dags/{dag}/dagRuns" and method == "POST":
            self.on_trigger(body["conf"])
            return 200, {"dag_run_id": self.run_id}
        if path == f"/api/v2/dags/{dag}/dagRuns/{self.run_id}":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return 200, {"state": state, "end_date": "2026-01-31T03:00:01.5Z" if state in ENDED else None}
        if path == f"/api/v2/dags/{dag}/dagRuns/{self.run_id}/taskInstances":
            offset, limit = int(query["offset"][0]), int(query["limit"][0])
            page = self.instances[offset : offset + limit]
            return 200, {"task_instances": page, "total_entries": len(self.instances)}
        if path == "/api/v2/importErrors":
            return 200, {"import_errors": self.import_errors}
        return 405, {"detail": f"{method} {path} is not played here"}


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """The server on a free loopback port, until the block ends."""
    airflow = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            address = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("Authorization", "")
            status, content = airflow.answer(self.command, unquote(address.path), parse_qs(address.query), body, token)
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _do  # noqa: N815 -- the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    airflow.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield airflow
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def instance(task: str, state: str | None = "success", map_index: int = -1, **known: Any) -> dict[str, Any]:
    """A task instance as Airflow describes it, as far as it is read."""
    return {
        "task_id": task,
        "dag_id": "retrain_demo",
        "dag_run_id": "manual__2026-04-01T00:00:00+00:00",
        "state": state,
        "map_index": map_index,
        "try_number": 1,
        "rendered_map_index": None,
    } | known
