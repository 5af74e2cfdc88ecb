#!/usr/bin/env bash
# scikit-learn 1.9.1: LogisticRegression as it comes (lbfgs, tol=1e-4) learns nothing from many
# columns that are rare one by one, such as one-hot categories or TF-IDF of many texts. Its stop
# asks for a slope of the MEAN loss below tol, and where each column is set in few of the rows
# every slope is below that before the first step: all weights stay 0, answers are those of a
# constant, n_iter_ is 0, and there is no ConvergenceWarning. With fewer rows of the very same
# kind, or with tol=1e-6, all training rows are answered rightly.
# Output seen (scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6):
#   4,000 rows, 2,000 categories, tol 0.0001: right 1.00, 2 iterations, 0 warnings
#   40,000 rows, 20,000 categories, tol 0.0001: right 0.50, 0 iterations, 0 warnings
#   40,000 rows, 20,000 categories, tol 1e-06: right 1.00, 2 iterations, 0 warnings
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6

venv/bin/python - <<'PYTHON'
import sys
import warnings

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

seen = []
for rows, tol in ((4_000, 1e-4), (40_000, 1e-4), (40_000, 1e-6)):
    category = np.arange(rows) % (rows // 2)  # each is there twice, and decides the class
    inputs = csr_matrix((np.ones(rows), (np.arange(rows), category)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = LogisticRegression(tol=tol).fit(inputs, category % 2)
    seen.append((model.score(inputs, category % 2), int(model.n_iter_[0]) > 0, len(said)))
    print(
        f"{rows:,} rows, {rows // 2:,} categories, tol {tol:g}: right {seen[-1][0]:.2f}, "
        f"{model.n_iter_[0]} iterations, {len(said)} warnings"
    )
sys.exit(seen != [(1.0, True, 0), (0.5, False, 0), (1.0, True, 0)])
PYTHON
