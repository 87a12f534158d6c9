"""A catalogue that asks for approval, on the real platform: a person is asked, a viewer cannot answer, all is undone.

The catalogue is a file beside the others for as long as the tests last, as an operator would add one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest

from include.skufleet.cli.airflow_api import FINISHED
from include.skufleet.config import CATALOGUES_FOLDER
from include.skufleet.fleet.releases import list_releases
from include.skufleet.fleet.run import RunKeys
from include.skufleet.local.credentials import load_credentials
from tests.integration.conftest import RunningStack
from tests.integration.fleet_runs import Shop
from tests.integration.waiting import wait_for, wait_for_new_dag

pytestmark = pytest.mark.integration
NAME = "approved_shop"


@dataclass
class Approved:
    """The catalogue while it is there."""

    shop: Shop

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.shop.http.request(method, f"/api/v2{path}", json=body, headers=headers)

    def ask(self) -> tuple[str, str]:
        """Start a run of a few SKUs and wait until it asks; the run's id and the path of its question."""
        run_id = self.shop.api.trigger(f"retrain_{NAME}", {"skus": ["FRE-*"], "force": True})
        path = f"/dags/retrain_{NAME}/dagRuns/{quote(run_id, safe='')}/taskInstances/approve"
        wait_for(lambda: self.call("GET", path).json().get("state") == "awaiting_input", f"{run_id} to ask")
        time.sleep(3)  # a person reads first; Airflow kills a task that is answered while its process is still ending
        return run_id, f"{path}/-1/hitlDetails"

    def end(self, dag: str, run_id: str) -> str:
        return str(wait_for(lambda: (s := self.shop.api.run_state(dag, run_id)) in FINISHED and s, f"end of {run_id}"))

    def production(self) -> set[int]:
        return {item.version for item in self.shop.registry.production(NAME).values()}


@pytest.fixture(scope="module")
def approved(stack: RunningStack) -> Iterator[Approved]:
    shop = Shop.open(stack)
    shop.land(shop.end)
    file = Path(CATALOGUES_FOLDER) / f"{NAME}.yaml"
    text = (Path(CATALOGUES_FOLDER) / "demo.yaml").read_text(encoding="utf-8").replace("name: demo", f"name: {NAME}")
    file.write_text(f"{text}\nrelease: {{approval: required, approval_hours: 1}}\n", encoding="utf-8")
    kinds = ("retrain", "rollback")
    try:
        for kind in kinds:
            wait_for_new_dag(shop.api, f"{kind}_{NAME}", f"{kind}_demo")
            shop.api.unpause(f"{kind}_{NAME}")
        opened = Approved(shop)
        yield opened
        for kind in kinds:
            assert opened.call("PATCH", f"/dags/{kind}_{NAME}", {"is_paused": True}).is_success
    finally:
        file.unlink()


def viewer_token(approved: Approved) -> str:
    """What Airflow would give a user who may only look."""
    user, password = approved.shop.stack.login
    own = httpx.post(f"{approved.shop.stack.airflow_url}/auth/token", json={"username": user, "password": password})
    token = own.json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False}) | {"sub": "vera", "role": "VIEWER"}
    secret = load_credentials(approved.shop.stack.settings.paths).jwt_secret
    return jwt.encode(claims, secret, algorithm=jwt.get_unverified_header(token)["alg"])


def test_a_release_waits_for_a_person_goes_on_when_approved_and_is_taken_back(approved: Approved) -> None:
    first, question = approved.ask()
    body = approved.call("GET", question).json()["body"]
    assert "new versions would go to production" in body
    assert "| Fresh |" in body
    assert approved.production() == set(), "nothing serves before somebody says so"
    answer = {"chosen_options": ["Approve"], "params_input": {}}
    refused = approved.call("PATCH", question, answer, viewer_token(approved))
    assert refused.status_code == 403, "viewers cannot approve"
    assert approved.call("PATCH", question, answer).status_code == 200
    assert approved.end(f"retrain_{NAME}", first) == "success"
    assert approved.production() == {1}
    released = list_releases(approved.shop.store, RunKeys(NAME, first))[-1]
    assert released.actor.endswith("approved by admin")

    second, question = approved.ask()
    assert approved.call("PATCH", question, answer).status_code == 200
    assert approved.end(f"retrain_{NAME}", second) == "success"
    assert approved.production() == {2}

    dag = f"rollback_{NAME}"
    conf = {"release": RunKeys(NAME, first).key, "reason": "a drill", "forecast": False}
    assert approved.end(dag, approved.shop.api.trigger(dag, conf)) == "success"
    assert approved.production() == {1}
    newest = list_releases(approved.shop.store, RunKeys(NAME, ""))[-1]
    assert (newest.kind, newest.actor) == ("rollback", "admin")
    assert json.dumps(newest.reason).count("a drill") == 1
