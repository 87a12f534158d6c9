"""A wrong catalogue file is shown as an import error and leaves the other catalogues alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from include.skufleet import config
from tests.dags.conftest import ROOT, read_dags


def copy_catalogues(folder: Path, monkeypatch) -> None:
    shutil.copytree(ROOT / "include" / "catalogues", folder)
    monkeypatch.setattr(config.catalogue_files, "__defaults__", (folder,))


def test_the_error_names_file_key_and_reason_and_the_other_dags_stay(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "catalogues"
    copy_catalogues(folder, monkeypatch)
    (folder / "wrong.yaml").write_text((folder / "demo.yaml").read_text() + "\nhorizons: 28\n")
    bag = read_dags(ROOT / "dags")
    assert "retrain_demo" in bag.dags
    assert "search_demo" in bag.dags
    assert not {"retrain_wrong", "search_wrong"} & set(bag.dags)
    ((path, error),) = bag.import_errors.items()
    assert path.endswith("catalogues.py")
    assert "wrong.yaml: horizons: unknown key" in error


def test_a_new_file_alone_gives_a_new_dag(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "catalogues"
    copy_catalogues(folder, monkeypatch)
    text = (folder / "demo.yaml").read_text()
    (folder / "corner_shop.yaml").write_text(text.replace("name: demo", "name: corner_shop"))
    bag = read_dags(ROOT / "dags")
    assert bag.import_errors == {}
    assert {"retrain_corner_shop", "search_corner_shop"} <= set(bag.dags)


def test_a_file_that_wants_no_search_has_none(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "catalogues"
    copy_catalogues(folder, monkeypatch)
    (folder / "demo.yaml").write_text((folder / "demo.yaml").read_text() + "\nsearch: null\n")
    bag = read_dags(ROOT / "dags")
    assert "retrain_demo" in bag.dags
    assert "search_demo" not in bag.dags


def test_the_files_number_of_rungs_is_the_dags(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "catalogues"
    copy_catalogues(folder, monkeypatch)
    (folder / "demo.yaml").write_text((folder / "demo.yaml").read_text() + "\nsearch: {rungs: 1}\n")
    order = [task.task_id for task in read_dags(ROOT / "dags").dags["search_demo"].topological_sort()]
    assert order == ["ingest", "plan", "rung_1", "report"]


def test_a_wrong_search_space_names_file_key_and_reason(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "catalogues"
    copy_catalogues(folder, monkeypatch)
    text = (folder / "demo.yaml").read_text() + "\nsearch: {space: {backtest.windws: [3]}}\n"
    (folder / "demo.yaml").write_text(text)
    bag = read_dags(ROOT / "dags")
    assert not {"retrain_demo", "search_demo"} & set(bag.dags)
    (error,) = bag.import_errors.values()
    assert "demo.yaml: file: search.space.backtest.windws: unknown key" in error
