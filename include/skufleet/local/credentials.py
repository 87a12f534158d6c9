"""The secrets of one installation: generated once, kept in a file that only its owner may read, never shown.

What does not belong here: handing them to processes (`environment.py`).
"""

import base64
import json
import secrets
from dataclasses import asdict, dataclass, field, fields

from include.skufleet.errors import LocalStackError
from include.skufleet.local.settings import Paths, write_private

ADMIN = "admin"


@dataclass(frozen=True)
class Credentials:
    """Every secret of one installation; `repr` shows none of them."""

    postgres_password: str = field(repr=False)
    s3_access_key: str = field(repr=False)
    s3_secret_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    api_secret: str = field(repr=False)
    fernet_key: str = field(repr=False)
    mlflow_secret: str = field(repr=False)
    admin_password: str = field(repr=False)


def generate_credentials() -> Credentials:
    """Return fresh secrets from the operating system's random source."""
    return Credentials(
        postgres_password=secrets.token_hex(24),
        s3_access_key=f"SKU{secrets.token_hex(8).upper()}",
        s3_secret_key=secrets.token_hex(24),
        jwt_secret=secrets.token_hex(48),
        api_secret=secrets.token_hex(32),
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        mlflow_secret=secrets.token_hex(32),
        admin_password=secrets.token_urlsafe(15),
    )


def load_credentials(paths: Paths) -> Credentials:
    """Return this installation's secrets; they are generated, with Airflow's login file, the first time.

    The login file is written when it is missing, and left alone otherwise: a password changed there stays changed.

    Raises:
        LocalStackError: the file cannot be read as what this function once wrote.
    """
    paths.state.mkdir(parents=True, exist_ok=True)
    paths.state.chmod(0o700)
    if not paths.credentials.exists():
        write_private(paths.credentials, json.dumps(asdict(generate_credentials()), indent=1) + "\n")
    credentials = _read(paths)
    paths.credentials.chmod(0o600)
    if not paths.login.exists():
        write_private(paths.login, json.dumps({ADMIN: credentials.admin_password}) + "\n")
    paths.login.chmod(0o600)
    return credentials


def _read(paths: Paths) -> Credentials:
    names = {item.name for item in fields(Credentials)}
    advice = (
        f"Restore {paths.shown(paths.credentials)} from a copy, or remove {paths.shown(paths.state)} to start afresh "
        "(its data is lost)."
    )
    try:
        values = json.loads(paths.credentials.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LocalStackError(f"{paths.shown(paths.credentials)}: cannot be read as JSON. {advice}") from error
    if (
        not isinstance(values, dict)
        or set(values) != names
        or not all(isinstance(v, str) and v for v in values.values())
    ):
        raise LocalStackError(
            f"{paths.shown(paths.credentials)}: not the secrets that were once written there. {advice}"
        )
    return Credentials(**values)
