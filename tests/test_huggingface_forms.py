"""The table of forms in which models of transformers come, and what becomes of each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from document_tables import Form, check_names, check_row, outcome
from encoders import encoder, save_encoder, save_tokenizer, small_encoder
from picture_encoders import network, save_pictures
from safetensors.torch import save_file

from headstart import catalog

PAGE = Path(__file__).parents[1] / "docs" / "backbones.md"
_KIND = "sentence_transformers.models"


def read(path: Path) -> str:
    """What a folder gives."""
    backbone = catalog.load_backbone(f"hf:{path}")
    stages = "one stage" if len(backbone.stages) == 1 else f"{len(backbone.stages)} stages"
    head = ", with its head" if backbone.head is not None else ""
    return f"read: {backbone.modality}, {backbone.feature_dim} features, {stages}{head}"


def write_json(path: Path, content: Any) -> None:
    """A file of JSON in a folder that is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def sentences(*kinds: str, first: str = "") -> Callable[[Path], None]:
    """A folder of sentence-transformers with these modules after the pooling."""

    def write(folder: Path) -> None:
        small_encoder(folder / first)
        modules = [("Transformer", first), ("Pooling", "1_Pooling")]
        modules += [(kind, f"{number}_{kind}") for number, kind in enumerate(kinds, 2)]
        listed = [{"type": f"{_KIND}.{kind}", "path": place} for kind, place in modules]
        write_json(folder / "modules.json", listed)
        pooling = {"word_embedding_dimension": 32, "pooling_mode_lasttoken": True}
        write_json(folder / "1_Pooling" / "config.json", pooling)
        if "Dense" in kinds:
            sizes = {"in_features": 32, "out_features": 12, "bias": False}
            write_json(folder / "2_Dense" / "config.json", sizes)
            weights = {"linear.weight": torch.ones(12, 32)}
            save_file(weights, folder / "2_Dense" / "model.safetensors")

    return write


def static(folder: Path) -> None:
    """A table of vectors."""
    folder.mkdir(exist_ok=True)
    save_tokenizer(folder)
    save_file({"embeddings": torch.ones(40, 16)}, folder / "model.safetensors")
    write_json(folder / "modules.json", [{"type": f"{_KIND}.StaticEmbedding", "path": ""}])


def adapter(**changes: Any) -> Callable[[Path], Path]:
    """An adapter beside its base, with these settings."""

    def write(folder: Path) -> Path:
        small_encoder(folder / "base")
        place = "base_model.model.encoder.layer.0.attention.self.query.lora_{}.weight"
        state = {place.format("A"): torch.ones(2, 32), place.format("B"): torch.ones(32, 2)}
        settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "layers_to_transform": [0]}
        settings |= {"target_modules": ["query"], "base_model_name_or_path": str(folder / "base")}
        write_json(folder / "lora" / "adapter_config.json", settings | changes)
        save_file(state, folder / "lora" / "adapter_model.safetensors")
        return folder / "lora"

    return write


def pictures(kind: str, classifier: bool = False, **settings: Any) -> Callable[[Path], None]:
    """An encoder of pictures."""

    def write(folder: Path) -> None:
        save_pictures(folder, network(kind, classifier), settings)

    return write


def beit(folder: Path) -> None:
    """A kind that is not read."""
    save_pictures(folder, network("vit"))
    record = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", record | {"model_type": "beit"})


def without_processor(folder: Path) -> None:
    """Weights that say not how pictures are fed."""
    save_pictures(folder, network("vit"))
    (folder / "preprocessor_config.json").unlink()


def code(folder: Path) -> None:
    """A module whose code comes with the model."""
    small_encoder(folder)
    write_json(folder / "modules.json", [{"type": "custom_st.Transformer", "path": ""}])


def without_base(folder: Path) -> Path:
    """An adapter alone."""
    result = adapter(base_model_name_or_path="./base")(folder)
    shutil.rmtree(folder / "base")
    return result


READ = r"read: .*"
FORMS = [
    Form("transformers, texts", small_encoder, READ),
    Form(
        "transformers, a classifier of texts",
        lambda folder: save_encoder(folder, encoder("bert", classifier=True)),
        READ,
    ),
    Form(
        "sentence-transformers with `Dense` and `Normalize`", sentences("Dense", "Normalize"), READ
    ),
    Form("sentence-transformers, `0_Transformer/`", sentences(first="0_Transformer"), READ),
    Form(
        "sentence-transformers, a module of another kind", sentences("LSTM"), r"refused: .*LSTM.*"
    ),
    Form("sentence-transformers, a module in its own code", code, r"refused: .*never run.*"),
    Form("static embeddings, also of model2vec", static, READ),
    Form("peft, a LoRA with its base at hand", adapter(), READ),
    Form("peft, its base elsewhere", without_base, r"refused: .*not at hand.*"),
    Form("peft, another kind", adapter(peft_type="IA3"), r"refused: .*not LORA.*"),
    *(Form(f"transformers, pictures: `{k}`", pictures(k), READ) for k in ("vit", "deit", "dinov2")),
    *(Form(f"transformers, pictures: `{k}`", pictures(k), READ) for k in ("swin", "convnext")),
    Form("transformers, a classifier of pictures: `resnet`", pictures("resnet", True), READ),
    *(Form(f"the tower for pictures of `{k}`", pictures(k), READ) for k in ("clip", "siglip")),
    Form("pictures of different sizes", pictures("vit", do_resize=False), r"refused: .*sizes.*"),
    Form("no `preprocessor_config.json`", without_processor, r"refused: .*no preprocessor.*"),
    Form("another kind, as `beit`", beit, r"refused: .*the kind 'beit'.*"),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_form(form: Form, tmp_path: Path) -> None:
    check_row(PAGE, "transformers", form, outcome(form, tmp_path / "data", read))


def test_names() -> None:
    check_names(PAGE, "transformers", FORMS)
