#!/usr/bin/env bash
# Pillow 13.0.0 and grey TIFF files of unsigned 32 bits (SampleFormat 1), which tifffile and
# microscopes write: in little-endian order they open as mode "I", whose pixels are signed,
# so that 2**31 and above turn negative without a warning; the very same picture in
# big-endian order can't be identified at all.
# Output seen (Pillow 13.0.0, tifffile 2026.3.3, numpy 2.4.6):
#   little-endian, mode I: [1, 70000, -2147483643]
#   big-endian: UnidentifiedImageError
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6

venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

pixels = np.array([[1, 70_000, 2**31 + 5]], dtype=np.uint32)
seen = []
for order, name in (("<", "little-endian"), (">", "big-endian")):
    tifffile.imwrite("picture.tif", pixels, byteorder=order, photometric="minisblack")
    try:
        with Image.open("picture.tif") as picture:
            seen.append(np.asarray(picture)[0].tolist())
            print(f"{name}, mode {picture.mode}: {seen[-1]}")
    except UnidentifiedImageError:
        seen.append(None)
        print(f"{name}: UnidentifiedImageError")
sys.exit(seen != [[1, 70_000, 5 - 2**31], None])
PYTHON
