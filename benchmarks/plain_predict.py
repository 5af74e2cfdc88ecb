"""One picture by timm, or one text by transformers, from the folder that `fit` wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def picture(folder: Path, file: str) -> list[float]:
    """The probabilities of the classes, as timm's own documentation gets them."""
    import timm
    import torch
    from PIL import Image

    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    settings = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**settings, is_training=False)
    with torch.inference_mode():
        outputs = model(transform(Image.open(file).convert("RGB"))[None])
    return [float(share) for share in outputs.softmax(dim=1)[0]]


def text(folder: Path, words: str) -> list[float]:
    """The same of a text: transformers' encoder, the mean of its tokens, and the head."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    tokenizer, encoder = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    inputs = tokenizer(words, return_tensors="pt", truncation=True)
    with torch.inference_mode():
        hidden = encoder.eval()(**inputs).last_hidden_state
        mask = inputs["attention_mask"][..., None]
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        outputs = torch.nn.functional.linear(mean, state["head.weight"], state["head.bias"])
    return [float(share) for share in outputs.softmax(dim=1)[0]]


if __name__ == "__main__":
    place, what = Path(sys.argv[1]), sys.argv[2]
    print(json.dumps((picture if Path(what).is_file() else text)(place, what)))
