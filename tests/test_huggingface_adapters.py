"""Adapters of peft, merged into what they are for: equal to peft's own answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from encoders import LABELS, encoder, features, save_encoder, save_tokenizer, saved, texts
from picture_encoders import network, pictures, save_pictures
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, WeightsError

# of peft 0.21 with transformers 5.23, when a test makes an adapter
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")


def adapter(folder: Path, base: Path, model: Any, **settings: Any) -> Path:
    """An adapter with random weights for a model, as peft saves it, naming the base's folder."""
    from peft import LoraConfig, get_peft_model

    model.name_or_path = str(base)
    result = get_peft_model(model, LoraConfig(**{"r": 4, "lora_alpha": 9, **settings}))
    with torch.no_grad():
        for name, parameter in result.named_parameters():
            if "lora_" in name or "modules_to_save" in name or parameter.requires_grad:
                parameter.normal_(std=0.3)
    result.save_pretrained(str(folder))
    record = json.loads((folder / "adapter_config.json").read_text())
    assert record["base_model_name_or_path"] == str(base)
    return folder


def answers(base: Any, folder: Path, batch: dict[str, Tensor]) -> Tensor:
    """peft's own hidden states, or logits."""
    from peft import PeftModel

    result = PeftModel.from_pretrained(base, folder).eval()
    with torch.no_grad():
        actual = result(input_ids=batch["input_ids"], attention_mask=batch["mask"])
    if "logits" in actual:
        logits: Tensor = actual.logits
        return logits
    weights = batch["mask"].unsqueeze(-1)
    hidden: Tensor = actual.last_hidden_state
    return (hidden * weights).sum(1) / weights.sum(1)


TARGETS = {
    "bert": ["query", "value"],
    "roberta": ["query", "key", "dense"],
    "distilbert": ["q_lin", "v_lin"],
    "deberta-v2": ["query_proj", "value_proj"],
    "modernbert": ["Wqkv", "Wo"],
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True, "bias": "lora_only"},
    "pattern": {"rank_pattern": {"query": 2}, "alpha_pattern": {"query": 3}},
    "embeddings": {"target_modules": ["query", "word_embeddings"]},
    "gaussian": {"init_lora_weights": "gaussian"},
    "regex": {"target_modules": r".*layer\.1\..*(query|key)"},
    "saved": {"modules_to_save": ["intermediate"]},
}


@pytest.mark.parametrize("kind", TARGETS)
def test_encoders_with_an_adapter(kind: str, tmp_path: Path) -> None:
    base = save_encoder(tmp_path / "base", encoder(kind))
    folder = adapter(tmp_path / "adapter", base, encoder(kind), target_modules=TARGETS[kind])
    backbone = catalog.load_backbone(f"hf:{folder}?pooling=mean")
    batch = texts(backbone.preprocess["pad"])
    expected = answers(encoder(kind), folder, batch)
    assert torch.allclose(features(backbone, batch), expected, atol=1e-5)
    plain = catalog.load_backbone(f"hf:{base}?pooling=mean")
    assert not torch.allclose(features(plain, batch), expected, atol=1e-2)
    assert backbone.origin.reference == f"hf:{folder}?pooling=mean"


@pytest.mark.parametrize("name", SETTINGS)
def test_kinds_of_lora(name: str, tmp_path: Path) -> None:
    settings = {"target_modules": ["query", "value"], **SETTINGS[name]}
    base = save_encoder(tmp_path / "base", encoder("bert"))
    folder = adapter(tmp_path / "adapter", base, encoder("bert"), **settings)
    backbone = catalog.load_backbone(f"hf:{folder}?pooling=mean")
    expected = answers(encoder("bert"), folder, texts())
    assert torch.allclose(features(backbone, texts()), expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
def test_classifiers_with_an_adapter(kind: str, tmp_path: Path) -> None:
    """The base has no classifier; it was trained with the adapter, and saved with it."""
    from transformers import AutoModelForSequenceClassification

    base = save_encoder(tmp_path / "base", encoder(kind))
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=5)
    folder = adapter(
        *(tmp_path / "adapter", base, model), task_type="SEQ_CLS", target_modules=TARGETS[kind]
    )
    backbone = catalog.load_backbone(f"hf:{folder}?pooling=own")
    assert isinstance(backbone.head, nn.Linear)
    batch = texts(backbone.preprocess["pad"])
    again = AutoModelForSequenceClassification.from_pretrained(base, num_labels=5)
    expected = answers(again, folder, batch)
    with torch.no_grad():
        result = Model.of(backbone, backbone.head).eval()(batch)
    if kind == "distilbert":  # its pre_classifier is in modules_to_save by name alone
        assert result.shape == expected.shape
    assert torch.allclose(result, expected, atol=1e-4)


