"""The graph behind BentoML: `bentoml serve bentoml_server:Pictures`, FOLDER and WORKERS set."""

from __future__ import annotations

import os
from typing import Any

import bentoml
from openvino_pictures import Classifier


@bentoml.service(workers=int(os.environ["WORKERS"]), traffic={"timeout": 60})
class Pictures:
    """Batches as BentoML joins them."""

    def __init__(self) -> None:
        self.classifier = Classifier(os.environ["FOLDER"])

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=1000)
    def predict(self, images: list[str]) -> list[dict[str, Any]]:
        return self.classifier.answers([self.classifier.decode(each) for each in images])
