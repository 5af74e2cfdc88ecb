#!/usr/bin/env bash
# peft 0.21.2: modules_to_save=["embeddings"] on a BERT of transformers saves an adapter
# that PeftModel.from_pretrained can't load (KeyError). A name is matched by its ending,
# with no dot asked for, so word_embeddings, position_embeddings and token_type_embeddings
# are wrapped a second time inside the wrapped module; loading strikes each saved tensor
# off its list for the outer wrapper and fails when an inner one strikes it off again.
# The longer "bert.embeddings" matches one module and comes back.
# Output seen (peft 0.21.2, transformers 5.23.0, torch 2.15.0):
#   modules_to_save "bert.embeddings" wraps 1: loaded
#   modules_to_save "embeddings" wraps 4: KeyError 'base_model.model.bert.embeddings.word_embeddings.weight'
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check peft==0.21.2 transformers==5.23.0 torch==2.15.0

HF_HUB_OFFLINE=1 venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import sys

from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import ModulesToSaveWrapper
from transformers import BertConfig, BertForSequenceClassification

size = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
bert = BertConfig(**size, vocab_size=20)


def outcome(name):
    settings = LoraConfig(target_modules=["query"], r=2, modules_to_save=[name])
    model = get_peft_model(BertForSequenceClassification(bert), settings)
    wrapped = sum(isinstance(module, ModulesToSaveWrapper) for module in model.modules())
    model.save_pretrained("adapter")
    try:
        PeftModel.from_pretrained(BertForSequenceClassification(bert), "adapter")
        result = "loaded"
    except KeyError as error:
        result = f"KeyError {error}"
    print(f'modules_to_save "{name}" wraps {wrapped}: {result}')
    return wrapped, result.split()[0]


seen = [outcome("bert.embeddings"), outcome("embeddings")]
sys.exit(seen != [(1, "loaded"), (4, "KeyError")])
PYTHON
