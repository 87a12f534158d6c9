"""Do the chunks whose tasks vanished: an orchestrator may drop a mapped task without a word, and go on.

A task that ran and failed left its tries behind (``attempts.py``). One that has tries left, and no results although
all of them are said to be over, was not given them.
"""

from __future__ import annotations

import logging
from typing import Any

from include.skufleet.config import Catalogue
from include.skufleet.errors import PermanentError
from include.skufleet.fleet.attempts import count_tries
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.retrain import retrain_chunk
from include.skufleet.fleet.run import TRIES, Run

log = logging.getLogger(__name__)


def rescue_chunks(clients: Clients, catalogue: Catalogue, run: Run, plan: dict[str, Any]) -> list[str]:
    """Retrain, here and now, each chunk that has neither results nor used up its tries; their names.

    A chunk that fails for good once more stays lost, as the report will say.

    Raises:
        TransientError: a service is away; a second call goes on.
    """
    rescued = []
    for chunk in (item["chunk"] for item in plan["chunks"]):
        folder = run.chunk_folder(chunk)
        if clients.store.exists(f"{folder}/results.parquet"):
            continue
        tries = count_tries(clients.store, folder)
        if tries >= TRIES:
            continue
        log.warning("Chunk %s has no results after %d of %d tries: it is done here", chunk, tries, TRIES)
        try:
            retrain_chunk(clients, catalogue, run, chunk)
        except PermanentError:
            log.exception("Chunk %s cannot be done here either", chunk)
        else:
            rescued.append(chunk)
    return rescued
