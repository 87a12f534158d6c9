"""The calls of Airflow's API over real HTTP, its refusals and its absence included."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.errors import ConfigError, PermanentError, ServiceUnavailableError
from tests.unit.breaking_server import breaking_server
from tests.unit.cli.airflow_stand_in import StandIn, instance


def test_a_run_is_triggered_with_its_params_and_without_a_date(airflow: StandIn, api: AirflowApi) -> None:
    assert api.trigger("retrain_demo", {"skus": ["A/1"]}) == airflow.run_id
    assert airflow.asked[-1] == (
        "POST",
        "/api/v2/dags/retrain_demo/dagRuns",
        {"logical_date": None, "conf": {"skus": ["A/1"]}},
    )


def test_one_login_serves_many_calls(airflow: StandIn, api: AirflowApi) -> None:
    api.unpause("retrain_demo")
    assert api.run_state("retrain_demo", airflow.run_id) == "success"
    assert len(airflow.tokens) == 1


def test_a_token_that_has_run_out_is_renewed_without_a_word(airflow: StandIn, api: AirflowApi) -> None:
    api.unpause("retrain_demo")
    airflow.tokens.append("another")
    api.unpause("retrain_demo")
    assert len(airflow.tokens) == 3


def test_a_wrong_password_is_refused_and_never_shown(airflow: StandIn) -> None:
    api = AirflowApi(airflow.url, "ann", "wr0ng-secret")
    with pytest.raises(PermanentError, match="refused the login of 'ann': 401") as caught:
        api.unpause("retrain_demo")
    assert "wr0ng-secret" not in str(caught.value) + repr(api)


def test_a_run_has_an_end_only_when_it_is_over(airflow: StandIn, api: AirflowApi) -> None:
    airflow.states = ["running", "success"]
    assert api.run_ended("retrain_demo", airflow.run_id) is None
    assert api.run_ended("retrain_demo", airflow.run_id) == datetime(2026, 1, 31, 3, 0, 1, 500_000, tzinfo=UTC)


def test_every_page_of_task_instances_is_read(airflow: StandIn, api: AirflowApi) -> None:
    airflow.instances = [instance("retrain", map_index=index) for index in range(250)]
    found = list(api.task_instances("retrain_demo", airflow.run_id))
    assert [item["map_index"] for item in found] == list(range(250))


def test_a_dag_that_comes_late_is_waited_for(airflow: StandIn, api: AirflowApi) -> None:
    airflow.dags["retrain_demo"] = 1
    api.wait_for_dag("retrain_demo", patience=30)
    assert len([1 for method, path, _ in airflow.asked if path.endswith("/dags/retrain_demo")]) == 2


def test_a_dag_that_never_comes_is_said_with_the_import_errors(airflow: StandIn, api: AirflowApi) -> None:
    airflow.import_errors = [{"stack_trace": "Traceback ...\nCatalogueError: shop.yaml: horizons: unknown key\n"}]
    with pytest.raises(ConfigError, match=r"no Dag 'retrain_shop' after 0 s; .*shop.yaml: horizons: unknown key"):
        api.wait_for_dag("retrain_shop", patience=0)


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (400, '{"detail": "Invalid input for param skus"}', PermanentError, "400 Invalid input for param skus"),
        (404, '{"detail": "no such run"}', PermanentError, "404 no such run"),
        (500, "<html>sorry</html>", ServiceUnavailableError, "500 <html>sorry</html>"),
        (503, "", ServiceUnavailableError, "503"),
    ],
)
def test_a_refusal_is_told_from_a_failure(
    airflow: StandIn, api: AirflowApi, status: int, body: str, error: type[Exception], says: str
) -> None:
    airflow.failures = [(status, body)]
    with pytest.raises(error, match=says):
        api.run_state("retrain_demo", airflow.run_id)


def test_an_airflow_that_is_not_there_is_a_matter_of_make_status() -> None:
    with pytest.raises(ServiceUnavailableError, match=r"http://127.0.0.1:9 does not answer: .*see `make status`"):
        AirflowApi("http://127.0.0.1:9", "ann", "x").unpause("retrain_demo")


def test_a_page_that_is_not_airflows_and_a_server_that_starts_are_transient(airflow: StandIn, api: AirflowApi) -> None:
    airflow.failures = [(200, "<html>starting</html>")]
    with pytest.raises(ServiceUnavailableError, match="expected JSON, got '<html>starting"):
        api.run_state("retrain_demo", airflow.run_id)


@pytest.mark.parametrize("url", ["http://localhost:port", "localhost:8080"])
def test_an_address_that_is_none_is_a_matter_of_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match="Airflow's address: got "):
        AirflowApi(url, "ann", "x").unpause("retrain_demo")


def test_a_trigger_whose_answer_is_lost_is_not_sent_again() -> None:
    with breaking_server("lost") as (url, asked):
        api = AirflowApi(url, "ann", "x")
        with pytest.raises(ServiceUnavailableError, match="does not answer"):
            api.trigger("retrain_demo", {})
    assert len(asked) == 2, "the login, and the trigger once"
