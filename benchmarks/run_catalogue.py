"""Time one retraining run of a catalogue through Airflow's scheduler, on the running embedded stack.

    .venv/bin/python -m include.skufleet.local env .venv/bin/python -m benchmarks.run_catalogue m5 2016-05-22

The catalogue's data must have been landed (``make import``). Prints one JSON line last: what ``README.md`` here quotes.
"""

from __future__ import annotations

import argparse
import json

from benchmarks.machine import describe_machine
from benchmarks.timed_run import time_run
from include.skufleet.cli.main import open_airflow
from include.skufleet.config import read_settings
from include.skufleet.lake.connecting import open_store
from include.skufleet.local.settings import load_settings
from include.skufleet.local.stack import access

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue")
    parser.add_argument("as_of", help="YYYY-MM-DD")
    options = parser.parse_args()
    api, store = open_airflow(access(load_settings())), open_store(read_settings().bucket)
    figures = time_run(api, store, options.catalogue, {"as_of": options.as_of})
    print(json.dumps({"benchmark": "run_catalogue", **figures, "machine": describe_machine()}))  # noqa: T201 -- result
