"""What a command imports: not what only other commands need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import write_pictures
from packaging.version import Version

from headstart.loading.meta import without_values
from headstart.runtime.lazily import lazily

UNUSED = {  # by a fit on frozen features, and each slow to import
    *("torch._dynamo", "torch._inductor", "sympy", "plotly.graph_objs._figure", "transformers"),
    *("pandas", "sklearn", "captum", "torch.utils.tensorboard"),
    *("scipy.cluster", "matplotlib", "pyarrow", "onnx", "mlflow", "wandb", "peft", "xgboost"),
}


FORKED = """
import json, os, sys, torch
printed = []
sys.path.append(sys.argv[2])
for code in json.loads(sys.argv[1]):
    reading, writing = os.pipe()
    if not os.fork():
        os.dup2(writing, 1)
        exec(code, {})
        sys.stdout.flush()
        os._exit(0)
    os.close(writing)
    printed.append(os.fdopen(reading).read())
    assert os.wait()[1] == 0
print(json.dumps(printed))
"""


def run(code: str, *words: str) -> str:
    """What a fresh process prints last."""
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def printed() -> dict[str, str]:
    """What processes print that have imported torch and nothing else, by the name of their code."""
    codes = {"libraries": LIBRARIES, "meanwhile": MEANWHILE, "optimiser": OPTIMISER}
    texts = json.loads(run(FORKED, json.dumps(list(codes.values())), str(Path(__file__).parent)))
    return {name: text.strip() for name, text in zip(codes, texts, strict=True)}


LIBRARIES = """
import sys, torch
before = torch.compiler.disable, torch.compiler.allow_in_graph
import pathlib, tempfile
from detectors import detector
from headstart import catalog
with tempfile.TemporaryDirectory() as folder:
    catalog.load_backbone(f"graph:{detector(pathlib.Path(folder) / 'small.onnx')}")
import headstart.tasks.detection.head, headstart.hubs.timm
from headstart.loading.transformers_networks import transformers
from torchvision.ops import roi_align
none = not {"torch._dynamo", "torch._dynamo.utils", "torch._inductor"} & set(sys.modules)
late = {"scipy.optimize", "torch.distributed.checkpoint.hf_storage"} & set(sys.modules)
with transformers.masking_utils.TransformGetItemToIndex():
    answer = torch.arange(4)[torch.tensor(2)]
own = sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu")
from torch._dynamo.utils import is_compile_supported
from torch._dynamo.trace_rules import is_callable_allowed
right = own == is_compile_supported("cpu") and torch._dynamo.utils.__file__.endswith("utils.py")
allowed = is_callable_allowed(transformers.PreTrainedModel.can_record_outputs.fget)
after = torch.compiler.disable, torch.compiler.allow_in_graph
from transformers.loss.loss_for_object_detection import linear_sum_assignment
rows, _ = linear_sum_assignment([[1, 2], [2, 1]])
print(none, *late, right, int(answer), allowed, after == before, *rows)
"""
MEANWHILE = """
import sys, torch
from headstart.loading.lean import without_compiler
with without_compiler():
    @torch.compiler.disable
    def twice(number):
        return 2 * number
    @torch.compiler.disable(recursive=False)
    def thrice(number):
        return 3 * number
    lazy = "torch._dynamo" not in sys.modules
    from torch._dynamo.utils import counters
import torch._dynamo
print(lazy, counters is torch._dynamo.utils.counters, twice(2), thrice(2), twice.__name__)
"""
OPTIMISER = """
import sys, torch
from headstart.training.optimiser import EagerAdamW
def trained(kind):
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3)
    first = kind([{"params": [layer.weight], "lr": 0.1}, {"params": [layer.bias]}], lr=0.01)
    second = kind([{"params": [layer.weight], "lr": 0.1}, {"params": [layer.bias]}], lr=0.01)
    for optimiser in (first, first, second):
        if optimiser is second:
            second.load_state_dict(first.state_dict())
        optimiser.zero_grad()
        layer(torch.ones(2, 4)).square().sum().backward()
        optimiser.step()
    return layer.weight
