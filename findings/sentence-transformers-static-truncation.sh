#!/usr/bin/env bash
# sentence-transformers 6.2.0: StaticEmbedding switches off the padding written in
# tokenizer.json and leaves the truncation on. A static model says max_seq_length
# inf, yet a text is cut at the length in that file: whatever stands behind is
# ignored with no warning, and two texts with the same beginning are equal.
# Output seen (sentence-transformers 6.2.0, tokenizers 0.23.3, torch 2.15.0):
#   neither: max_seq_length inf, texts differ by 0.318, mean of its words True
#   padding: max_seq_length inf, texts differ by 0.318, mean of its words True
#   truncation: max_seq_length inf, texts differ by 0.000, mean of its words False
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check \
    sentence-transformers==6.2.0 transformers==5.23.0 tokenizers==0.23.3 torch==2.15.0 numpy==2.4.6

HF_HUB_OFFLINE=1 venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import sys

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

words = ["[UNK]", "[PAD]", "the", "film", "was", "good", "bad"]
weights = np.random.default_rng(0).normal(size=(len(words), 4)).astype("float32")


def distance(setting):
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if setting == "truncation":
        tokenizer.enable_truncation(3)
    if setting == "padding":
        tokenizer.enable_padding(pad_id=1, pad_token="[PAD]", length=16)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[module]).save("model")
    model = SentenceTransformer("model")
    good, bad = model.encode(["the film was good", "the film was bad"])
    apart = float(np.abs(good - bad).max())
    mean = bool(np.allclose(good, weights[2:6].mean(0), atol=1e-6))
    print(f"{setting}: max_seq_length {model.max_seq_length}, texts differ by {apart:.3f}, mean of its words {mean}")
    return apart > 0, mean


seen = [distance(setting) for setting in ("neither", "padding", "truncation")]
sys.exit(seen != [(True, True), (True, True), (False, False)])
PYTHON
