"""What the flow relies on in any task, whatever kind of answer it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from headstart.contracts import Task
from headstart.testing.demands import demand
from headstart.testing.tasks import answers, training
from headstart.testing.tasks.sample import THREE, Sample

CONTRACT: Final = Task
CHECKS: Final[tuple[Callable[[Sample], None], ...]] = (
    training.names_its_metric,
    training.a_step_answers_outputs_loss_features_and_targets,
    training.a_step_enters_at_the_boundary_of_its_batch,
    training.a_loss_stays_in_full_precision,
    training.heads_are_seeded_by_torch,
    answers.a_probe_tells_clouds_apart,
    answers.a_probe_bears_a_feature_that_never_changes,
    answers.scores_and_losses_have_one_row_an_item,
    answers.decoded_answers_are_json,
    answers.no_constant_answer_loses_less_than_naive,
    answers.features_that_are_not_finite_are_refused,
)


def subject(task: Task, example: Any) -> Sample:
    """What the checks take. Raises ContractError for a kind of target that needs an example."""
    if example is not None:
        three, labels = example
        return Sample(task, np.asarray(three), tuple(labels))
    demand(
        task.kind in THREE,
        f"answers with {task.kind!r}, of which no examples are known. "
        "Give example=(targets of three items that differ, names of the outputs).",
    )
    return Sample(task, THREE[task.kind], ("ant", "bee", "cat"))
