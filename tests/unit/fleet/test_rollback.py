"""Taking releases back on a real S3 and a real MLflow: whole or in part, broken off, two at once, after other hands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import mlflow
import pytest

from include.skufleet.errors import DataError, PlanError, ServiceUnavailableError
from include.skufleet.fleet.moving import Done
from include.skufleet.fleet.refused import read_refused
from include.skufleet.fleet.releases import Release, find_release, list_releases, read_release_frame
from include.skufleet.fleet.rollback import Scope, promote_held, roll_back, summarise
from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.tidy import tidy_run
from include.skufleet.fleet.transitions import compact_transitions, read_transitions, served_on
from include.skufleet.lake.lease import LeaseHeldError, hold_lease
from include.skufleet.registry.client import Registry
from tests.unit.fleet.small_fleet import END, SmallFleet, weekly
from tests.unit.registry.mlflow_server import server_uri

SKUS = ("A", "B", "C")
WHOLE = Scope()


def client() -> mlflow.MlflowClient:
    return mlflow.MlflowClient(server_uri(), server_uri())


def keys(fleet: SmallFleet) -> RunKeys:
    return RunKeys(fleet.catalogue.name, "")


def serving(fleet: SmallFleet) -> dict[str, int]:
    return {sku: item.version for sku, item in fleet.clients.registry.production(fleet.catalogue.name).items()}


def releases(fleet: SmallFleet) -> list[Release]:
    return list_releases(fleet.store, keys(fleet))


def take_back(fleet: SmallFleet, wanted: str = "previous", scope: Scope = WHOLE, run_id: str = "rollback__1") -> Done:
    release = find_release(fleet.store, keys(fleet), wanted)
    return roll_back(fleet.clients, fleet.catalogue, release, scope, actor="amy", run_id=run_id, reason="bad batch")


@pytest.fixture
def fleet() -> Iterator[SmallFleet]:
    """A fleet of the test's own. At the end, whatever happened, nobody holds its lease."""
    opened = two_runs()
    yield opened
    with hold_lease(opened.store, keys(opened).lease_key, "the test", "the test"):
        pass


@pytest.fixture(scope="module")
def untouched() -> SmallFleet:
    """One for all tests that change nothing."""
    return two_runs()


def two_runs() -> SmallFleet:
    """Two runs, the second with a new day: versions 1 and 2 of each SKU; A and B in one department, C in another."""
    opened = SmallFleet.open(attributes=True, retention={"versions": 1, "releases": 4, "runs": 10})
    opened.list_skus({"A": "Toys", "B": "Toys", "C": "Food"})
    opened.deliver([row for sku in SKUS for row in weekly(sku)])
    opened.do_all(opened.new_run())
    opened.deliver([(sku, "S1", END.isoformat(), 3) for sku in SKUS], name="second.csv")
    opened.do_all(opened.new_run())
    return opened


def test_a_release_is_taken_back_whole_and_a_second_time_there_is_nothing_to_do(fleet: SmallFleet) -> None:
    assert serving(fleet) == dict.fromkeys(SKUS, 2)
    done = take_back(fleet)
    assert done.moved == 3
    assert serving(fleet) == dict.fromkeys(SKUS, 1)
    names = {item.name for item in client().search_registered_models(f"tags.catalogue = '{fleet.catalogue.name}'")}
    for name in names:
        assert client().get_registered_model(name).aliases["previous"] == "2"
        stages = [client().get_model_version(name, number).tags["stage"] for number in ("1", "2")]
        assert stages == ["production", "archived"]
    newest = releases(fleet)[-1]
    assert (newest.kind, newest.actor, newest.promoted, newest.skus) == ("rollback", "amy", 3, 3)
    assert "bad batch" in newest.reason
    first = f"{releases(fleet)[0].name}"
    assert take_back(fleet, first, run_id="rollback__2").moved == 0
    assert summarise(done, newest)["sentence"].endswith("3 SKUs moved.")


def test_some_skus_or_a_department_alone_are_taken_back(fleet: SmallFleet) -> None:
    assert take_back(fleet, scope=Scope(department="Food")).moved == 1
    assert serving(fleet) == {"A": 2, "B": 2, "C": 1}
    assert take_back(fleet, releases(fleet)[0].name, Scope(skus=("A*",)), "rollback__2").moved == 1
    assert serving(fleet) == {"A": 1, "B": 2, "C": 1}


