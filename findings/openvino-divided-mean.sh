#!/usr/bin/env bash
# OpenVINO 2026.4.1: a network converted from torch in memory that divides the mean of each
# item (N, H, W) by a number answers 0 for every item of a batch but the first.
# The same model written to a file and read again is right, and so is one with the mean
# multiplied by the reciprocal. Nothing is raised or logged.
# Output seen (openvino 2026.4.1, torch 2.15.0, an x86-64 processor), wanted 0.5 1.0 1.5 2.0:
#   mean / 2, converted: [0.5, 0.0, 0.0, 0.0]
#   mean / 2, saved and read again: [0.5, 1.0, 1.5, 2.0]
#   mean * 0.5, converted: [0.5, 1.0, 1.5, 2.0]
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check openvino==2026.4.1 torch==2.15.0 numpy==2.4.6

venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import sys

import openvino
import torch

pictures = torch.arange(1.0, 5.0).reshape(4, 1, 1).expand(4, 8, 8).contiguous()


class Halved(torch.nn.Module):
    def forward(self, x):
        return x.mean((1, 2), keepdim=True) / 2


class Scaled(torch.nn.Module):
    def forward(self, x):
        return x.mean((1, 2), keepdim=True) * 0.5


def answers(name, model):
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    rows = compiled([pictures.numpy()])[0].ravel().tolist()
    print(f"{name}: {rows}")
    return rows


halved, scaled = (
    openvino.convert_model(network().eval(), example_input=pictures)
    for network in (Halved, Scaled)
)
seen = [answers("mean / 2, converted", halved)]
openvino.save_model(halved, "halved.xml", compress_to_fp16=False)
seen.append(answers("mean / 2, saved and read again", openvino.Core().read_model("halved.xml")))
seen.append(answers("mean * 0.5, converted", scaled))
right = [0.5, 1.0, 1.5, 2.0]
sys.exit(seen != [[0.5, 0.0, 0.0, 0.0], right, right])
PYTHON
