"""Make docs/report.png, the top of the demonstration's page: `python docs/report_picture.py`.

Needs Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from headstart.demo import digits

PICTURE = Path(__file__).with_name("report.png")
SIZE = "1000,1050"


def main() -> int:
    """Run the demonstration and photograph its page; 1 where there is no Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        page = digits(out=Path(folder)).transfer.folder / "report.html"
        quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        shot = [f"--window-size={SIZE}", f"--screenshot={PICTURE}", page.as_uri()]
        subprocess.run([chromium, *quiet, *shot], check=True, capture_output=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
