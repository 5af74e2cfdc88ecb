"""transformers' networks, imported without torch's compiler and what only some trainings need."""

from __future__ import annotations

from headstart.loading.lean import without_compiler
from headstart.runtime.lazily import lazily

_TRAINING = {  # of detectors, and on several machines
    "scipy.optimize": ("linear_sum_assignment",),
    "torch.distributed.checkpoint.hf_storage": (
        "HuggingFaceStorageReader",
        "HuggingFaceStorageWriter",
    ),
}

with without_compiler(), lazily(_TRAINING):
    import transformers.generation.utils
    import transformers.modeling_utils
    from transformers import (
        AutoModel,
        AutoModelForCTC,
        AutoModelForImageClassification,
        AutoModelForObjectDetection,
        AutoModelForSeq2SeqLM,
        AutoModelForSequenceClassification,
        AutoModelForSpeechSeq2Seq,
    )

__all__ = [
    "AutoModel",
    "AutoModelForCTC",
    "AutoModelForImageClassification",
    "AutoModelForObjectDetection",
    "AutoModelForSeq2SeqLM",
    "AutoModelForSequenceClassification",
    "AutoModelForSpeechSeq2Seq",
    "transformers",
]
