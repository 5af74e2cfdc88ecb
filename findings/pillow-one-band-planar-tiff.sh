#!/usr/bin/env bash
# Pillow 13.0.0 misreads an uncompressed TIFF of ONE band whose planes are stored
# apart (PlanarConfiguration 2, a legal way to write one band; GDAL does so for
# interleave="band"). It then unpacks with the first letter of the raw mode alone,
# so byte order and sample width are lost: big-endian int32 and float32 give wrong
# numbers without an error, uint16 can't be read. rasterio 1.4.4 reads its files
# rightly, and Pillow does so when the tag says 1. (Seen on a little-endian machine.)
# Output seen (pillow 13.0.0, rasterio 1.4.4, numpy 2.4.6):
#   float32 BIG: tag 1 [1.0, 2.0, 3.0], tag 2 [4.600602988224807e-41, 8.96831017167883e-44, 2.304855714121459e-41]
#   int32 BIG: tag 1 [1, 2, 3], tag 2 [16777216, 33554432, 50331648]
#   uint16 LITTLE: tag 1 [1, 2, 3], tag 2 unknown raw mode for given image mode
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check pillow==13.0.0 rasterio==1.4.4 numpy==2.4.6

venv/bin/python - <<'PYTHON'
import sys
import warnings

import numpy as np
import rasterio
from PIL import Image

warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)


def pixels(dtype, order, interleave):
    form = dict(driver="GTiff", width=3, height=1, count=1, dtype=dtype)
    with rasterio.open("a.tif", "w", **form, interleave=interleave, ENDIANNESS=order) as file:
        file.write(np.array([[1, 2, 3]], dtype), 1)
    with rasterio.open("a.tif") as file:
        assert file.read(1).tolist() == [[1, 2, 3]]
    try:
        with Image.open("a.tif") as image:
            return np.asarray(image).ravel().tolist()
    except ValueError as error:
        return str(error)


wrong = 0
for dtype, order in ("float32", "BIG"), ("int32", "BIG"), ("uint16", "LITTLE"):
    together, apart = (pixels(dtype, order, way) for way in ("pixel", "band"))
    print(f"{dtype} {order}: tag 1 {together}, tag 2 {apart}")
    wrong += together == [1, 2, 3] and apart != [1, 2, 3]
sys.exit(wrong != 3)
PYTHON
