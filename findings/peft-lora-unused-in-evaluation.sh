#!/usr/bin/env bash
# peft 0.21.2: LoRA on linear1 and linear2 of torch's own nn.TransformerEncoderLayer works
# while it trains and does nothing afterwards. In evaluation mode that layer hands the
# weights of its parts to one fused kernel; peft's wrapper offers the base layer's `weight`
# under that name, so the kernel runs without the adapter, in silence. Merging the adapter,
# or torch.backends.mha.set_fastpath_enabled(False), brings it back. Dropout is zero here,
# so that both modes ought to give the same numbers.
# Output seen (peft 0.21.2, torch 2.15.0):
#   training mode: adapter moves the output
#   evaluation mode: adapter moves nothing
#   evaluation mode, merged: as in training mode
#   evaluation mode, no fused kernel: as in training mode
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check peft==0.21.2 transformers==5.23.0 torch==2.15.0

HF_HUB_OFFLINE=1 venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import sys

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
settings = LoraConfig(r=4, target_modules=["linear1", "linear2"], init_lora_weights=False)
model = get_peft_model(nn.Sequential(layer), settings)
inputs = torch.randn(3, 5, 16)


@torch.no_grad()
def outputs():
    return model(inputs)


def alike(one, other):
    return bool(torch.allclose(one, other, atol=1e-4))


trained = outputs() if model.train() else None
with model.disable_adapter():
    plain = outputs()
evaluated = outputs() if model.eval() else None
torch.backends.mha.set_fastpath_enabled(False)
unfused = outputs()
torch.backends.mha.set_fastpath_enabled(True)
model.merge_adapter()
merged = outputs()

seen = {
    "training mode: adapter moves the output": not alike(trained, plain),
    "evaluation mode: adapter moves nothing": alike(evaluated, plain),
    "evaluation mode, merged: as in training mode": alike(merged, trained),
    "evaluation mode, no fused kernel: as in training mode": alike(unfused, trained),
}
for sentence, holds in seen.items():
    print(sentence if holds else f"no longer: {sentence}")
sys.exit(not all(seen.values()))
PYTHON