def test_pictures_with_an_adapter(tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForImageClassification

    base = save_pictures(tmp_path / "base", network("vit"))
    model = AutoModelForImageClassification.from_pretrained(base, num_labels=4)
    settings = {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["classifier"]}
    folder = adapter(tmp_path / "adapter", base, model, **settings)
    backbone = catalog.load_backbone(f"hf:{folder}")
    again = AutoModelForImageClassification.from_pretrained(base, num_labels=4)
    batch = pictures()
    with torch.no_grad():
        logits = PeftModel.from_pretrained(again, folder).eval()(batch).logits
        assert isinstance(backbone.head, nn.Linear)
        result = Model.of(backbone, backbone.head).eval()(batch)
    assert torch.allclose(result, logits, atol=1e-4)


def test_what_is_saved_needs_neither_adapter_nor_base(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    base = save_encoder(tmp_path / "base", encoder("bert"))
    folder = adapter(tmp_path / "adapter", base, encoder("bert"), target_modules=["query"])
    backbone = catalog.load_backbone(f"hf:{folder}?pooling=own")
    head = nn.Linear(backbone.feature_dim, len(LABELS))
    again = saved(tmp_path / "saved", backbone, head)
    shutil.rmtree(base)
    shutil.rmtree(folder)
    theirs = AutoModelForSequenceClassification.from_pretrained(again).eval()
    opened = catalog.load_backbone(f"checkpoint:{again}")
    batch = texts()
    with torch.no_grad():
        expected = Model.of(backbone, head).eval()(batch)
        logits = theirs(batch["input_ids"], attention_mask=batch["mask"]).logits
    assert torch.allclose(logits, expected, atol=1e-5)
    assert opened.origin.weights_hash == backbone.origin.weights_hash


def test_the_tokenizer_is_the_adapters_own_where_it_has_one(tmp_path: Path) -> None:
    base = save_encoder(tmp_path / "base", encoder("bert"))
    folder = adapter(tmp_path / "adapter", base, encoder("bert"), target_modules=["query"])
    plain = catalog.load_backbone(f"hf:{folder}").preprocess
    save_tokenizer(folder, pad=1)
    assert catalog.load_backbone(f"hf:{folder}").preprocess["tokenizer"] != plain["tokenizer"]


# --- what is refused ---


def edit(path: Path, **changes: Any) -> None:
    """Change entries of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def plain(tmp_path: Path) -> Path:
    """An adapter beside its base."""
    base = save_encoder(tmp_path / "base", encoder("bert"))
    return adapter(tmp_path / "adapter", base, encoder("bert"), target_modules=["query"])


def test_a_base_that_is_not_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = plain(tmp_path)
    (tmp_path / "base").rename(tmp_path / "moved")
    for name in (str(tmp_path / "base"), "lab/absent", "../../etc"):
        edit(folder / "adapter_config.json", base_model_name_or_path=name)
        with pytest.raises(WeightsError, match=r"is an adapter for .*, which is not at hand"):
            catalog.load_backbone(f"hf:{folder}")
    backbone = catalog.load_backbone(f"hf:{folder}?base={tmp_path / 'moved'}")
    assert backbone.origin.pretrained
    random = catalog.load_backbone(backbone.architecture)
    assert not random.origin.pretrained
    edit(folder / "adapter_config.json", base_model_name_or_path=None)
    with pytest.raises(HeadstartError, match="is an adapter that names no model"):
        catalog.load_backbone(f"hf:{folder}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "of the kind IA3, not LORA"),
        ({"peft_type": "PREFIX_TUNING"}, "of the kind PREFIX_TUNING, not LORA"),
        ({"megatron_config": {"a": 1}, "megatron_core": "evil"}, "with 'megatron_config'"),
        ({"layer_replication": [[0, 1]]}, "with 'layer_replication'"),
        ({"init_lora_weights": "pissa"}, "with 'init_lora_weights=pissa'"),
        ({"r": 10**9}, "a rank of 1000000000, which none of its tensors has"),
        ({"rank_pattern": {"query": 10**9}}, "a rank of 1000000000"),
        ({"r": "4"}, "a rank of '4'"),
        ({"lora_alpha": "x"}, "lora_alpha='x', which is no number"),
        ({"target_modules": ["absent"]}, "does not fit the model that it is for"),
        ({"target_modules": ["key"]}, "left over: "),
        ({"r": 2}, "does not fit the model that it is for"),
    ],
)
def test_adapters_that_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = plain(tmp_path)
    edit(folder / "adapter_config.json", **changes)
    with pytest.raises(HeadstartError, match=message) as caught:
        catalog.load_backbone(f"hf:{folder}")
    assert "\n" not in str(caught.value)


def test_what_peft_itself_cannot_open_is_one_sentence(tmp_path: Path) -> None:
    """peft 0.21 saves whole embeddings under names that it doesn't find again."""
    base = save_encoder(tmp_path / "base", encoder("bert"))
    settings = {"target_modules": ["query"], "modules_to_save": ["embeddings"]}
    folder = adapter(tmp_path / "adapter", base, encoder("bert"), **settings)
    with pytest.raises(WeightsError, match="does not fit the model that it is for: KeyError"):
        catalog.load_backbone(f"hf:{folder}")


def test_an_adapter_for_another_size(tmp_path: Path) -> None:
    folder = plain(tmp_path)
    path = folder / "adapter_model.safetensors"
    save_file({n: t[:, :2].contiguous() for n, t in load_file(path).items()}, path)
    with pytest.raises(WeightsError, match="does not fit the model that it is for"):
        catalog.load_backbone(f"hf:{folder}")
    path.unlink()
    with pytest.raises(WeightsError, match=r"without adapter_model\.safetensors"):
        catalog.load_backbone(f"hf:{folder}")


def test_cards_list_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(tmp_path)
    monkeypatch.chdir(tmp_path)
    cards = {card.reference: card for card in catalog.hub("hf").cards("*")}
    assert cards["hf:adapter"].modality == "text"
    assert cards["hf:adapter"].at_hand
