"""Read catalogue files, and say what is wrong with one: the file, the key and the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    ValidationError,
)

from include.skufleet.config.catalogue import Catalogue
from include.skufleet.config.problems import describe_problems
from include.skufleet.errors import CatalogueError

CATALOGUES_FOLDER = Path(__file__).resolve().parents[2] / "catalogues"


class _Loader(yaml.SafeLoader):
    """The safe loader, but a key given twice is an error: the last one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Check the keys, then read the mapping as ever."""
        seen = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def load_catalogue(path: Path) -> Catalogue:
    """Read and check one catalogue file.

    Raises:
        CatalogueError: the file cannot be read, is not YAML, has an unknown key or an impossible value, or its name
            is not its file's name. The message lists every wrong key with the reason.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path.name}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise CatalogueError(f"{path.name}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise CatalogueError(f"{path.name}: expected keys and values, got {type(raw).__name__}")
    raw.setdefault("name", path.stem)
    try:
        catalogue = Catalogue.model_validate(raw)
    except ValidationError as error:
        raise CatalogueError(f"{path.name}: {describe_problems(error)}") from error
    if catalogue.name != path.stem:
        raise CatalogueError(f"{path.name}: name: got {catalogue.name!r}, expected the file's name {path.stem!r}")
    return catalogue


def catalogue_files(folder: Path = CATALOGUES_FOLDER) -> dict[str, Path]:
    """The catalogue files of a folder by catalogue name, sorted. A file that cannot be right is listed all the same."""
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_catalogue(name: str, folder: Path = CATALOGUES_FOLDER) -> Catalogue:
    """Load the catalogue of that name.

    Raises:
        CatalogueError: there is no such file, or it is wrong.
    """
    files = catalogue_files(folder)
    if name not in files:
        raise CatalogueError(f"no catalogue {name!r}: {folder} has {', '.join(files) or 'no catalogue file'}")
    return load_catalogue(files[name])
