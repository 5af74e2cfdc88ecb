"""Weight files: what is read, what is refused and how, and writing whole or not at all."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from headstart.errors import WeightsError
from headstart.loading.weights import digest, load_into, read, save


def state() -> dict[str, Tensor]:
    """A few tensors of several types and shapes."""
    return {
        "weight": torch.arange(6.0).reshape(2, 3),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "count": torch.tensor(7),
        "none": torch.zeros(0, 3),
    }


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Equal names, types and values."""
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name])
        for name in first
    )


def test_safetensors_come_back_with_their_header(tmp_path: Path) -> None:
    save(state(), tmp_path / "a.safetensors", {"timm": "resnet18"})
    content = read(tmp_path / "a.safetensors")
    assert same(content.state, state())
    assert content.metadata == {"timm": "resnet18"}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th", ".bin"])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state"])
def test_state_dicts_are_unwrapped(tmp_path: Path, suffix: str, wrapper: str | None) -> None:
    path = tmp_path / f"a{suffix}"
    torch.save({wrapper: state(), "epoch": 3} if wrapper else state(), path)
    assert same(read(path).state, state())


def test_a_parallel_prefix_is_dropped_only_where_all_have_it(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "module.b": torch.ones(1)}, tmp_path / "all.pth")
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "some.pth")
    assert set(read(tmp_path / "all.pth").state) == {"a", "b"}
    assert set(read(tmp_path / "some.pth").state) == {"module.a", "b"}


class Spy:
    """Opened by an unpickler that runs code, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (str(self.mark),))


def test_a_pickle_that_wants_code_is_refused_and_not_run(tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "evil.pth"
    torch.save({"state_dict": state(), "spy": Spy(mark)}, path)
    with pytest.raises(WeightsError, match=r"evil\.pth wants to run code"):
        read(path)
    plain = tmp_path / "plain.bin"
    plain.write_bytes(pickle.dumps(Spy(mark)))
    with pytest.raises(WeightsError, match=r"plain\.bin"):
        read(plain)
    assert not mark.exists()


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "folder.safetensors").mkdir()
    torch.save([1, 2], tmp_path / "list.pth")
    names = ["note.txt", "text.pth", "empty.pth", "empty.safetensors", "folder.safetensors"]
    for name in [*names, "list.pth", "absent.pth"]:
        with pytest.raises(WeightsError, match=name):
            read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, name: str, part: float) -> None:
    path = tmp_path / name
    big = {"weight": torch.ones(100, 100)}
    if name.endswith("pth"):
        torch.save(big, path)
    else:
        save(big, path, {})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(WeightsError, match=name):
        read(path)


def test_loading_is_exact() -> None:
    network, other = nn.Linear(3, 2), nn.Linear(3, 2)
    load_into(network, other.state_dict(), "file")
    assert same(network.state_dict(), other.state_dict())


def test_wrong_weights_are_told_apart_and_change_nothing() -> None:
    network = nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    wrong = {"0.weight": torch.ones(5, 2), "0.bias": torch.ones(2), "extra": torch.tensor(1.0)}
    with pytest.raises(WeightsError) as caught:
        load_into(network, wrong, "net.pth")
    text = str(caught.value)
    assert text.startswith("net.pth does not fit the network: 1 differ in shape: 0.weight (5×2 in")
    assert "4 missing: 1.weight 2×2, 1.bias 2, 2.weight 2×2 and 1 more" in text
    assert "1 left over: extra scalar" in text
    assert same(network.state_dict(), before)


shapes = st.lists(st.integers(0, 3), max_size=3)
names = st.text("abc.", min_size=1, max_size=5)


@given(st.dictionaries(names, shapes, min_size=1))
def test_the_digest_is_of_content_not_of_order_or_layout(content: dict[str, list[int]]) -> None:
    tensors = {name: torch.randn(shape) for name, shape in content.items()}
    turned = {name: tensors[name].clone() for name in reversed(tensors)}
    assert digest(tensors) == digest(turned)
    assert digest(tensors).startswith("sha256:")
    name = next(iter(tensors))
    assert digest({**tensors, name: tensors[name].double()}) != digest(tensors)
    assert digest({**tensors, name: tensors[name][None]}) != digest(tensors)
    assert digest({**tensors, f"{name}+": torch.ones(1)}) != digest(tensors)
    if tensors[name].numel():
        assert digest({**tensors, name: tensors[name] + 1}) != digest(tensors)


def test_a_strided_tensor_has_the_digest_of_its_copy() -> None:
    tensor = torch.arange(6.0).reshape(2, 3).T
    assert digest({"a": tensor}) == digest({"a": tensor.contiguous()})


def test_shared_and_strided_tensors_are_saved(tmp_path: Path) -> None:
    tied = torch.arange(6.0).reshape(2, 3)
    tensors = {"a": tied, "b": tied, "turned": tied.T, "part": tied[1:]}
    save(tensors, tmp_path / "a.safetensors", {})
    assert same(read(tmp_path / "a.safetensors").state, tensors)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(state(), path, {})
    with pytest.raises(WeightsError, match=r"can't be written"):
        save(state(), tmp_path / "no" / "b.safetensors", {})
    path.unlink()
    path.mkdir()  # so that the last step of writing fails
    (path / "inside").touch()
    with pytest.raises(WeightsError, match=r"can't be written"):
        save(state(), path, {})
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.safetensors"]


def test_real_weights(shared_data: Path) -> None:
    content = read(shared_data / "weights" / "mobilenetv2_100.imagenet.safetensors")
    assert content.metadata["timm"] == "mobilenetv2_100"
    assert content.state["classifier.weight"].shape == (1001, 1280)
    cifar = read(shared_data / "weights" / "cifar10_resnet20-12fca82f.th").state
    assert not any(name.startswith("module.") for name in cifar)


def test_a_saved_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.touch()
    save({"weight": torch.ones(2)}, tmp_path / "model.safetensors", {})
    assert (tmp_path / "model.safetensors").stat().st_mode == beside.stat().st_mode
