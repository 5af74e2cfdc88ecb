"""How unsure a model is of an answer, from 0 to 1."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.contracts import Task
from headstart.labelling.selection import Features, blocks
from headstart.serve.predictions import Prediction


def doubt(answer: Mapping[str, Any]) -> float:
    """1 where two answers are equally likely, 0 where one is certain.

    For classes one minus the margin between the two likeliest (Scheffer et al. 2001); for sets of
    labels that of the label nearest to an even chance. A number says nothing of its doubt: 1.
    """
    shares = answer.get("probabilities")
    if not shares:
        return 1.0
    if "labels" in answer:
        return 1.0 - min(abs(2.0 * float(share) - 1.0) for share in shares.values())
    best, second = heapq.nlargest(2, [*shares.values(), 0.0])
    return 1.0 - float(best - second)


def doubts(
    head: nn.Module, task: Task, labels: Sequence[str], features: Features
) -> tuple[list[str], np.ndarray]:
    """What a head answers about features (N, D), as a person reads it, and its doubt, (N,).

    Where the answer is no finite number there is none, and no doubt either.
    """
    texts: list[str] = []
    values: list[float] = []
    head = head.cpu().eval()
    for block in blocks(len(features)):
        with torch.inference_mode():
            outputs = head(torch.from_numpy(np.ascontiguousarray(features[block]))).numpy()
        finite = np.isfinite(outputs).all(axis=1)
        answers = iter(task.decode(outputs[finite], labels) if finite.any() else ())
        for usable in finite:
            answer = next(answers) if usable else {}
            texts.append(Prediction("", answer).label if answer else "")
            values.append(doubt(answer) if answer else 0.0)
    return texts, np.array(values, dtype=np.float32)
