"""A retailer's own files: landed byte by byte, in the catalogue's folders, and only when they are new."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from include.skufleet.config import Catalogue, find_catalogue
from include.skufleet.errors import LandingError, ServiceUnavailableError
from include.skufleet.lake.connecting import open_store
from include.skufleet.lake.store import ObjectStore
from include.skufleet.sources.archive import open_archive
from include.skufleet.sources.files import list_file_drops
from include.skufleet.sources.land import land
from include.skufleet.sources.upload import LandSummary
from tests.unit.sources.conftest import SHARED

DEMO = find_catalogue("demo")
RETAIL = find_catalogue("online_retail")
REAL = SHARED / "online_retail" / "by-day.zip"


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def spread(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def places(source: Path, catalogue: Catalogue = DEMO) -> tuple[list[str], tuple[str, ...]]:
    drops, left_out = list_file_drops(open_archive(source), catalogue.landing)
    return [f"{drop.folder}/{drop.name}" for drop in drops], left_out


MIXED = {
    "2026-01-02.csv": b"b",
    "2026-01-01.csv.gz": gzip.compress(b"a", mtime=0),
    "sales/more/x.PARQUET": b"p",
    "attributes/items.csv": b"i",
    "calendar/days.csv": b"c",
    "prices/list.csv": b"l",
    "readme.txt": b"hello",
    ".hidden.csv": b"no",
    "__MACOSX/._2026-01-02.csv": b"no",
}


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_sub_folders_say_what_files_are_and_loose_files_are_sales(tmp_path: Path, kind: str) -> None:
    source = spread(tmp_path / "in", MIXED) if kind == "folder" else pack(tmp_path / "in.zip", MIXED)
    assert places(source) == (
        [
            "sales/2026-01-01.csv.gz",
            "sales/2026-01-02.csv",
            "sales/more/x.PARQUET",
            "attributes/items.csv",
            "calendar/days.csv",
            "prices/list.csv",
        ],
        ("readme.txt",),
    )


def test_a_kind_that_the_catalogue_does_not_describe_is_left_out(tmp_path: Path) -> None:
    names, left_out = places(spread(tmp_path, MIXED), RETAIL)
    assert all(name.startswith("sales/") for name in names)
    assert {"attributes/items.csv", "calendar/days.csv", "prices/list.csv"} <= set(left_out)


def test_a_format_given_in_the_catalogue_makes_every_ending_good(tmp_path: Path) -> None:
    assert places(spread(tmp_path, {"day.txt": b"x"}), RETAIL) == (["sales/day.txt"], ())


def test_a_folder_around_everything_is_no_folder_of_the_landing(tmp_path: Path) -> None:
    source = pack(tmp_path / "in.zip", {"by-day/1.csv": b"1", "by-day/2.csv": b"2"})
    assert places(source) == (["sales/1.csv", "sales/2.csv"], ())
    assert open_archive(source).read("2.csv") == b"2"
    only_prices = pack(tmp_path / "prices.zip", {"prices/1.csv": b"1"})
    assert places(only_prices) == (["prices/1.csv"], ())


def test_bytes_arrive_untouched_and_unchanged_files_stay(tmp_path: Path, store: ObjectStore) -> None:
    folder = spread(tmp_path, MIXED)
    seen: list[tuple[int, int, str]] = []
    first = land(store, DEMO, folder, progress=lambda *step: seen.append(step))
    assert first == LandSummary(6, first.bytes, None, 0, ("readme.txt",))
    assert [step[:2] for step in seen] == [(number, 6) for number in range(1, 7)]
    assert store.get("landing/demo/sales/2026-01-01.csv.gz") == MIXED["2026-01-01.csv.gz"]
    assert store.get("landing/demo/sales/more/x.PARQUET") == b"p"
    before = {item.key: item.last_modified for item in store.list("landing/")}

    again = land(store, DEMO, folder)
    assert (again.objects, again.unchanged) == (0, 6)
    (folder / "2026-01-02.csv").write_bytes(b"B")
    third = land(store, DEMO, folder)
    assert (third.objects, third.bytes, third.unchanged) == (1, 1, 5)
    after = {item.key: item.last_modified for item in store.list("landing/")}
    assert {key for key in after if after[key] != before[key]} <= {"landing/demo/sales/2026-01-02.csv"}
    assert store.get("landing/demo/sales/2026-01-02.csv") == b"B"


def test_one_file_is_landed_under_its_name(tmp_path: Path, store: ObjectStore) -> None:
    spread(tmp_path, {"sales of may.csv": b"x"})
    land(store, DEMO, tmp_path / "sales of may.csv")
    assert [item.key for item in store.list("landing/")] == ["landing/demo/sales/sales of may.csv"]


def test_files_are_delivered_in_the_order_of_their_names(tmp_path: Path, store: ObjectStore) -> None:
    """Ingestion lets the later delivery win: a correction must not be overtaken by what it corrects."""
    names = {f"{number:03d}.csv": str(number).encode() for number in range(70)}
    seen: list[str] = []
    shuffled = dict(sorted(names.items(), key=lambda item: item[0][::-1]))
    assert (
        land(store, DEMO, pack(tmp_path / "in.zip", shuffled), progress=lambda *step: seen.append(step[2])).objects
        == 70
    )
    assert seen == [f"sales/{name}" for name in sorted(names)]
    times = [item.last_modified for item in store.list("landing/demo/sales/")]
    assert times == sorted(times)
    assert store.get("landing/demo/sales/069.csv") == b"69"


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path, store: ObjectStore) -> None:
    with pytest.raises(LandingError, match=r"none\.zip: no such file or folder; check the path given as FROM"):
        land(store, DEMO, tmp_path / "none.zip")


@pytest.mark.parametrize("files", [{}, {"readme.txt": b"x", "data.xlsx": b"y"}])
def test_a_folder_with_nothing_usable_is_refused(tmp_path: Path, store: ObjectStore, files: dict[str, bytes]) -> None:
    with pytest.raises(
        LandingError, match=f"no file that this catalogue reads.*got {'data.xlsx' if files else 'nothing'}"
    ):
        land(store, DEMO, spread(tmp_path, files))


def test_a_zip_that_is_cut_off_is_refused(tmp_path: Path, store: ObjectStore) -> None:
    whole = pack(tmp_path / "whole.zip", {"1.csv": b"1" * 1000})
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole.read_bytes()[:60])
    with pytest.raises(LandingError, match=r"cut\.zip: cannot be read: .*fetch the source again"):
        land(store, DEMO, cut)


def test_a_damaged_member_of_a_zip_is_named_and_what_came_before_it_stays(tmp_path: Path, store: ObjectStore) -> None:
    source = tmp_path / "bad.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("1.csv", b"good")
        archive.writestr("2.csv", b"will be damaged")
    source.write_bytes(source.read_bytes().replace(b"will be damaged", b"has been damage"))
    with pytest.raises(LandingError, match=r"bad\.zip: 2\.csv: cannot be read: .*CRC"):
        land(store, DEMO, source)
    assert [item.key for item in store.list("landing/")] == ["landing/demo/sales/1.csv"]


def test_a_zip_is_known_by_its_content_too(tmp_path: Path) -> None:
    assert places(pack(tmp_path / "download", {"1.csv": b"1"})) == (["sales/1.csv"], ())


def test_stores_are_refused_for_files_that_are_landed_as_they_are(tmp_path: Path, store: ObjectStore) -> None:
    with pytest.raises(LandingError, match=r"STORES=CA_1: .* lands every store"):
        land(store, DEMO, spread(tmp_path, {"1.csv": b"1"}), stores=("CA_1",))


def test_an_s3_that_does_not_answer_is_a_transient_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = open_store(
        "b", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    )
    with pytest.raises(ServiceUnavailableError):
        land(closed, DEMO, spread(tmp_path, {"1.csv": b"1"}))


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.exists(), reason="the Online Retail files are not beside the repository")
def test_the_real_day_files_are_landed_one_object_each(store: ObjectStore) -> None:
    assert land(store, RETAIL, REAL).objects == 305
    keys = [item.key for item in store.list("landing/online_retail/")]
    assert (len(keys), keys[0], keys[-1]) == (
        305,
        "landing/online_retail/sales/2010-12-01.csv",
        "landing/online_retail/sales/2011-12-09.csv",
    )
    with zipfile.ZipFile(REAL) as packed:
        assert store.get(keys[0]) == packed.read("2010-12-01.csv")
