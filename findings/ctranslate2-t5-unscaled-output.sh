#!/usr/bin/env bash
# CTranslate2 4.8.5 converts T5 1.1, whose output is not scaled, as one whose output is:
# its log-probabilities are others than those of transformers 5.23.0, without a word. The
# converter multiplies by 1 / sqrt(d_model) where config.tie_word_embeddings is true, which
# transformers 5 sets for every T5; what config.json says of it is kept in
# config.scale_decoder_outputs. The first T5, whose output is scaled, agrees.
# Output seen (ctranslate2 4.8.5, transformers 5.23.0, torch 2.15.0):
#   tie_word_embeddings=True: the same log-probability True
#   tie_word_embeddings=False: the same log-probability False
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check ctranslate2==4.8.5 transformers==5.23.0 torch==2.15.0

HF_HUB_OFFLINE=1 venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import sys
from pathlib import Path

import ctranslate2
import torch
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration, T5Tokenizer

LETTERS = [(letter, -3.0) for letter in "▁abcdefgh"]
PIECES = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *LETTERS]
seen = []
for tied in (True, False):  # the first T5, and T5 1.1 as its published config.json says
    torch.manual_seed(0)
    tokenizer = T5Tokenizer(vocab=PIECES, extra_ids=0)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=0,
        tie_word_embeddings=tied,
    )
    folder = Path(f"tied-{tied}")
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    ctranslate2.converters.TransformersConverter(str(folder)).convert(f"{folder}-ct2")
    model = T5ForConditionalGeneration.from_pretrained(folder).eval()
    batch = AutoTokenizer.from_pretrained(folder)(["abc def"], text_target=["fed cba"], return_tensors="pt")
    with torch.inference_mode():
        rows = model(**batch).logits[0].log_softmax(-1)
    theirs = float(rows.gather(1, batch["labels"][0][:, None]).sum())
    source, target = (tokenizer.convert_ids_to_tokens(batch[n][0]) for n in ("input_ids", "labels"))
    translator = ctranslate2.Translator(f"{folder}-ct2")
    (scored,) = translator.score_batch([source], [target[:-1]])
    ours = sum(scored.log_probs)
    equal = abs(ours - theirs) < 1e-3 * abs(theirs)
    print(f"tie_word_embeddings={tied}: the same log-probability {equal}")
    seen.append(equal)
sys.exit(seen != [True, False])
PYTHON
