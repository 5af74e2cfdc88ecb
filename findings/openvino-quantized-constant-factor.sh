#!/usr/bin/env bash
# OpenVINO 2026.4.1 can't compile for CPU a valid int8 ONNX graph in which a quantised
# product of matrices is multiplied by a constant that is quantised too: a pass of its
# low precision transformations raises. A ViT whose attention is written out (MatMul,
# times a scale, softmax) looks so after a static QDQ quantisation. With a plain float
# constant, or LP_TRANSFORMS_MODE=NO, it runs and agrees with the reference of onnx.
# Output seen (openvino 2026.4.1, onnx 1.23.2, numpy 2.4.6, an x86-64 processor):
#   plain factor, no settings: equal True
#   quantised factor, {'LP_TRANSFORMS_MODE': 'NO'}: equal True
#   quantised factor, no settings: RuntimeError: index '0' out of range
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6

venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import onnx
import openvino
from onnx.parser import parse_model
from onnx.reference import ReferenceEvaluator

GRAPH = """<ir_version: 9, opset_import: ["": 19]>
product (float[2,2] x) => (float[2,2] y)
<float s = {0.1}, uint8 z = {128}, float f = {0.01}, uint8 n = {0}, float k = {0.5}> {
    xq = QuantizeLinear(x, s, z)
    xd = DequantizeLinear(xq, s, z)
    m = MatMul(xd, xd)
    mq = QuantizeLinear(m, s, z)
    md = DequantizeLinear(mq, s, z)
    kq = QuantizeLinear(k, f, n)
    kd = DequantizeLinear(kq, f, n)
    y = Mul(md, FACTOR)
}"""
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}  # not bfloat16, where a processor has it
x = np.array([[1, 2], [-1, 0.5]], "float32")


def outcome(factor, **settings):
    model = parse_model(GRAPH.replace("FACTOR", factor))
    onnx.checker.check_model(model, full_check=True)
    expected = ReferenceEvaluator(model).run(None, {"x": x})[0]
    core = openvino.Core()
    try:
        compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", EXACT | settings)
        result = f"equal {np.allclose(compiled(x)[0], expected, atol=1e-3)}"
    except RuntimeError as error:
        result = f"RuntimeError: {str(error).strip().splitlines()[-1]}"
    print(f"{'quantised' if factor == 'kd' else 'plain'} factor, {settings or 'no settings'}: {result}")
    return result.split(":")[0]


seen = [outcome("k"), outcome("kd", LP_TRANSFORMS_MODE="NO"), outcome("kd")]
sys.exit(seen != ["equal True", "equal True", "RuntimeError"])
PYTHON
