#!/usr/bin/env bash
# transformers 5.23.0: AutoTokenizer takes the class from model_type in config.json
# when a folder has no tokenizer_config.json. BertTokenizer then keeps the words of
# tokenizer.json and throws its algorithm away: a Unigram vocabulary becomes a
# WordPiece one, and each word is unknown, with no warning. The same file under
# model_type xlm-roberta stays Unigram; PreTrainedTokenizerFast reads it as it is.
# Output seen (transformers 5.23.0, tokenizers 0.23.3):
#   bert -> BertTokenizer: WordPiece, 2 tokens, 2 unknown
#   xlm-roberta -> XLMRobertaTokenizer: Unigram, 4 tokens, 0 unknown
#   TokenizersBackend: Unigram, 4 tokens, 0 unknown
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3

TRANSFORMERS_NO_ADVISORY_WARNINGS=1 HF_HUB_OFFLINE=1 venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

special = [(token, 0.0) for token in ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]")]
pieces = [("\u2581trans", -2.0), ("fer", -2.0), ("\u2581lear", -2.0), ("ning", -2.0)]
own = Tokenizer(models.Unigram([*special, *pieces], unk_id=0))
own.pre_tokenizer = pre_tokenizers.Metaspace()
own.save("tokenizer.json")


def read(reader):
    tokenizer = reader.from_pretrained(".")
    kind = type(tokenizer.backend_tokenizer.model).__name__
    tokens = tokenizer.tokenize("transfer learning")
    print(f"{type(tokenizer).__name__}: {kind}, {len(tokens)} tokens, {tokens.count('[UNK]')} unknown")
    return kind, tokens.count("[UNK]")


seen = []
for family in "bert", "xlm-roberta":
    Path("config.json").write_text(json.dumps({"model_type": family}))
    print(family, end=" -> ")
    seen.append(read(AutoTokenizer))
seen.append(read(PreTrainedTokenizerFast))
sys.exit(seen != [("WordPiece", 2), ("Unigram", 0), ("Unigram", 0)])
PYTHON