@pytest.mark.parametrize(
    ("wanted", "scope", "says"),
    [
        ("nightly", Scope(), r"has no release 'nightly'; expected a name, .* the newest are: manual-000"),
        ("manual", Scope(), "'manual' could be manual-000-.*, manual-001-.*; give more of the name"),
        ("previous", Scope(skus=("Z", "A")), "has no SKU 'Z'; it has 3, for example A, B, C. Nothing was changed"),
        ("previous", Scope(department="Garden"), "has no department 'Garden'; it has: Food, Toys"),
        ("previous", Scope(skus=("C",), department="Toys"), "has no SKU 'C'; it has 2"),
    ],
)
def test_what_is_not_there_is_named_and_nothing_changes(
    untouched: SmallFleet, wanted: str, scope: Scope, says: str
) -> None:
    with pytest.raises(PlanError, match=says):
        take_back(untouched, wanted, scope)
    assert serving(untouched) == dict.fromkeys(SKUS, 2)
    assert len(releases(untouched)) == 2


def test_a_release_is_found_by_date_and_by_its_place(untouched: SmallFleet) -> None:
    first, second = releases(untouched)
    assert find_release(untouched.store, keys(untouched), "current") == second
    assert find_release(untouched.store, keys(untouched), "previous") == first
    assert find_release(untouched.store, keys(untouched), END.isoformat()) == second, "the newest of that date"
    assert find_release(untouched.store, keys(untouched), first.name[:11]) == first


