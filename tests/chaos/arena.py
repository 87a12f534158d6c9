"""The platform that is broken: a stack of its own on real servers, a simulated chain, poison among its SKUs."""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from include.skufleet.local import processes
from include.skufleet.local import stack as embedded
from include.skufleet.local.beside import find_free_ports, settings_beside
from include.skufleet.local.settings import StackSettings
from include.skufleet.sources.demo.land import land_demo
from tests.chaos.poison import land_poison
from tests.chaos.proxy import Proxy
from tests.integration.conftest import RunningStack
from tests.integration.fleet_runs import DAG, Shop

DISK = "1500m"
ROOM = 40
"""Days between the chain's first delivery and today: so many more can follow."""


@dataclass
class Arena:
    """A platform that has been through its first run.

    Attributes:
        shop: lands, triggers, looks.
        proxy: stands before its S3 server.
        disk: the folder of the S3 server's objects, where it is a disk of its own; else ``None``.
        poison: codes of the SKUs that are poison.
    """

    shop: Shop
    proxy: Proxy
    disk: Path | None
    poison: list[str]

    @property
    def settings(self) -> StackSettings:
        return self.shop.stack.settings

    def find(self, service: str) -> psutil.Process:
        """The leading process of a service that runs."""
        found = processes.find_process(processes.read_started(self.settings.paths, service))
        assert found is not None, f"{service} does not run"
        return found

    def kill(self, *services: str) -> None:
        """SIGKILL services of the stack with all their processes, as a machine that dies does."""
        doomed = [
            process
            for service in services
            for process in processes.find_members(
                self.settings.paths, service, processes.read_started(self.settings.paths, service)
            )
        ]
        for process in doomed:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(doomed, timeout=30)

    def up(self) -> None:
        """What a person does who sees that something is down."""
        embedded.up(self.settings)


@contextmanager
def open_arena(seed: int, skus: int = 120) -> Iterator[Arena]:
    """A new platform, with a catalogue landed and retrained once; nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix="skufleet-chaos-") as folder:
        port, state = find_free_ports(1)[0], Path(folder) / "local"
        settings = settings_beside(state, SKUFLEET_MLFLOW_DIRECT="0", SKUFLEET_S3_ENDPOINT=f"http://127.0.0.1:{port}")
        behind = f"http://127.0.0.1:{settings.ports.s3}"
        with _own_disk(settings.paths.s3) as disk, Proxy(port, behind, seed) as proxy:
            try:
                stack = _start(settings, behind)
                shop = Shop.open(stack)
                chance = random.Random(seed)  # noqa: S311 -- no secret
                yield Arena(shop, proxy, disk, _land(shop, chance, skus))
            finally:
                embedded.down(settings)


def _start(settings: StackSettings, behind: str) -> RunningStack:
    access = embedded.up(settings)
    user, password = next(iter(json.loads(access.login.read_text(encoding="utf-8")).items()))
    return RunningStack(
        settings=settings,
        # The suite itself reaches S3 past the proxy.
        environment=access.environment | {"AWS_ENDPOINT_URL_S3": behind, "MLFLOW_S3_ENDPOINT_URL": behind},
        airflow_url=access.airflow_url,
        mlflow_url=access.mlflow_url,
        bucket=access.bucket,
        login=(user, password),
    )


def _land(shop: Shop, chance: random.Random, skus: int) -> list[str]:
    landing = shop.catalogue.landing
    shop.end = datetime.now(UTC).date() - timedelta(days=ROOM)
    land_demo(shop.store, landing, shop.end, seed=chance.randint(1, 10**6), skus=skus, stores=1, days=420)
    poison = land_poison(shop.store, landing, shop.end)
    shop.api.wait_for_dag(DAG)
    shop.api.unpause(DAG)
    return poison


@contextmanager
def _own_disk(folder: Path) -> Iterator[Path | None]:
    """A small disk in memory for the S3 server, which a fault can fill; none where mounting is not allowed."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield folder if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
