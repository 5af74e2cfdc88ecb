#!/usr/bin/env bash
# evidently 0.7.23 (drift reports) asks pip for pandas of any version from 1.3.5 on, and so gets
# pandas 3; `import evidently` then ends in an ImportError, as it takes infer_dtype_from_object
# from inside pandas, which pandas 3 has no more. Beside pandas 2.3.3 it imports.
# Output seen (evidently 0.7.23, pandas 3.1.1 and 2.3.3):
#   pandas 3.1.1: ImportError, no infer_dtype_from_object
#   pandas 2.3.3: imported
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
cat > look.py <<'PYTHON'
import pandas

try:
    import evidently  # noqa: F401
except ImportError as error:
    missing = "infer_dtype_from_object" in str(error)
    print(f"pandas {pandas.__version__}: ImportError, {'no infer_dtype_from_object' if missing else error}")
else:
    print(f"pandas {pandas.__version__}: imported")
PYTHON
seen=""
for pandas in 3.1.1 2.3.3; do
    venv/bin/pip install -q --disable-pip-version-check evidently==0.7.23 "pandas==$pandas"
    line=$(venv/bin/python look.py 2>/dev/null)
    echo "$line"
    seen="$seen$line;"
done
[ "$seen" = "pandas 3.1.1: ImportError, no infer_dtype_from_object;pandas 2.3.3: imported;" ]
