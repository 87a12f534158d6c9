from __future__ import annotations

import io
import json
import math
import zipfile

import pytest
import yaml

from include.skufleet.errors import ArtifactError
from include.skufleet.registry.package import ModelPackage, demand_signature, pack_module, pinned, read_parameters
from tests.unit.registry.fleet_of_models import PACKAGE, SCORER


def test_an_artifact_is_text_that_describes_itself() -> None:
    files = PACKAGE.files({"sku": "A", "level": 1}, run_id="r1")
    assert list(files) == ["model.json", "scorer.zip", "python_env.yaml", "MLmodel"]
    assert json.loads(files["model.json"]) == {"sku": "A", "level": 1}
    described = yaml.safe_load(files["MLmodel"])
    flavor = described["flavors"]["python_function"]
    assert (flavor["loader_module"], flavor["data"], flavor["code"]) == (PACKAGE.module, "model.json", "scorer.zip")
    assert flavor["env"] == {"virtualenv": "python_env.yaml"}
    assert described["run_id"] == "r1"
    inputs = {item["name"]: item["required"] for item in json.loads(described["signature"]["inputs"])}
    assert inputs == {"store": True, "date": True, "price": False, "events": False, "closed": False, "snap": False}


def test_the_output_has_the_bounds_which_a_model_may_lack() -> None:
    package = ModelPackage(SCORER, demand_signature(bounds=["lower_80", "upper_80"]), pinned())
    described = yaml.safe_load(package.files({}, run_id="r")["MLmodel"])
    outputs = {item["name"]: item["required"] for item in json.loads(described["signature"]["outputs"])}
    assert outputs == {"sku": True, "store": True, "date": True, "y_hat": True, "lower_80": False, "upper_80": False}


def test_requirements_name_the_installed_versions() -> None:
    environment = yaml.safe_load(PACKAGE.files({}, run_id="r")["python_env.yaml"])
    assert environment["python"].startswith("3.")
    lines = environment["dependencies"]
    assert [line.partition("==")[0] for line in lines] == ["mlflow", "numpy", "pandas"]
    assert all(line.partition("==")[2][0].isdigit() for line in lines)


def test_the_packed_scorer_is_the_source_without_its_documentation() -> None:
    source = '''"""Says why."""


def double(value):
    """Twice."""
    # Not the half.
    return 2 * value  # twice


class Empty:
    """Nothing but this."""
'''
    packed = pack_module("scorer", source)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["scorer.py"]
        assert (
            archive.read("scorer.py").decode() == "def double(value):\n    return 2 * value\n\nclass Empty:\n    pass"
        )
    assert pack_module("scorer", source) == packed, "the same bytes at any time"


def test_what_models_share_is_made_once_per_run() -> None:
    first, second = (PACKAGE.files({"level": level}, run_id="r") for level in (1, 2))
    assert first["MLmodel"] is second["MLmodel"]
    assert PACKAGE.files({}, run_id="other")["MLmodel"] != first["MLmodel"]


def test_two_scorers_have_two_module_names() -> None:
    other = ModelPackage(SCORER + "\n", demand_signature(), pinned())
    assert other.module != PACKAGE.module
    assert ModelPackage(SCORER, demand_signature(), pinned()).module == PACKAGE.module


@pytest.mark.parametrize("parameters", [{"level": math.nan}, {"level": math.inf}, {"level": {1, 2}}])
def test_parameters_that_are_no_json_are_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(ArtifactError, match=r"model\.json"):
        PACKAGE.files(parameters, run_id="r")


@pytest.mark.parametrize("content", [b"", b'{"level": ', b"\xff\xfe", b"[1]"])
def test_a_broken_artifact_is_named(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"s3://b/model\.json"):
        read_parameters(content, "s3://b/model.json")
