"""What the flow relies on in any task, whatever kind of answer it gives."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from headstart.contracts import Task
from headstart.testing.demands import checks_in, demand
from headstart.testing.tasks import answers, training
from headstart.testing.tasks.sample import THREE, Sample

CONTRACT: Final = Task
CHECKS: Final = checks_in(training.__name__, answers.__name__)


def subject(task: Task, example: Any) -> Sample:
    """What the checks take. Raises ContractError for a kind of target that needs an example."""
    demand(
        not task.reads_maps,
        "reads maps of places, of which no examples are known. Test it on a small detector.",
    )
    if example is not None:
        three, labels = example
        return Sample(task, np.asarray(three), tuple(labels))
    demand(
        task.kind in THREE,
        f"answers with {task.kind!r}, of which no examples are known. "
        "Give example=(targets of three items that differ, names of the outputs).",
    )
    return Sample(task, THREE[task.kind], ("ant", "bee", "cat"))
