"""What the processes of the stack are told: a pure mapping from addresses, secrets and folders to variables.

`docker-compose.yaml` sets the same names for a real deployment; a test compares the two.
What does not belong here: reading the environment, files or the clock.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from include.skufleet.local.credentials import ADMIN, Credentials
from include.skufleet.local.settings import Paths, StackSettings

HOST = "127.0.0.1"
REGION = "us-east-1"
DATABASE_USER = "skufleet"
MAX_MAP_LENGTH = 4096
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
MARKER = "SKUFLEET_STACK"


@dataclass(frozen=True)
class Endpoints:
    """Base addresses of the servers, without a slash at the end."""

    s3: str
    mlflow: str
    airflow: str
    postgres: str

    @classmethod
    def on_loopback(cls, settings: StackSettings) -> "Endpoints":
        """Return the addresses of the embedded stack."""
        ports = settings.ports
        return cls(
            s3=settings.s3_endpoint or f"http://{HOST}:{ports.s3}",
            mlflow=f"http://{HOST}:{ports.mlflow}",
            airflow=f"http://{HOST}:{ports.airflow}",
            postgres=f"{HOST}:{ports.postgres}",
        )


def database_url(endpoints: Endpoints, credentials: Credentials, database: str) -> str:
    """Return the SQLAlchemy address of one database, password included."""
    return f"postgresql+psycopg2://{DATABASE_USER}:{credentials.postgres_password}@{endpoints.postgres}/{database}"


def aws_connection(endpoints: Endpoints, credentials: Credentials) -> str:
    """Return Airflow's connection `aws_default` as JSON: path-style addressing and adaptive retries."""
    config = {"s3": {"addressing_style": "path"}, "retries": {"max_attempts": 8, "mode": "adaptive"}}
    extra = {"endpoint_url": endpoints.s3, "region_name": REGION, "config_kwargs": config}
    return json.dumps(
        {
            "conn_type": "aws",
            "login": credentials.s3_access_key,
            "password": credentials.s3_secret_key,
            "extra": extra,
        }
    )


def client_environment(settings: StackSettings, endpoints: Endpoints, credentials: Credentials) -> dict[str, str]:
    """Return what any program needs that talks to the stack: a task, the command line, a notebook."""
    return {
        "AWS_ACCESS_KEY_ID": credentials.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.s3_secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": endpoints.s3,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLFLOW_TRACKING_URI": endpoints.mlflow,
        "MLFLOW_S3_ENDPOINT_URL": endpoints.s3,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GX_ANALYTICS_ENABLED": "false",
        "SKUFLEET_BUCKET": settings.bucket,
        "SKUFLEET_SLOTS": str(settings.parallelism),
        "SKUFLEET_LOCAL_DIR": str(settings.paths.state),
        "SKUFLEET_AIRFLOW_UI_URL": endpoints.airflow,
        "SKUFLEET_MLFLOW_UI_URL": endpoints.mlflow,
        "PYTHONPATH": str(settings.paths.root),
        "MPLBACKEND": "Agg",
        # As many tasks as cores run at once: more threads inside each would only fight.
        **dict.fromkeys(ONE_THREAD, "1"),
    }


def mlflow_environment(settings: StackSettings, endpoints: Endpoints, credentials: Credentials) -> dict[str, str]:
    """Return what the MLflow server needs beside the client's settings; secrets go this way so that `ps` shows none."""
    return {
        "MLFLOW_BACKEND_STORE_URI": database_url(endpoints, credentials, "mlflow"),
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": f"s3://{settings.bucket}/mlflow",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": allowed_hosts(endpoints.mlflow),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": endpoints.mlflow,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": credentials.mlflow_secret,
    }


def allowed_hosts(address: str) -> str:
    """Return the Host headers that a server at `address` may answer to: its own, and localhost with the same port."""
    host, _, port = address.removeprefix("http://").partition(":")
    return f"{host}:{port},localhost:{port}"


