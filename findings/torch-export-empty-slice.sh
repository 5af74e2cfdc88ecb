#!/usr/bin/env bash
# torch 2.15.0: torch.export.save refuses a program with a buffer that is an empty slice of a
# tensor, though torch.export.export takes it and the program runs. A buffer that was empty from the
# start is saved and loaded, and so is the same slice once it is cloned: the slice's storage still
# holds the numbers that it leaves out, and the writer looks for one tensor that covers them.
# Output seen (torch 2.15.0, Python 3.11):
#   empty from the start: saved and loaded
#   empty slice: RuntimeError: numel: integer multiplication overflow
#   empty slice, cloned: saved and loaded
#   slice of two: saved and loaded
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check torch==2.15.0 numpy==2.4.6

venv/bin/python -W ignore - 2>log <<'PYTHON' || { cat log; exit 1; }
import io
import sys

import torch
from torch import nn


class Shifted(nn.Module):
    def __init__(self, shifts):
        super().__init__()
        self.register_buffer("shifts", shifts)

    def forward(self, rows):
        return rows + self.shifts.sum()


def outcome(shifts):
    program = torch.export.export(Shifted(shifts), (torch.zeros(1, 2),))
    program.module()(torch.zeros(1, 2))
    file = io.BytesIO()
    try:
        torch.export.save(program, file)
    except RuntimeError as error:
        return f"RuntimeError: {str(error).splitlines()[0]}"
    file.seek(0)
    torch.export.load(file)
    return "saved and loaded"


overflow, fine = "RuntimeError: numel: integer multiplication overflow", "saved and loaded"
cases = {
    "empty from the start": (torch.zeros(0), fine),
    "empty slice": (torch.ones(4)[:0], overflow),
    "empty slice, cloned": (torch.ones(4)[:0].clone(), fine),
    "slice of two": (torch.ones(4)[:2], fine),
}
answers = {name: outcome(shifts) for name, (shifts, _) in cases.items()}
for name, answer in answers.items():
    print(f"{name}: {answer}")
sys.exit(any(answers[name] != expected for name, (_, expected) in cases.items()))
PYTHON
