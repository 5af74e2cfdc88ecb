#!/usr/bin/env bash
# transformers 5.23.0: AutoModelForImageClassification.from_config raises TypeError for a
# fresh config of deit and levit, and builds one of vit or swin. Where a family has
# several classes for one task, the class is picked by looping over
# config.architectures, which is None in a config that no saved model wrote;
# the fallback to the first class, which stands behind the loop, is never reached.
# With architectures set to an empty list the same call gives that first class.
# Output seen (transformers 5.23.0, torch 2.15.0):
#   ViTConfig(): ViTForImageClassification
#   SwinConfig(): SwinForImageClassification
#   DeiTConfig(): TypeError: 'NoneType' object is not iterable
#   LevitConfig(): TypeError: 'NoneType' object is not iterable
#   DeiTConfig({'architectures': []}): DeiTForImageClassification
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check transformers==5.23.0 torch==2.15.0

HF_HUB_OFFLINE=1 venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import sys

import torch
from transformers import AutoModelForImageClassification, DeiTConfig, LevitConfig, SwinConfig, ViTConfig


def outcome(family, **settings):
    try:
        with torch.device("meta"):
            model = AutoModelForImageClassification.from_config(family(**settings))
        result = type(model).__name__
    except TypeError as error:
        result = f"TypeError: {error}"
    print(f"{family.__name__}({settings or ''}): {result}")
    return result.split(":")[0]


seen = [outcome(family) for family in (ViTConfig, SwinConfig, DeiTConfig, LevitConfig)]
seen.append(outcome(DeiTConfig, architectures=[]))
built = ["ViTForImageClassification", "SwinForImageClassification"]
sys.exit(seen != [*built, "TypeError", "TypeError", "DeiTForImageClassification"])
PYTHON
