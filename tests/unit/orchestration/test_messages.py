"""What is said of a run that failed or is late."""

from __future__ import annotations

from dataclasses import replace

from include.skufleet.orchestration.messages import FAILED, LATE, Message

MESSAGE = Message(
    event=FAILED,
    dag_id="retrain_corner_shop",
    run_id="manual__1",
    as_of="2026-01-31",
    failed_tasks=("retrain[3]", "report"),
    sentence="retrain[3]: MemoryError: <b>no</b> memory.",
    outcomes={"trained": 5, "failed": 1},
    report="http://airflow/skufleet/report/r",
    page="http://airflow/dags/r/runs/1",
)


def test_the_subject_is_short_and_names_what_failed_and_of_which_catalogue() -> None:
    assert MESSAGE.subject == "Skufleet: retraining of corner_shop failed"
    assert replace(MESSAGE, event=LATE).subject == "Skufleet: retraining of corner_shop is late"
    assert replace(MESSAGE, dag_id="search_demo").subject == "Skufleet: search of demo failed"


def test_the_line_for_the_log_says_what_failed_where_the_report_is_and_what_to_do() -> None:
    assert MESSAGE.text == (
        "Retraining of corner_shop failed: run manual__1 (as of 2026-01-31). "
        "retrain[3]: MemoryError: <b>no</b> memory. "
        "Failed tasks: retrain[3], report. SKUs: 1 failed, 5 trained. Report: http://airflow/skufleet/report/r. "
        "Run: http://airflow/dags/r/runs/1. What was finished is kept: see the log of what failed, then clear it "
        "together with what follows"
    )


def test_what_is_not_known_is_left_out() -> None:
    bare = Message(event=LATE, dag_id="retrain_demo", run_id="r")
    assert bare.lines == ["Retraining of demo is late: run r", "It goes on; look at what its tasks wait for"]


def test_a_mail_takes_nothing_from_outside_for_markup() -> None:
    assert "<b>" not in MESSAGE.html
    assert "<p>retrain[3]: MemoryError: &lt;b&gt;no&lt;/b&gt; memory.</p>" in MESSAGE.html


def test_the_json_has_the_same_in_words_and_in_parts() -> None:
    sent = MESSAGE.to_json()
    assert sent["text"] == "\n".join(MESSAGE.lines)
    assert (sent["event"], sent["catalogue"], sent["run_id"]) == ("failed", "corner_shop", "manual__1")
    assert sent["failed_tasks"] == ["retrain[3]", "report"]
    assert sent["outcomes"] == {"trained": 5, "failed": 1}


def test_a_thousand_failed_chunks_and_an_endless_error_stay_readable() -> None:
    many = replace(MESSAGE, failed_tasks=tuple(f"retrain[{n}]" for n in range(900)), sentence="x" * 10_000)
    assert "retrain[7] and 892 more" in many.text
    assert len(many.text) < 1500
