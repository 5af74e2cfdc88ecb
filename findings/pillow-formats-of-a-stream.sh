#!/usr/bin/env bash
# Pillow 13.0.0 imports one plugin when it opens a file by its path, chosen by the
# ending of the name. Naming the only format allowed, formats=("TIFF",), doesn't do
# the same for a stream: TIFF isn't among the five formats tried first, so every
# plugin Pillow has is imported to read one. Importing the plugin by hand first
# keeps it at the five that come before, plus that one.
# Output seen (pillow 13.0.0):
#   plugins imported: by path 1, by stream 45, by stream after the import 6
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check pillow==13.0.0
venv/bin/python -c 'from PIL import Image; Image.new("L", (2, 2)).save("a.tiff")'

# Each way runs in a fresh process, since a plugin once imported stays.
plugins() {
    venv/bin/python - "$1" <<'PYTHON'
import sys

from PIL import Image

way = sys.argv[1]
if way == "path":
    Image.open("a.tiff", formats=("TIFF",)).load()
else:
    if way == "stream-after-import":
        from PIL import TiffImagePlugin
    with open("a.tiff", "rb") as stream:
        Image.open(stream, formats=("TIFF",)).load()
print(sum(name.startswith("PIL.") and name.endswith("ImagePlugin") for name in sys.modules))
PYTHON
}

path=$(plugins path)
stream=$(plugins stream)
after=$(plugins stream-after-import)
echo "plugins imported: by path $path, by stream $stream, by stream after the import $after"
[[ $path -eq 1 && $stream -gt 20 && $after -eq 6 ]]
