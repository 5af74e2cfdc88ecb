"""The diagram of docs/architecture.md as a test: imports, names, sizes, every part reachable."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import house_rules
import pytest
from house_rules import RULES, Rule, Source, read

import headstart
from headstart import catalog, contracts
from headstart.contracts.adaptation import Adaptation
from headstart.contracts.executor import Executor
from headstart.contracts.head import HeadFitter

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "headstart"
DOC = '"""Says what."""\n'
ABSTRACT = "class A(ABC):\n    @abstractmethod\n    def f(self): ...\n"
# Each tree breaks one rule in one place, and stands beside the nearest tree that keeps it.
PLANTED: list[tuple[Rule, dict[str, str], dict[str, str]]] = [
    (
        house_rules.imports_point_one_way,
        {"features.py": "from headstart.training import train"},
        {"training.py": "from headstart.features import extract"},
    ),
    (
        house_rules.imports_point_one_way,
        {"hubs/timm.py": "from headstart.hubs.seeded import Seeded"},
        {"hubs/timm/cards.py": "from headstart.hubs.timm.names import NAMES"},
    ),
    (
        house_rules.imports_point_one_way,
        {"strategies/lora.py": "def f():\n    import headstart.training"},
        {"strategies/lora.py": "import headstart.contracts"},
    ),
    (
        house_rules.imports_point_one_way,
        {"evidence.py": "from headstart import catalog"},
        {"pipeline.py": "from headstart import catalog"},
    ),
    (
        house_rules.imports_point_one_way,
        {"serve.py": "from headstart.strategies.lora import Lora"},
        {"serve.py": "from headstart.artifact import load"},
    ),
    (house_rules.imports_point_one_way, {"extras.py": ""}, {"report.py": ""}),
    (
        house_rules.imports_point_one_way,
        {"runtime/budget.py": "from headstart.loading import weights"},
        {"loading/weights.py": "from headstart.runtime import budget"},
    ),
    (
        house_rules.imports_are_absolute,
        {"data/items.py": "from . import splits"},
        {"data/items.py": "from headstart.data import splits"},
    ),
    (
        house_rules.libraries_have_one_owner,
        {"weights.py": "def f():\n    from timm.models import load_state_dict"},
        {"hubs/timm.py": "import timm"},
    ),
    (house_rules.names_say_what_is_inside, {"data/utils.py": ""}, {"data/splits.py": ""}),
    (house_rules.sizes_keep_to_budget, {"data.py": "#\n" * 301}, {"data.py": "#\n" * 300}),
    (
        house_rules.sizes_keep_to_budget,
        {"contracts/hub.py": "#\n" * 150},
        {"contracts/hub.py": "#\n" * 149},
    ),
    (
        house_rules.sizes_keep_to_budget,
        {"data.py": "def f():\n" + "    f()\n" * 40},
        {"data.py": "def f():\n" + "    f()\n" * 39},
    ),
    (
        house_rules.sizes_keep_to_budget,
        {"data.py": "def f(a, b, c, d, e, *, g, h, i): ..."},
        {"data.py": "def f(self, a, b, c, d, e, *, g, h): ..."},
    ),
    (
        house_rules.no_hasattr_no_assert,
        {"data.py": "hasattr(1, 'a')"},
        {"data.py": "getattr(1, 'a')"},
    ),
    (house_rules.no_hasattr_no_assert, {"data.py": "assert True"}, {"data.py": "print(True)"}),
    (
        house_rules.nothing_is_unpickled,
        {"weights.py": "import pickle\npickle.load(f)"},
        {"weights.py": "import pickle\ntry: ...\nexcept pickle.UnpicklingError: ..."},
    ),
    (
        house_rules.nothing_is_unpickled,
        {"a.py": "from joblib import load"},
        {"a.py": "import json"},
    ),
    (
        house_rules.nothing_is_unpickled,
        {"a.py": "from torch import load"},
        {"a.py": "import torch"},
    ),
    (
        house_rules.nothing_is_unpickled,
        {"weights.py": "torch.load(p, weights_only=False)"},
        {"weights.py": "torch.load(p, weights_only=True)"},
    ),
    (
        house_rules.nothing_is_unpickled,
        {"weights.py": "torch.load(p)"},
        {"weights.py": "json.load(p)"},
    ),
    (
        house_rules.nothing_is_unpickled,
        {"weights.py": "np.load(p, allow_pickle=True)"},
        {"weights.py": "np.load(p)"},
    ),
    (
        house_rules.classes_are_abstract_or_final,
        {"a.py": "class A: ...", "b.py": "class B(a.A): ..."},
        {"a.py": "class A(ABC): ...", "b.py": "class B(a.A): ..."},
    ),
    (
        house_rules.classes_are_abstract_or_final,
        {"a.py": ABSTRACT + "class B(A):\n    def f(self): ...\nclass C(B): ..."},
        {"a.py": ABSTRACT + "class B(A):\n    def g(self): ...\nclass C(B): ..."},
    ),
    (
        house_rules.constructors_only_store,
        {"hubs/a.py": "class A:\n    def __init__(self, a=1):\n        print(a)"},
        {"hubs/a.py": "class A:\n    def __init__(self, a=1):\n        self.a = a"},
    ),
    (house_rules.public_names_are_documented, {"a.py": DOC + "def f(): ..."}, {"a.py": DOC}),
    (house_rules.public_names_are_documented, {"a.py": ""}, {"a.py": DOC + "def _f(): ..."}),
]


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write a package's files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def package() -> Sequence[Source]:
    """The whole package, parsed once."""
    return read(PACKAGE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule, package: Sequence[Source]) -> None:
    assert rule(package) == []


@pytest.mark.parametrize(("rule", "broken", "remaining"), PLANTED)
def test_a_rule_sees_what_breaks_it(
    rule: Rule, broken: dict[str, str], remaining: dict[str, str], tmp_path: Path
) -> None:
    assert len(rule(read(plant(tmp_path / "broken", broken)))) >= 1
    assert rule(read(plant(tmp_path / "kept", remaining))) == []


def test_every_rule_is_tried() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)


PARTS = [
    (kind, name, contract)
    for kind, contract in (
        ("hubs", contracts.Hub),
        ("modalities", contracts.Modality),
        ("tasks", contracts.Task),
        ("strategies", contracts.Strategy),
        ("heads", HeadFitter),
        ("adaptations", Adaptation),
        ("executors", Executor),
    )
    for name in catalog.names(kind)
]


@pytest.mark.parametrize(("kind", "name", "contract"), PARTS)
def test_every_part_is_reachable_and_documented(kind: str, name: str, contract: type) -> None:
    result = catalog.part(kind, name)()
    assert isinstance(result, contract)
    text = type(result).__doc__ or ""
    assert text.strip().splitlines()[0].endswith(".")
    if kind == "strategies":
        missing = {word for word in ("Reference", "Relations", "Use when") if word not in text}
        assert not missing


def test_public_names_are_sorted_and_complete() -> None:
    names = headstart.__all__
    assert list(names) == sorted(names)
    assert all(getattr(headstart, name) is not None for name in names)
    assert set(names) <= set(dir(headstart))
    assert {"fit", "pretrain", "evaluate", "load", "backbones", "strategies", "Settings"} <= set(
        names
    )


@pytest.mark.parametrize("module", ["headstart", "headstart.cli", "headstart.catalog"])
def test_start_up_is_lazy(module: str) -> None:
    code = (
        f"import sys, {module}; heavy = {{'torch', 'numpy', 'timm', 'sklearn', 'pyarrow', "
        "'headstart.contracts.task', 'headstart.pipeline'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_readme_opens_with_the_commands() -> None:
    opening = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40]
    for expected in ("make demo", "make test", "import headstart as hs"):
        assert any(expected in line for line in opening), expected
