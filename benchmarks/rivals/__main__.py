"""Run the whole comparison and show it: ``make bench-rivals [M5=...] [RETAIL=...]``.

The simulated chain always takes part; M5 and Online Retail where their files are named. With all three and at least 300
SKUs of M5 asked for, the table and the plot go into ``benchmarks/``. Prints one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import Meter
from benchmarks.rivals.comparison import Comparison, compare, prepare
from benchmarks.rivals.plot import draw_plot
from benchmarks.rivals.report import summarise, write_page
from benchmarks.rivals.samples import Sample, draw_demo, draw_m5, draw_retail
from benchmarks.rivals.table import put_between_marks
from include.skufleet.errors import ConfigError, SkufleetError

HERE = Path(__file__).resolve().parents[1]
PYTHON = HERE.parent / ".venv-rivals" / "bin" / "python"
LEAST_M5 = 300
RETAIL_SKUS = 400


def run_contenders(folders: Sequence[Path]) -> None:
    """Let the other tools forecast each folder, in their own environment.

    Raises:
        ConfigError: the environment is not there, or a tool failed (it has said why).
    """
    if not PYTHON.exists():
        raise ConfigError(f"{PYTHON}: is not there; `make bench-rivals` builds it")
    command = [str(PYTHON), "-m", "benchmarks.rivals.contenders", *map(str, folders)]
    done = subprocess.run(command, cwd=HERE.parent, check=False)  # noqa: S603 -- our own module
    if done.returncode:
        raise ConfigError(f"benchmarks.rivals.contenders ended with code {done.returncode}; see above")


def draw_samples(m5: Path | None, retail: Path | None, skus: int) -> list[Sample]:
    """The catalogues that take part.

    Raises:
        SkufleetError: a source cannot be read.
    """
    samples = [draw_m5(m5, skus)] if m5 else []
    samples.append(draw_demo(skus))
    if retail:
        samples.append(draw_retail(retail, min(RETAIL_SKUS, skus + skus // 3)))
    return samples


def run(m5: Path | None, retail: Path | None, skus: int, alone: tuple[str, ...], folder: Path) -> list[Comparison]:
    """All tools on all samples.

    Raises:
        SkufleetError: a source cannot be read, or a tool failed.
    """
    entered = [prepare(sample, folder, alone) for sample in draw_samples(m5, retail, skus)]
    run_contenders([origin.folder for entry in entered for origin in entry.origins])
    return [compare(entry) for entry in entered]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--m5", type=Path, help="zip or folder as Kaggle ships it")
    parser.add_argument("--retail", type=Path, help="Online Retail, one CSV per trading day, zip or folder")
    parser.add_argument("--skus", type=int, default=LEAST_M5, help="of M5 and of the simulated chain")
    parser.add_argument("--alone", default="", help="candidates to try alone; without it all of the catalogue file")
    parser.add_argument("--keep", type=Path, help="folder for the exchanged files; without it they are removed")
    return parser.parse_args(arguments)


def main() -> int:
    """Run, publish, print the line."""
    options = parse()
    alone = tuple(name.strip() for name in options.alone.split(",") if name.strip())
    try:
        with Meter() as meter, tempfile.TemporaryDirectory() as temporary:
            folder = options.keep or Path(temporary)
            found = run(options.m5, options.retail, options.skus, alone, folder)
        page, plot = write_page(found), draw_plot([row for entry in found for row in entry.shown])
        if options.m5 and options.retail and options.skus >= LEAST_M5:
            (HERE / "rivals.svg").write_text(plot, encoding="utf-8")
            put_between_marks(HERE / "README.md", page)
        elif options.keep:
            (folder / "rivals.svg").write_text(plot, encoding="utf-8")
    except SkufleetError as error:
        print(f"bench-rivals: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(page, file=sys.stderr)  # noqa: T201
    print(json.dumps(summarise(found, meter.usage)))  # noqa: T201 -- the result
    return 0


if __name__ == "__main__":
    sys.exit(main())