before = trained(EagerAdamW)
none = not {"torch._dynamo", "sympy"} & set(sys.modules)
plain = trained(torch.optim.AdamW)
there = hasattr(sys.modules["torch._dynamo"], "optimize")
print(none, there, torch.equal(before, plain), torch.equal(before, trained(EagerAdamW)))
"""


def test_libraries_come_without_the_compiler_which_is_there_when_used(
    printed: dict[str, str],
) -> None:
    # transformers takes FSDP from torch, which brought the compiler itself as late as 2.8
    none = Version(torch.__version__) >= Version("2.9")
    assert printed["libraries"] == f"{none} True 2 True True 0 1"


def test_what_is_asked_of_the_compiler_meanwhile_is_its_own_answer(printed: dict[str, str]) -> None:
    assert printed["meanwhile"] == "True True 4 6 twice"


def test_the_flow_is_there_without_any_library_that_trains() -> None:
    code = f"""
import sys, headstart.pipeline.flow, headstart.pipeline.several
unused = {UNUSED | {"torch", "timm", "scipy"}!r}
without = sorted(unused & set(sys.modules))
from headstart.drift.late_labels import RisingErrors
RisingErrors()
print(without, sorted((unused - {{"scipy"}} | {{"scipy.stats", "sqlalchemy"}}) & set(sys.modules)))
"""
    assert run(code) == "[] []"


def test_a_module_comes_once_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    names = ("later_called", "later_asked", "later_never", "later_there")
    for name in names:
        (tmp_path / f"{name}.py").write_text("class Pair(tuple): pass\nSIZE = 2\n")
    __import__("later_there")
    with lazily({name: ("Pair",) for name in names}):
        came = {name: __import__(name) for name in names}
        assert [hasattr(each, "__file__") for each in came.values()] == [False] * 3 + [True]
        assert came["later_asked"].SIZE == 2
        assert (
            "later_asked" in sys.modules and came["later_asked"] is not sys.modules["later_asked"]
        )
    assert {"later_called", "later_never"}.isdisjoint(sys.modules)
    made = came["later_called"].Pair((1, 2))
    assert isinstance(made, sys.modules["later_called"].Pair) and made == (1, 2)
    assert "later_never" not in sys.modules
    with pytest.raises(AttributeError):
        _ = came["later_never"].SHAPE


def test_an_optimiser_comes_without_the_compiler_and_moves_alike(printed: dict[str, str]) -> None:
    assert printed["optimiser"] == "True True True True"


@pytest.mark.slow
def test_a_training_imports_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "data", {"ants": 14, "bees": 14})
    code = """
import sys
from headstart.cli import app
app(sys.argv[1:], standalone_mode=False)
print(sorted({"torch._dynamo", "torch._inductor", "sympy", "pandas"} & set(sys.modules)))
"""
    words = ["-b", "seeded:convnet", "-s", "full-fine-tuning", "--epochs", "1"]
    assert run(code, "fit", "data", "-o", "out", *words, "--evidence", "none") == "[]"


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["fit", "-o", "out", "-s", "feature-extraction", "--no-scratch", "--evidence", "none"],
        ["rank"],
    ],
    ids=["fit", "rank"],
)
def test_a_command_imports_nothing_that_it_does_not_use(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "data", {"ants": 14, "bees": 14})
    command, *options = words
    backbone = "timm:mobilenetv2_035?pretrained=false&size=32"
    code = f"""
import sys
from headstart.cli import app
app(sys.argv[1:], standalone_mode=False)
print(sorted({UNUSED!r} & set(sys.modules)))
"""
    assert run(code, command, "data", "-b", backbone, *options) == "[]"


@pytest.mark.parametrize(
    "fill",
    [
        torch.nn.init.normal_,
        torch.nn.init.trunc_normal_,
        torch.nn.init.kaiming_uniform_,
        torch.nn.init.xavier_uniform_,
        torch.Tensor.normal_,
    ],
    ids=lambda fill: fill.__name__,
)
def test_nothing_is_drawn_without_values(fill: object) -> None:
    torch.manual_seed(0)
    with without_values():
        layer = torch.nn.Linear(4, 3)
        assert callable(fill)
        assert fill(layer.weight.data) is not None
    assert layer.weight.is_meta and layer.weight.shape == (3, 4)
    values = torch.rand(2)
    torch.manual_seed(0)
    assert torch.equal(values, torch.rand(2))  # the random state is as it was
    with torch.device("cpu"):
        real = torch.nn.Linear(4, 3)
    assert real.weight.std() > 0
