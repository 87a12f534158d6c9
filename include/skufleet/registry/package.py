"""The files of one model's artifact: parameters as JSON, the scorer's code, and what MLflow needs to load both.

::

    MLmodel             MLflow's description: loader module, signature, environment
    model.json          the parameters: all that differs between two models of a chunk
    scorer.zip          the scorer as one Python module, without its documentation; its name holds a hash of its source
    python_env.yaml     Python and packages that it was tested with

No pickle: loading a model runs the scorer's code and nothing that the data could hold. Python imports from a zip file
as from a folder; packed so, the code is a fifth of its source, and one object.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import platform
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, Literal

from include.skufleet.errors import ArtifactError

DATA_FILE = "model.json"
CODE_FILE = "scorer.zip"
ENVIRONMENT_FILE = "python_env.yaml"
DESCRIPTION_FILE = "MLmodel"
ColumnType = Literal["string", "double", "long", "boolean", "datetime"]


@dataclass(frozen=True)
class Column:
    """One column of a model's input or output; an optional one may be absent."""

    name: str
    type: ColumnType
    required: bool = True


@dataclass(frozen=True)
class Signature:
    """The columns that a model takes and gives."""

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]


def demand_signature(flags: Iterable[str] = (), bounds: Iterable[str] = ()) -> Signature:
    """Stores and dates in, expected units and their bounds out.

    Price, events, closed days and the catalogue's flags are optional; so are the bounds (``lower_80, upper_80, ...``),
    which a model without a backtest does not give.
    """
    optional = (Column("price", "double", False), Column("events", "string", False), Column("closed", "double", False))
    return Signature(
        inputs=(
            Column("store", "string"),
            Column("date", "datetime"),
            *optional,
            *(Column(name, "double", False) for name in flags),
        ),
        outputs=(
            Column("sku", "string"),
            Column("store", "string"),
            Column("date", "datetime"),
            Column("y_hat", "double"),
            *(Column(name, "double", False) for name in bounds),
        ),
    )


def pinned(packages: Iterable[str] = ("mlflow", "numpy", "pandas")) -> tuple[str, ...]:
    """``package==version`` of what is installed: a model is scored with what it was tested with."""
    return tuple(f"{name}=={version(name)}" for name in packages)


@dataclass(frozen=True)
class ModelPackage:
    """The part of an artifact that all models of a run share.

    Attributes:
        scorer_source: text of a module that has ``_load_pyfunc(path)``, where ``path`` is ``model.json``. It may import
            only what ``requirements`` names.
        signature: the columns in and out.
        requirements: pip requirements, one per line.
    """

    scorer_source: str
    signature: Signature
    requirements: tuple[str, ...]

    @cached_property
    def module(self) -> str:
        """The scorer's module name: two sources loaded into one process must not answer to one name."""
        return "skufleet_scorer_" + hashlib.sha256(self.scorer_source.encode("utf-8")).hexdigest()[:16]

    @cached_property
    def _mlflow_signature(self) -> Any:
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

        def schema(columns: tuple[Column, ...]) -> Any:
            return Schema([ColSpec(type=item.type, name=item.name, required=item.required) for item in columns])

        return ModelSignature(inputs=schema(self.signature.inputs), outputs=schema(self.signature.outputs))

    def files(self, parameters: Mapping[str, Any], *, run_id: str) -> dict[str, bytes]:
        """Path within the artifact -> content; ``MLmodel`` last, since a reader looks for it first.

        Raises:
            ArtifactError: the parameters hold something that JSON cannot, NaN and infinity included.
        """
        try:
            data = json.dumps(parameters, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"{DATA_FILE}: the parameters cannot be written as JSON: {error}") from error
        return {DATA_FILE: data.encode("utf-8", "surrogatepass"), **self.shared_files(run_id)}

    def shared_files(self, run_id: str) -> dict[str, bytes]:
        """What all models of a run have in common: made once, for writing YAML takes longer than training some SKUs.

        Call it before several threads ask for ``files``: CPython 3.11 cannot parse source in two threads at a time.
        """
        if run_id not in self._shared:
            environment = {"python": platform.python_version(), "dependencies": list(self.requirements)}
            self._shared[run_id] = {
                CODE_FILE: pack_module(self.module, self.scorer_source),
                ENVIRONMENT_FILE: json.dumps(environment).encode("utf-8"),
                DESCRIPTION_FILE: self._mlmodel(run_id).encode("utf-8"),
            }
        return self._shared[run_id]

    @cached_property
    def _shared(self) -> dict[str, dict[str, bytes]]:
        return {}

    def _mlmodel(self, run_id: str) -> str:
        from mlflow import pyfunc
        from mlflow.models import Model

        model = Model(run_id=run_id, signature=self._mlflow_signature)
        pyfunc.add_to_model(
            model, loader_module=self.module, data=DATA_FILE, code=CODE_FILE, python_env=ENVIRONMENT_FILE
        )
        return str(model.to_yaml())


def pack_module(name: str, source: str) -> bytes:
    """A zip file with one module: the source without comments and docstrings. The same bytes for the same source."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        entry = zipfile.ZipInfo(f"{name}.py", date_time=(1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, ast.unparse(tree))
    return buffer.getvalue()


def artifact_files(uri: str) -> list[str]:
    """The addresses of all files of the artifact in a folder."""
    return [f"{uri}/{name}" for name in (DATA_FILE, CODE_FILE, ENVIRONMENT_FILE, DESCRIPTION_FILE)]


def read_parameters(content: bytes, where: str) -> dict[str, Any]:
    """The parameters out of a ``model.json``.

    Raises:
        ArtifactError: it is not a JSON object; the message names ``where``.
    """
    try:
        parameters = json.loads(content.decode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise ArtifactError(f"{where}: not the JSON of a model ({len(content)} bytes): {error}") from error
    if not isinstance(parameters, dict):
        raise ArtifactError(f"{where}: expected a JSON object, got {type(parameters).__name__}")
    return parameters
