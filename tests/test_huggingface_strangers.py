"""What a stranger's description of a model may not do: take memory, run code, open sockets."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from encoders import small_encoder
from peak_memory import peak
from picture_encoders import network, save_pictures

from headstart import catalog
from headstart.errors import HeadstartError


def edit(path: Path, **changes: Any) -> None:
    """Change entries of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def nested(depth: int) -> dict[str, Any]:
    """An object in an object, so many times."""
    return {"a": nested(depth - 1)} if depth else {}


CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"num_hidden_layers": 10**9}, "says num_hidden_layers=1,000,000,000, more than any network"),
    ({"num_attention_heads": 10**6}, "says num_attention_heads=1,000,000, more than"),
    ({"vocab_size": 10**12}, "says vocab_size=1,000,000,000,000, more than any network has"),
    ({"vocab_size": 2 * 10**9}, "describes a network of .* numbers, and the weights hold"),
    ({"hidden_size": 400_000, "num_attention_heads": 4}, "describes a network of .* numbers, and"),
    ({"layer_norm_eps": float("nan")}, "says layer_norm_eps=nan, which is no number"),
    ({"extra": nested(20)}, "is nested more than 8 deep"),
    ({"extra": [0] * 100_000}, "has 100,000 entries in 'extra'"),
]


@pytest.mark.parametrize(("changes", "message"), CONFIGS)
def test_sizes_in_a_config_are_looked_at_first(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = small_encoder(tmp_path)
    catalog.load_backbone(f"hf:{folder}")
    before = peak()
    edit(folder / "config.json", **changes)
    with pytest.raises(HeadstartError, match=message) as caught:
        catalog.load_backbone(f"hf:{folder}")
    assert str(caught.value).endswith(".")
    assert peak() - before < 200_000  # KB


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 10**6}, "describes a network of .* numbers, and the weights hold"),
        ({"num_hidden_layers": 10**9}, "says num_hidden_layers=1,000,000,000"),
        ({"num_channels": 10**6}, "takes pictures of 1000000 channels"),
        ({"hidden_act": "os.system"}, "can't be (built|used)"),
    ],
)
def test_sizes_of_an_encoder_of_pictures(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = save_pictures(tmp_path, network("vit"))
    edit(folder / "config.json", **changes)
    with pytest.raises(HeadstartError, match=message):
        catalog.load_backbone(f"hf:{folder}")


def test_random_weights_must_fit_into_memory(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path)
    edit(folder / "config.json", vocab_size=2 * 10**9)
    with pytest.raises(HeadstartError, match="more than fit into the memory"):
        catalog.load_backbone(f"hf:{folder}?pretrained=false")


def test_attention_from_the_hub_is_never_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config.json may name a kernel to be downloaded and run, at any depth."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    kernel = {"_attn_implementation": "lab/evil", "attn_implementation": "lab/evil"}
    folder = small_encoder(tmp_path / "text")
    edit(folder / "config.json", **kernel)
    assert catalog.load_backbone(f"hf:{folder}").origin.pretrained
    folder = save_pictures(tmp_path / "pictures", network("clip"))
    record = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", **kernel, vision_config=record["vision_config"] | kernel)
    backbone = catalog.load_backbone(f"hf:{folder}")
    assert "lab/evil" not in json.dumps(backbone.native)


def test_a_description_is_not_read_where_it_is_enormous(tmp_path: Path) -> None:
    folder = small_encoder(tmp_path)
    with (folder / "config.json").open("r+b") as file:
        file.truncate(1 << 30)  # a hole that takes no room on the disk
    with pytest.raises(HeadstartError, match="is larger than 64 MB"):
        catalog.load_backbone(f"hf:{folder}")
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(HeadstartError, match=r"config\.json can't be read"):
        catalog.load_backbone(f"hf:{folder}")
