"""Shows what is wrong with a catalogue file as an import error in the Airflow UI, and defines no Dag.

It is a file of its own so that the error is seen while the Dags of the other catalogues, in ``retrain.py``, stay up.
"""

from __future__ import annotations

from include.skufleet.config import catalogue_files, load_catalogue
from include.skufleet.errors import CatalogueError

problems = []
for path in catalogue_files().values():
    try:
        load_catalogue(path)
    except CatalogueError as error:
        problems.append(str(error))

if problems:
    raise CatalogueError("Wrong catalogue files in include/catalogues: " + " | ".join(problems))
