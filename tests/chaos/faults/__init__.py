"""All faults by name, in the order in which they are made. Each starts a run and breaks something while it goes on."""

from __future__ import annotations

from tests.chaos.drill import Fault
from tests.chaos.faults import deliveries, runs, services, storage, tasks

FAULTS: dict[str, Fault] = {
    fault.__name__: fault for module in (tasks, runs, services, storage, deliveries) for fault in module.FAULTS
}