@pytest.mark.parametrize("damage", ["cut", "short", "gone", "foreign"])
def test_a_manifest_that_is_damaged_is_refused_before_anything_moves(untouched: SmallFleet, damage: str) -> None:
    release = releases(untouched)[0]
    whole = untouched.store.get(release.key)
    if damage == "cut":
        untouched.store.put(release.key, whole[: len(whole) // 2])
    elif damage == "gone":
        untouched.store.delete(release.key)
    else:
        frame = untouched.store.get_frame(release.key)
        untouched.store.put_frame(release.key, frame.head(2) if damage == "short" else frame[["candidate"]])
    says = {
        "cut": "cannot be read, nothing was changed",
        "gone": "is gone; choose another",
        "short": "has 2 SKUs, its manifest says 3; nothing was changed",
        "foreign": "lacks the columns",
    }
    with pytest.raises(DataError, match=says[damage]):
        take_back(untouched)
    assert serving(untouched) == dict.fromkeys(SKUS, 2)
    untouched.store.put(release.key, whole)


def test_a_version_that_was_deleted_by_hand_is_told_and_its_sku_goes_on_being_served(fleet: SmallFleet) -> None:
    name = f"{fleet.catalogue.name}-B"
    client().delete_model_version(name, "1")
    done = take_back(fleet)
    told = summarise(done, releases(fleet)[-1])
    assert (told["moved"], told["failed"], list(told["errors"])) == (2, 1, ["B"])
    assert name in told["errors"]["B"]
    assert serving(fleet) == {"A": 1, "B": 2, "C": 1}


def test_a_model_that_was_deleted_by_hand_is_told(fleet: SmallFleet) -> None:
    client().delete_registered_model(f"{fleet.catalogue.name}-B")
    told = summarise(take_back(fleet), releases(fleet)[-1])
    assert (told["moved"], told["failed"]) == (2, 1)
    assert "was deleted by hand" in told["errors"]["B"]


class _Dying:
    """MLflow, which dies before the n-th change of an alias."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.left, whole = after, Registry.set_production

        def set_production(registry: Registry, state: Any, version: int) -> None:
            if self.left == 0:
                raise ServiceUnavailableError("planted")
            self.left -= 1
            whole(registry, state, version)

        monkeypatch.setattr(Registry, "set_production", set_production)


@pytest.mark.parametrize("after", [0, 2])
def test_what_was_broken_off_is_finished_by_the_same_command(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    with monkeypatch.context() as patch:
        _Dying(patch, after)
        with pytest.raises(ServiceUnavailableError, match="planted"):
            take_back(fleet)
    assert set(serving(fleet).values()) <= {1, 2}
    assert set(serving(fleet)) == set(SKUS), "no SKU is without a version in production"
    assert releases(fleet)[-1].kind == "run", "the release in force is the old one until all is done"
    done = take_back(fleet.again(), run_id="rollback__again")
    assert serving(fleet) == dict.fromkeys(SKUS, 1)
    assert (done.moved, done.work.run_id) == (3, "rollback__1"), "it is the first command that was finished"
    history = read_transitions(fleet.store, keys(fleet))
    came = history[(history["rule"] == "rollback") & (history["to_stage"] == "production")]
    assert sorted(came["sku"]) == list(SKUS)
    assert set(came["from_stage"]) == {"archived"}
    assert fleet.store.find_json(keys(fleet).pending_key) is None


def test_another_command_after_one_that_was_broken_off_writes_down_what_that_had_done(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _Dying(patch, 2)
        with pytest.raises(ServiceUnavailableError):
            take_back(fleet)
    done = [sku for sku, version in serving(fleet).items() if version == 1]
    assert done
    take_back(fleet, "current", run_id="rollback__back")
    assert serving(fleet) == dict.fromkeys(SKUS, 2)
    history = read_transitions(fleet.store, keys(fleet))
    broken = history[(history["run_id"] == "rollback__1") & (history["to_stage"] == "production")]
    assert sorted(broken["sku"]) == sorted(done)


def test_a_promotion_that_was_broken_off_for_good_is_not_taken_for_the_work_of_hands(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.deliver([(sku, "S1", END.isoformat(), 5) for sku in SKUS], name="third.csv")
    broken = fleet.new_run()
    for chunk in fleet.plan(broken):
        fleet.retrain(broken, chunk)
    with monkeypatch.context() as patch:
        _Dying(patch, 1)
        with pytest.raises(ServiceUnavailableError):
            fleet.promote(broken)
    moved = [sku for sku, version in serving(fleet).items() if version == 3]
    assert moved
    fleet.deliver([(sku, "S1", END.isoformat(), 6) for sku in SKUS], name="fourth.csv")
    summary = fleet.do_all(fleet.new_run())
    assert (summary["moved_by_hand"], summary["promoted"]) == (0, 3)
    assert serving(fleet) == dict.fromkeys(SKUS, 4)
    history = read_transitions(fleet.store, broken)
    came = history[(history["run_id"] == broken.run_id) & (history["to_stage"] == "production")]
    assert sorted(came["sku"]) == sorted(moved)
    settled = [item for item in releases(fleet) if item.run_id == broken.run_id]
    assert [(item.promoted, "was broken off" in item.reason) for item in settled] == [(len(moved), True)]


def test_while_a_change_is_at_work_another_is_told_to_wait(fleet: SmallFleet) -> None:
    run = keys(fleet)
    with hold_lease(fleet.store, run.lease_key, "run 7", "promotion of run 7"):
        with pytest.raises(LeaseHeldError, match=r"promotion of run 7 is at work .* wait for it"):
            take_back(fleet)
        new = fleet.new_run(force=True)
        for chunk in fleet.plan(new):
            fleet.retrain(new, chunk)
        with pytest.raises(LeaseHeldError, match="promotion of run 7 is at work"):
            fleet.promote(new)
    assert serving(fleet) == dict.fromkeys(SKUS, 2)
    assert take_back(fleet).moved == 3


def test_what_was_rolled_back_is_not_promoted_again_before_its_data_change(fleet: SmallFleet) -> None:
    take_back(fleet)
    assert set(read_refused(fleet.store, keys(fleet)).values()) == {
        f"Rolled back to release {releases(fleet)[0].name} by amy: bad batch."
    }
    summary = fleet.do_all(fleet.new_run())
    assert (summary["outcomes"]["trained"], summary["promoted"]) == (0, 0), "nothing is new"
    forced = fleet.new_run(force=True)
    fleet.do_all(forced)
    decisions = fleet.store.get_frame(forced.decisions_key)
    assert set(decisions["rule"]) == {"rolled_back"}
    assert "Its data are those of a version that was rolled back" in decisions["reason"].iloc[0]
    assert serving(fleet) == dict.fromkeys(SKUS, 1)
    fleet.deliver([("A", "S1", END.isoformat(), 4)], name="third.csv")
    fleet.do_all(fleet.new_run())
    assert serving(fleet)["A"] > 2
    assert serving(fleet)["B"] == 1


def test_forecasts_follow_what_serves(fleet: SmallFleet) -> None:
    take_back(fleet)
    fleet.do_all(fleet.new_run())
    assert set(fleet.published()["model_version"]) == {1}


def test_a_person_may_promote_what_was_rolled_back(fleet: SmallFleet) -> None:
    second = fleet.runs[-1]
    take_back(fleet)
    done = promote_held(fleet.clients, fleet.catalogue, second, Scope(skus=("B",)), actor="bob", run_id="promotion__1")
    assert done.moved == 1
    assert serving(fleet) == {"A": 1, "B": 2, "C": 1}
    assert len(read_refused(fleet.store, keys(fleet))) == 2, "B is no longer refused"
    frame = read_release_frame(fleet.store, keys(fleet)).set_index("sku")
    assert (frame.loc["B", "kind"], frame.loc["B", "reason"]) == ("promotion", "Promoted by bob.")
    assert frame.loc["A", "kind"] == "rollback"


def test_promoting_what_no_run_made_is_refused(fleet: SmallFleet) -> None:
    with pytest.raises(DataError, match="has no results at s3://"):
        promote_held(fleet.clients, fleet.catalogue, RunKeys(fleet.catalogue.name, "x"), Scope(), actor="b", run_id="p")
    idle = fleet.new_run()
    fleet.do_all(idle)
    with pytest.raises(PlanError, match="made no new version; there is nothing to promote"):
        promote_held(fleet.clients, fleet.catalogue, idle, Scope(), actor="b", run_id="p")


def test_an_alias_that_was_moved_by_hand_is_told_and_left(fleet: SmallFleet) -> None:
    client().set_registered_model_alias(f"{fleet.catalogue.name}-B", "production", "1")
    fleet.deliver([(sku, "S1", END.isoformat(), 5) for sku in SKUS], name="third.csv")
    run = fleet.new_run()
    summary = fleet.do_all(run)
    assert serving(fleet) == {"A": 3, "B": 1, "C": 3}
    decisions = fleet.store.get_frame(run.decisions_key).set_index("sku")
    assert decisions.loc["B", "rule"] == "moved"
    assert "names version 1, the release in force says 2" in str(decisions.loc["B", "reason"])
    assert summary["moved_by_hand"] == 1
    assert "Moved by hand in MLflow, left as they are" in summary["markdown"]
    assert "moved by hand in MLflow" in fleet.store.get(run.report_key).decode()
    frame = read_release_frame(fleet.store, run).set_index("sku")
    assert (frame.loc["B", "version"], frame.loc["B", "kind"]) == (1, "hand")
    fleet.deliver([("B", "S1", END.isoformat(), 6)], name="fourth.csv")
    fleet.do_all(fleet.new_run())
    assert serving(fleet)["B"] > 3, "the next new version is judged beside it"


def test_an_alias_that_was_taken_away_by_hand_is_put_back_by_the_next_version(fleet: SmallFleet) -> None:
    client().delete_registered_model_alias(f"{fleet.catalogue.name}-B", "production")
    assert "B" not in serving(fleet)
    summary = fleet.do_all(fleet.new_run())
    assert serving(fleet) == {"A": 2, "B": 3, "C": 2}, "a SKU that nothing serves is trained although nothing is new"
    assert summary["moved_by_hand"] == 1


def test_an_alias_that_somebody_moves_while_a_change_is_at_work_is_not_overwritten(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _Dying(patch, 0)
        with pytest.raises(ServiceUnavailableError):
            take_back(fleet)
    name = f"{fleet.catalogue.name}-C"
    made = client().get_model_version(name, "2")
    third = client().create_model_version(name, made.source, made.run_id, tags=made.tags)
    client().set_registered_model_alias(name, "production", third.version)
    done = take_back(fleet)
    assert serving(fleet) == {"A": 1, "B": 1, "C": int(third.version)}
    assert done.moved == 2
    assert "somebody else moved it; it is left as it is" in summarise(done, releases(fleet)[-1])["errors"]["C"]


def test_who_served_when_and_why_is_one_call(fleet: SmallFleet) -> None:
    today = datetime.now(UTC).date()
    served = served_on(fleet.store, keys(fleet), "A", today)
    assert (served.version, served.rule, served.until) == (2, "refresh", None)
    assert served.actor == f"run {fleet.runs[-1].run_id}"
    take_back(fleet)
    served = served_on(fleet.store, keys(fleet), "A", today)
    assert (served.version, served.rule, served.actor) == (1, "rollback", "amy")
    assert served_on(fleet.store, keys(fleet), "A", today - timedelta(days=1)).version == 0
    assert served_on(fleet.store, keys(fleet), "nobody", today).version == 0


def test_small_objects_of_transitions_are_put_together_and_say_the_same(
    fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_back(fleet)
    before = read_transitions(fleet.store, keys(fleet))
    monkeypatch.setattr("include.skufleet.fleet.transitions.SMALL", 2)
    assert compact_transitions(fleet.store, keys(fleet)) == 3
    assert len(fleet.store.list(keys(fleet).transitions_folder)) == 1
    after = read_transitions(fleet.store, keys(fleet))
    assert after.equals(before)
    assert compact_transitions(fleet.store, keys(fleet)) == 0


def test_versions_that_a_kept_release_names_are_not_pruned(fleet: SmallFleet) -> None:
    """Here one version of each SKU would be kept, and four releases are."""
    tidy_run(fleet.clients, fleet.catalogue, fleet.runs[-1])
    assert fleet.versions() == {sku: [1, 2] for sku in SKUS}
    assert take_back(fleet).moved == 3
    for _ in range(4):
        fleet.do_all(run := fleet.new_run(force=True))
        tidy_run(fleet.clients, fleet.catalogue, run)
    kept = {item.key for item in releases(fleet)}
    assert len(kept) == 4
    stored = [item.key for item in fleet.store.list(f"releases/{fleet.catalogue.name}/")]
    assert {key for key in stored if key.endswith(".parquet")} == kept
    named = {(row["sku"], row["version"]) for key in kept for row in fleet.store.get_frame(key).to_dict("records")}
    assert named <= {(sku, version) for sku, versions in fleet.versions().items() for version in versions}