def airflow_environment(settings: StackSettings, endpoints: Endpoints, credentials: Credentials) -> dict[str, str]:
    """Return Airflow's settings, the connection `aws_default` among them."""
    paths = settings.paths
    sections: dict[str, Mapping[str, object]] = {
        "CORE": _core(settings, endpoints, credentials, paths),
        "API": {
            "BASE_URL": endpoints.airflow,
            "HOST": HOST,
            "PORT": settings.ports.airflow,
            "SECRET_KEY": credentials.api_secret,
            "INSTANCE_NAME": "Skufleet",
            "WORKERS": 1 + settings.parallelism // 8,
        },
        "API_AUTH": {"JWT_SECRET": credentials.jwt_secret, "JWT_ISSUER": "skufleet"},
        "DATABASE": {"SQL_ALCHEMY_CONN": database_url(endpoints, credentials, "airflow")},
        "DAG_PROCESSOR": {
            "REFRESH_INTERVAL": 10,
            "MIN_FILE_PROCESS_INTERVAL": 30,
            # Also for telling people of a failed run: reading the Dag file, then S3, a webhook and a mail at worst.
            "DAG_FILE_PROCESSOR_TIMEOUT": 120,
        },
        "SCHEDULER": {
            "MAX_TIS_PER_QUERY": 128,
            "ORPHANED_TASKS_CHECK_INTERVAL": 60,
            # How long a task waits for the scheduler to see that the one before has ended. Less than half a second
            # costs long runs more CPU, 17 ms each time it looks, than it gains short ones: ADR 17.
            "SCHEDULER_IDLE_SLEEP_TIME": 0.5,
        },
        # Airflow's supervisor notices a task's end at once or, by chance, a heartbeat interval later; the default, 5 s,
        # leaves the slot idle that long. Each request of a supervisor is tried for at least 90 s, so that starting the
        # api-server anew costs no task anything. A heartbeat is such a request: three lost ones are 5 minutes, after
        # which the scheduler gives the task up as well.
        "WORKERS": {
            "EXECUTION_API_TIMEOUT": 30,
            "EXECUTION_API_RETRIES": 10,
            "EXECUTION_API_RETRY_WAIT_MIN": 10,
            "EXECUTION_API_RETRY_WAIT_MAX": 15,
            "MIN_HEARTBEAT_INTERVAL": 1,
            "MAX_FAILED_HEARTBEATS": 3,
        },
        "LOGGING": {
            "BASE_LOG_FOLDER": paths.logs / "airflow",
            "DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": paths.logs / "airflow" / "dag_processor",
            "LOGGING_LEVEL": "INFO",
            "COLORED_CONSOLE_LOG": False,
        },
        "USAGE_DATA_COLLECTION": {"ENABLED": False},
    }
    return {
        "AIRFLOW_HOME": str(paths.airflow_home),
        "AIRFLOW_CONN_AWS_DEFAULT": aws_connection(endpoints, credentials),
        "SKUFLEET_PRELOAD": str(int(settings.preload)),
        # Tasks register thousands of models: straight in MLflow's database a request costs a third of one to a server.
        "SKUFLEET_MLFLOW_URI": database_url(endpoints, credentials, "mlflow")
        if settings.mlflow_direct
        else endpoints.mlflow,
        **{
            f"AIRFLOW__{section}__{key}": str(value)
            for section, keys in sections.items()
            for key, value in keys.items()
        },
    }


def _core(
    settings: StackSettings, endpoints: Endpoints, credentials: Credentials, paths: Paths
) -> Mapping[str, object]:
    return {
        "EXECUTOR": "LocalExecutor",
        "PARALLELISM": settings.parallelism,
        "DAGS_FOLDER": paths.root / "dags",
        "PLUGINS_FOLDER": paths.root / "plugins",
        "LOAD_EXAMPLES": False,
        # A schedule starts when a person switches it on; triggering a DAG switches that one on.
        "DAGS_ARE_PAUSED_AT_CREATION": True,
        "MAX_MAP_LENGTH": MAX_MAP_LENGTH,
        "MAX_ACTIVE_TASKS_PER_DAG": max(16, settings.parallelism),
        "AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": paths.login,
        "FERNET_KEY": credentials.fernet_key,
        "EXECUTION_API_SERVER_URL": f"{endpoints.airflow}/execution/",
        # The default asks the resolver for a full name, which takes seconds on a machine without working DNS.
        "HOSTNAME_CALLABLE": "socket.gethostname",
    }


def s3_environment(settings: StackSettings, credentials: Credentials) -> dict[str, str]:
    """Return what the S3 server needs."""
    return {
        "SKUFLEET_S3_PORT": str(settings.ports.s3),
        "SKUFLEET_BUCKET": settings.bucket,
        "AWS_ACCESS_KEY_ID": credentials.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.s3_secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "S3_DATA_DIR": str(settings.paths.s3),
    }


def task_environment(settings: StackSettings, endpoints: Endpoints, credentials: Credentials) -> dict[str, str]:
    """Return what every Airflow process, and with it every task, is given."""
    return {
        **client_environment(settings, endpoints, credentials),
        **airflow_environment(settings, endpoints, credentials),
    }


def child_environment(inherited: Mapping[str, str], added: Mapping[str, str], binaries: str) -> dict[str, str]:
    """Return the environment of a child process: what this process has, cleared of what would mislead, and `added`.

    Args:
        inherited: this process's environment. Other Airflow, MLflow and AWS settings in it are left out: a stray
            `AWS_PROFILE` or `AIRFLOW__...` of another project must not reach the stack.
        added: what the stack sets.
        binaries: the virtual environment's `bin`, put first on PATH because Airflow starts `airflow` by name.
    """
    foreign = ("AIRFLOW", "MLFLOW_", "AWS_", "PYTHON", "_MLFLOW", "GUNICORN_", "UVICORN_")
    kept = {name: value for name, value in inherited.items() if not name.startswith(foreign)}
    proxied = ",".join(filter(None, (kept.get("NO_PROXY") or kept.get("no_proxy"), HOST, "localhost")))
    return {
        **kept,
        "PATH": f"{binaries}:{kept.get('PATH', '/usr/bin:/bin')}",
        "NO_PROXY": proxied,
        "no_proxy": proxied,
        "PYTHONUNBUFFERED": "1",
        **added,
    }
