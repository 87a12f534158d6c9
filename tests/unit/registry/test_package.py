from __future__ import annotations

import json
import math

import pytest
import yaml

from include.skufleet.errors import ArtifactError
from include.skufleet.registry.package import ModelPackage, demand_signature, pinned, read_parameters
from tests.unit.registry.fleet_of_models import PACKAGE, SCORER


def test_an_artifact_is_text_that_describes_itself() -> None:
    files = PACKAGE.files({"sku": "A", "level": 1}, model_id="m-1", run_id="r1")
    assert set(files) == {"MLmodel", "model.json", f"code/{PACKAGE.module}.py", "requirements.txt", "python_env.yaml"}
    assert list(files)[-1] == "MLmodel"
    assert json.loads(files["model.json"]) == {"sku": "A", "level": 1}
    assert files[f"code/{PACKAGE.module}.py"].decode() == SCORER
    described = yaml.safe_load(files["MLmodel"])
    flavor = described["flavors"]["python_function"]
    assert (flavor["loader_module"], flavor["data"], flavor["code"]) == (PACKAGE.module, "model.json", "code")
    assert flavor["env"] == {"virtualenv": "python_env.yaml"}
    assert (described["model_id"], described["run_id"]) == ("m-1", "r1")
    inputs = {item["name"]: item["required"] for item in json.loads(described["signature"]["inputs"])}
    assert inputs == {"store": True, "date": True, "price": False, "events": False, "closed": False, "snap": False}


def test_the_output_has_the_bounds_which_a_model_may_lack() -> None:
    package = ModelPackage(SCORER, demand_signature(bounds=["lower_80", "upper_80"]), pinned())
    described = yaml.safe_load(package.files({}, model_id="m", run_id="r")["MLmodel"])
    outputs = {item["name"]: item["required"] for item in json.loads(described["signature"]["outputs"])}
    assert outputs == {"sku": True, "store": True, "date": True, "y_hat": True, "lower_80": False, "upper_80": False}


def test_requirements_name_the_installed_versions() -> None:
    lines = PACKAGE.files({}, model_id="m", run_id="r")["requirements.txt"].decode().splitlines()
    assert [line.partition("==")[0] for line in lines] == ["mlflow", "numpy", "pandas"]
    assert all(line.partition("==")[2][0].isdigit() for line in lines)


def test_two_scorers_have_two_module_names() -> None:
    other = ModelPackage(SCORER + "\n", demand_signature(), pinned())
    assert other.module != PACKAGE.module
    assert ModelPackage(SCORER, demand_signature(), pinned()).module == PACKAGE.module


@pytest.mark.parametrize("parameters", [{"level": math.nan}, {"level": math.inf}, {"level": {1, 2}}])
def test_parameters_that_are_no_json_are_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(ArtifactError, match=r"model\.json"):
        PACKAGE.files(parameters, model_id="m", run_id="r")


@pytest.mark.parametrize("content", [b"", b'{"level": ', b"\xff\xfe", b"[1]"])
def test_a_broken_artifact_is_named(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"s3://b/model\.json"):
        read_parameters(content, "s3://b/model.json")
