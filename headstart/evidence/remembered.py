"""Networks from scratch that earlier runs trained on the same data, in the cache's folder.

One file a network, called by a hash of all that it depends on: safetensors that hold its weights
and its outputs on validation and test, and in the metadata, as JSON, how it was trained.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from headstart.contracts import Backbone
from headstart.defaults import Recipe
from headstart.errors import HeadstartError
from headstart.evidence.arms import ArmResult, arm_of, new_head
from headstart.evidence.experiment import Experiment
from headstart.evidence.judging import JUDGED
from headstart.features.cache import enforce_limit
from headstart.loading import weights
from headstart.runtime.places import cache_folder
from headstart.training import Training, seed_everything

FOLDER = "scratch"
MOST, LARGEST = 40, 500_000_000  # networks that are kept, the newest; bytes of one
_OUTPUTS = "outputs."  # how the names of outputs begin, beside those of weights


@dataclass(frozen=True)
class Memory:
    """Where a network from scratch is kept: for these data, this architecture and `how` it trains.

    The architecture is known by the random weights that the seed draws for it.
    """

    experiment: Experiment
    rebuild: Callable[[], Backbone]
    how: Mapping[str, Any]

    def recall(self) -> tuple[ArmResult, str] | None:
        """The network and the sentence on its training; None where none can be used."""
        try:
            with safe_open(self.place, framework="pt") as file:
                record = json.loads(file.metadata()["training"])
                state = {name: file.get_tensor(name) for name in file.keys()}
            outcome = self._outcome(record, state), str(record["protocol"])
            os.utime(self.place)
        except (OSError, SafetensorError, HeadstartError, ValueError, LookupError, TypeError):
            return None  # there is none, or it is damaged: it is trained anew
        return outcome

    def remember(self, result: ArmResult, protocol: str) -> None:
        """Keep a network that was trained to its end. Never raises as the cache can't be written.

        Those used least recently go first.
        """
        import torch

        state = result.model.state_dict()
        size = sum(tensor.nbytes for tensor in state.values())
        if (
            result.training.cut
            or result.training.diverged
            or result.recipe is None
            or size > LARGEST
        ):
            return
        outputs = {
            f"{_OUTPUTS}{name}": torch.from_numpy(result.arm.outputs[name]) for name in JUDGED
        }
        record = {
            "protocol": protocol,
            "seconds": result.arm.seconds,
            "training": vars(result.training),
            "recipe": asdict(result.recipe),
        }
        with suppress(OSError, HeadstartError):
            self.place.parent.mkdir(parents=True, exist_ok=True)
            weights.save(state | outputs, self.place, {"training": json.dumps(record)})
            files = sorted(
                self.place.parent.glob("*.safetensors"), key=lambda p: -p.stat().st_mtime
            )
            for old in files[MOST:]:
                old.unlink(missing_ok=True)
            enforce_limit()

    @cached_property
    def place(self) -> Path:
        """The file of this network."""
        from headstart.contracts.model import Model

        experiment = self.experiment
        seed_everything(experiment.settings.seed)
        backbone = self.rebuild()
        model = Model.of(backbone, new_head(experiment, backbone))
        items = [f"{item.digest}\t{item.split}\t{item.label}" for item in experiment.dataset.items]
        identity = {
            "data": hashlib.sha256("\n".join(items).encode()).hexdigest(),
            "labels": [experiment.dataset.kind, *experiment.labels],
            "task": [type(experiment.task).__name__, experiment.task_settings],
            "network": [str(backbone.architecture.ordered()), weights.digest(model.state_dict())],
            "files": {name: hashlib.sha256(c).hexdigest() for name, c in backbone.files.items()},
            "reading": [dict(experiment.reader.preprocess), experiment.reader.modality.version],
            "seed": experiment.settings.seed,
            "augment": experiment.settings.augment,
            "machine": [experiment.accelerator.device.type, experiment.precision],
            "versions": [version("headstart"), version("torch")],
            "how": dict(self.how),
        }
        text = json.dumps(identity, sort_keys=True, default=str)
        name = hashlib.sha256(text.encode()).hexdigest()[:32]
        return cache_folder() / FOLDER / f"{name}.safetensors"

    def _outcome(self, record: Mapping[str, Any], state: weights.State) -> ArmResult:
        """What a file says, checked. Raises ValueError, LookupError, TypeError, HeadstartError."""
        from headstart.contracts.model import Model

        experiment, backbone = self.experiment, self.rebuild()
        outputs = {name: state.pop(f"{_OUTPUTS}{name}").numpy() for name in JUDGED}
        for name, answer in outputs.items():
            expected = (
                len(experiment.dataset.split(name)),
                experiment.task.output_dim(experiment.labels),
            )
            if answer.shape != expected or answer.dtype != np.float32:
                raise ValueError(f"outputs for {name} are {answer.shape}")
        model = Model.of(backbone, new_head(experiment, backbone))
        weights.load_into(model, state, str(self.place))
        training, recipe = Training(**record["training"]), Recipe(**record["recipe"])
        if not np.isfinite([*training.history[training.best].values(), record["seconds"]]).all():
            raise ValueError("numbers are not finite")
        arm = arm_of(experiment, "scratch", outputs, float(record["seconds"]), int(training.steps))
        return ArmResult(arm, model.eval(), training, recipe=recipe)
