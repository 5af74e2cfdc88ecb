"""What the studio runs of Headstart."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.errors import HeadstartError
from headstart.studio.commands import Commands


def test_a_model_is_exported_to_a_new_folder_each_time(tmp_path: Path) -> None:
    commands = Commands(tmp_path / "labels.csv", True, lambda: None)
    (tmp_path / "models" / "1").mkdir(parents=True)
    (tmp_path / "models" / "1" / "headstart.json").write_text("{}")
    places = []
    for _ in range(3):
        *_, place = commands.export_words("1", "onnx")
        assert not Path(place).exists()
        Path(place).mkdir(parents=True)
        places.append(Path(place).name)
    assert places == ["1-onnx", "1-onnx-2", "1-onnx-3"]
    with pytest.raises(HeadstartError, match="can't be exported to 'tflite' here"):
        commands.export_words("1", "tflite")
