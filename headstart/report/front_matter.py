"""What the Hugging Face Hub reads at the top of a model's card."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from headstart.contracts import Encoding
from headstart.contracts.metric import SEQUENCES
from headstart.contracts.references import parse
from headstart.data.targets import USUAL, known_kind
from headstart.errors import HeadstartError
from headstart.report.markdown import yaml

_MODALITIES: Final = {"image": "image", "text": "text", "audio": "audio", "table": "tabular"}
_WRITING: Final = {"audio": "automatic-speech-recognition", "text": "translation"}
_GENERATION: Final = "generation_config.json"  # beside what writes piece by piece
_CLASSIFIES: Final = (Encoding.INDEX, Encoding.MARKS)
_LICENCES: Final = frozenset(  # by the names that the Hub gives them
    """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigscience-openrail-m bsd bsd-2-clause bsd-3-clause
    bsl-1.0 cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0
    cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0
    cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gemma gfdl gpl
    gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 llama2 llama3 llama3.1 llama3.2 mit mpl-2.0 ms-pl
    ncsa odbl openrail osl-3.0 pddl postgresql unlicense wtfpl zlib
    """.split()
)
_REPOSITORY: Final = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def pipeline_tag(task: str, modality: str, kind: str) -> str:
    """The Hub's own word for a kind of answer, where it has one; else the task's name."""
    target_kind, own = known_kind(kind), _MODALITIES.get(modality)
    if kind == "boxes":
        return "object-detection"
    if kind == SEQUENCES and own in _WRITING:
        return _WRITING[own]
    if target_kind is None or own is None:
        return task
    if target_kind.encoding in _CLASSIFIES:
        return f"{own}-classification"
    return f"{own}-regression" if target_kind.encoding is Encoding.AMOUNTS else task


def auto_class(record: Any) -> str:
    """The class of transformers that opens a saved model's folder."""
    if str(record.data.get("kind")) == SEQUENCES:
        by_pieces = "SpeechSeq2Seq" if _GENERATION in record.files else "CTC"
        return f"AutoModelFor{by_pieces if record.modality == 'audio' else 'Seq2SeqLM'}"
    if record.head:
        return "AutoModelForObjectDetection"
    own = {"image": "Image", "audio": "Audio"}.get(record.modality, "Sequence")
    return f"AutoModelFor{own}Classification"


def front_matter(record: Any, evidence: Mapping[str, Any], library: str) -> str:
    """Lines of YAML without the fences, from a saved model's record and its evidence.

    The metric's value stands in it as the Hub's leader boards read it, where it is known.
    """
    tag = pipeline_tag(record.task, record.modality, str(record.data.get("kind", USUAL)))
    entries: dict[str, Any] = {"library_name": library or "headstart", "pipeline_tag": tag}
    if licence := record.origin.get("licence"):
        entries |= _licensed(str(licence))
    if base := _base(str(record.origin.get("reference", ""))):
        entries["base_model"] = base
    entries["tags"] = ["headstart", "transfer-learning"]
    entries["metrics"] = [evidence.get("metric", "")]
    arm = (evidence.get("arms") or {}).get("chosen") or {}
    if isinstance(arm.get("value"), int | float):
        entries["model-index"] = [_measured(tag, str(evidence["metric"]), arm["value"])]
    return "\n".join(f"{name}: {_scalar(value)}" for name, value in entries.items())


def _licensed(licence: str) -> dict[str, str]:
    plain = licence.lower().strip()
    if plain in _LICENCES:
        return {"license": plain}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", plain).strip("-")}


def _base(reference: str) -> str:
    """The repository on the Hub that a backbone is from; empty for those from elsewhere."""
    try:
        parsed = parse(reference)
    except HeadstartError:
        return ""
    return parsed.name if parsed.hub == "hf" and _REPOSITORY.fullmatch(parsed.name) else ""


def _measured(tag: str, metric: str, value: float) -> dict[str, Any]:
    return {
        "name": "headstart",
        "results": [
            {
                "task": {"type": tag},
                "dataset": {"type": "held-out", "name": "held-out items of the model's own data"},
                "metrics": [{"type": metric, "value": value}],
            }
        ],
    }


def _scalar(value: Any) -> str:
    """A value of YAML on one line: JSON, which YAML holds, with texts shortened."""
    return yaml(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=True)
