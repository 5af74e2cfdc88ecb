#!/usr/bin/env bash
# sacrebleu 2.6.0: where an order of n-grams has no match, corpus BLEU with its usual smoothing
# (exp) depends on how large the corpus is, not only on what is in it: the same sentence and
# reference held twice or ten times score lower each time, though every precision that is not
# smoothed stays. chrF of the same corpora doesn't move.
# Output seen (sacrebleu 2.6.0, Python 3.11):
#   BLEU held 1, 2 and 10 times: 7.73 4.60 1.38
#   chrF held 1, 2 and 10 times: 35.14 35.14 35.14
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check sacrebleu==2.6.0

venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import sys

import sacrebleu

ANSWER, REFERENCE = "the cat sat there", "a cat sits on the mat there now"
TIMES = (1, 2, 10)


def scores(metric):
    return [f"{metric([ANSWER] * n, [[REFERENCE] * n]).score:.2f}" for n in TIMES]


bleu, chrf = scores(sacrebleu.corpus_bleu), scores(sacrebleu.corpus_chrf)
print("BLEU held 1, 2 and 10 times:", *bleu)
print("chrF held 1, 2 and 10 times:", *chrf)
sys.exit(not (bleu == ["7.73", "4.60", "1.38"] and len(set(chrf)) == 1))
PYTHON
