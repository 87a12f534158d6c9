"""Settings of the embedded stack (the environment, then `.env`, then the defaults), and its folders.

What does not belong here: secrets (`credentials.py`) and what the child processes are told (`environment.py`).
"""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.skufleet.errors import ConfigError

PROJECT_ROOT = Path(__file__).resolve().parents[3]
LOWEST_PORT = 1024
HIGHEST_PORT = 65535

DEFAULTS: dict[str, str] = {
    "SKUFLEET_LOCAL_DIR": ".local",
    "SKUFLEET_POSTGRES_PORT": "15432",
    "SKUFLEET_S3_PORT": "19000",
    "SKUFLEET_MLFLOW_PORT": "5000",
    "SKUFLEET_AIRFLOW_PORT": "8080",
    "SKUFLEET_BUCKET": "skufleet",
    "SKUFLEET_PARALLELISM": "",
    "SKUFLEET_PRELOAD": "1",
    "SKUFLEET_MLFLOW_DIRECT": "1",
    "SKUFLEET_S3_ENDPOINT": "",
}
"""Every variable that the stack reads, with its default; an empty parallelism means one slot a core, at least 2."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


@dataclass(frozen=True)
class Ports:
    """Loopback ports of the four servers."""

    postgres: int
    s3: int
    mlflow: int
    airflow: int


@dataclass(frozen=True)
class Paths:
    """Where everything is: `root` is the project, `state` the folder of this installation (normally `.local`)."""

    root: Path
    state: Path

    @property
    def logs(self) -> Path:
        """One log file per process, and Airflow's task logs under `airflow/`."""
        return self.state / "logs"

    @property
    def pids(self) -> Path:
        """One small JSON file per process that was started."""
        return self.state / "pids"

    @property
    def credentials(self) -> Path:
        """The generated secrets, mode 600."""
        return self.state / "secrets.json"

    @property
    def login(self) -> Path:
        """Airflow's user names and passwords, mode 600."""
        return self.state / "airflow-login.json"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data folder."""
        return self.state / "postgres" / "data"

    @property
    def migrations(self) -> Path:
        """Which version's schema each database has; lives and dies with the databases."""
        return self.state / "postgres" / "migrations.json"

    @property
    def s3(self) -> Path:
        """The objects of the S3 server."""
        return self.state / "s3"

    @property
    def airflow_home(self) -> Path:
        """AIRFLOW_HOME."""
        return self.state / "airflow"

    @property
    def lock(self) -> Path:
        """Held while the stack is being started or stopped."""
        return self.state / "lock"

    def log(self, service: str) -> Path:
        """Return the log file of one process."""
        return self.logs / f"{service}.log"

    def shown(self, path: Path) -> str:
        """Return `path` as a person in the project's folder would type it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


@dataclass(frozen=True)
class StackSettings:
    """What the embedded stack can be told.

    Attributes:
        ports: where its servers listen.
        paths: where it keeps what it has.
        bucket: name of the S3 bucket.
        parallelism: tasks at the same time.
        preload: whether the scheduler imports the tasks' libraries ahead of them.
        mlflow_direct: whether tasks write straight into MLflow's database.
        s3_endpoint: the address at which clients reach S3, where something stands before its server; else empty.
    """

    ports: Ports
    paths: Paths
    bucket: str
    parallelism: int
    preload: bool
    mlflow_direct: bool
    s3_endpoint: str = ""


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of a `.env` file; a missing file is empty.

    Quotes around a whole value are removed, a ` #` after an unquoted value starts a comment. Nothing is expanded.

    Raises:
        ConfigError: a line is neither empty, nor a comment, nor `NAME=value`; the message names its number only.
    """
    if not path.exists():
        return {}
    values: dict[str, str] = {}
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigError(f"{path.name}, line {number}: expected NAME=value or a comment. Mend or remove the line.")
        values[match[1]] = _unquote(match[2])
    return values


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()


def _read_whole(values: Mapping[str, str], name: str, lowest: int, highest: int) -> int:
    text = values[name]
    if text.isdecimal() and lowest <= int(text) <= highest:
        return int(text)
    raise ConfigError(f"{name}: got {text!r}, expected a whole number from {lowest} to {highest}. Change it in .env.")


def _read_ports(values: Mapping[str, str]) -> Ports:
    names = {field: f"SKUFLEET_{field.upper()}_PORT" for field in ("postgres", "s3", "mlflow", "airflow")}
    ports = {field: _read_whole(values, name, LOWEST_PORT, HIGHEST_PORT) for field, name in names.items()}
    for field, port in ports.items():
        twins = [names[other] for other, its_port in ports.items() if its_port == port and other != field]
        if twins:
            raise ConfigError(f"{names[field]} and {twins[0]} are both {port}. Give each its own port in .env.")
    return Ports(**ports)


def load_settings(root: Path = PROJECT_ROOT, environ: Mapping[str, str] | None = None) -> StackSettings:
    """Return the settings of the stack that belongs to the project at `root`.

    Args:
        root: the project's folder, where `.env` is looked for.
        environ: stands for the process's environment; it wins over `.env`. An empty value counts as absent.

    Raises:
        ConfigError: a value is impossible; the message names the variable.
    """
    given = {**read_dotenv(root / ".env"), **(os.environ if environ is None else environ)}
    values = {name: given.get(name, "").strip() or default for name, default in DEFAULTS.items()}
    if not _BUCKET.fullmatch(values["SKUFLEET_BUCKET"]):
        raise ConfigError(
            f"SKUFLEET_BUCKET: got {values['SKUFLEET_BUCKET']!r}, expected 3 to 63 lower-case letters, "
            "digits and hyphens. Change it in .env."
        )
    values["SKUFLEET_PARALLELISM"] = values["SKUFLEET_PARALLELISM"] or str(max(2, os.cpu_count() or 2))
    return StackSettings(
        ports=_read_ports(values),
        paths=Paths(root=root, state=(root / Path(values["SKUFLEET_LOCAL_DIR"]).expanduser()).resolve()),
        bucket=values["SKUFLEET_BUCKET"],
        parallelism=_read_whole(values, "SKUFLEET_PARALLELISM", 1, 512),
        preload=_read_whole(values, "SKUFLEET_PRELOAD", 0, 1) == 1,
        mlflow_direct=_read_whole(values, "SKUFLEET_MLFLOW_DIRECT", 0, 1) == 1,
        s3_endpoint=values["SKUFLEET_S3_ENDPOINT"].rstrip("/"),
    )


def write_private(path: Path, text: str) -> None:
    """Write `path` whole or not at all, readable by its owner only."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
