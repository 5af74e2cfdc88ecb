"""transformers' networks, imported without torch's compiler."""

from __future__ import annotations

from headstart.loading.lean import without_compiler

with without_compiler():
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
