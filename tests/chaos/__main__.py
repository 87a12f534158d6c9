"""Break the platform: ``make chaos [SEED=1] [FAULTS=chunk_killed,...]``. One JSON line per fault, a summary line last.

The exit code is 1 where an invariant is broken, or a run did not come to its end by itself.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from typing import Any

from tests.chaos.arena import open_arena
from tests.chaos.drill import Record, hold_drill
from tests.chaos.faults import FAULTS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of every random moment")
    parser.add_argument("--faults", default="", help="names, separated by commas; without: all")
    parser.add_argument("--list", action="store_true", help="say which faults there are")
    options = parser.parse_args()
    if options.list:
        for name, fault in FAULTS.items():
            print(f"{name:45} {(fault.__doc__ or '').splitlines()[0]}")  # noqa: T201 -- what was asked for
        return 0
    chosen = [name for name in options.faults.split(",") if name] or list(FAULTS)
    if unknown := sorted(set(chosen) - set(FAULTS)):
        parser.error(f"--faults: no fault named {', '.join(unknown)}; `--list` says which there are")
    return break_all(chosen, options.seed)


def break_all(chosen: list[str], seed: int) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the platform is taken down whatever happens
    began, records = time.monotonic(), []
    with open_arena(seed) as arena:
        for name in chosen:
            record = hold_drill(arena, name, FAULTS[name], seed)
            records.append(record)
            _say(record.to_json())
    held = [record for record in records if record.state != "skipped"]
    _say(summarise(held, seed) | {"skipped": len(records) - len(held), "seconds": round(time.monotonic() - began)})
    return int(any(record.broken or not record.recovered for record in held))


def summarise(records: list[Record], seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "faults": len(records),
        "recovered": sum(record.recovered for record in records),
        "invariants_broken": sum(len(record.broken) for record in records),
        "tries": sum(record.tries for record in records),
        "skus": sum(record.skus for record in records),
        "skus_redone": sum(record.skus_redone for record in records),
    }


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line, ensure_ascii=False), flush=True)  # noqa: T201 -- the result


if __name__ == "__main__":
    sys.exit(main())
