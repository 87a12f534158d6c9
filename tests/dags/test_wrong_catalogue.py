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
    assert "retrain_wrong" not in bag.dags
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
    assert "retrain_corner_shop" in bag.dags
