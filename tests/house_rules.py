"""The rules of the house as functions over a source tree: each answers with what breaks it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

FOUNDATION = ("errors", "contracts", "defaults", "runtime", "loading")  # in this order
PARTS = {
    "adaptations",
    "executors",
    "heads",
    "hubs",
    "metrics",
    "modalities",
    "targets",
    "tasks",
    "strategies",
}
FLOW = (
    *("data", "features", "transferability", "training", "evidence", "adaptation", "drift"),
    *("report", "artifact", "plan", "results"),
)
ROOMS = set(FOUNDATION)
STAGES = ROOMS | set(FLOW)
MAY_IMPORT = (
    {room: set(FOUNDATION[:place]) for place, room in enumerate(FOUNDATION)}
    | {part: ROOMS for part in PARTS}
    | {stage: ROOMS | set(FLOW[:place]) for place, stage in enumerate(FLOW)}
    | {
        "catalog": ROOMS,
        "data": ROOMS | {"catalog"},  # a table, or a record, names its kind of target
        "listing": ROOMS | {"catalog"},
        "serve": STAGES,
        "explain": STAGES | {"serve"},
        "labelling": STAGES | {"serve"},
        "server": STAGES | {"pipeline", "serve", "explain"},
        "forms": STAGES | {"catalog"},
        "tracking": ROOMS,
        "pipeline": STAGES
        | {"catalog", "listing", "serve", "explain", "labelling", "tracking", "forms"},
        "testing": STAGES | {"catalog"},
        "demo": STAGES | {"catalog", "pipeline"},
        "sklearn": STAGES | {"pipeline", "serve", "forms"},
        "studio": STAGES | {"catalog", "listing", "pipeline", "serve", "labelling"},
        "cli": STAGES
        | {"catalog", "listing", "pipeline", "serve", "explain", "labelling", "demo"}
        | {"server", "studio"},
        "web": STAGES | {"catalog", "pipeline", "serve"},
        "__init__": STAGES | {"catalog", "listing", "pipeline", "serve", "labelling"},
        "__main__": {"cli"},
    }
)
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "core", "base", "manager"}
OWNERS: dict[str, str | tuple[str, ...]] = {  # a heavy library -> the one file that imports it
    "captum": "explain",
    "google": "hubs/caffe",
    "h5py": "hubs/keras",
    "keras": "hubs/keras",
    "mlflow": "tracking/mlflow",
    "markdown_it": "server/pages",
    "nibabel": "modalities/image/nifti",
    "nncf": "forms/quantising",
    "onnx": ("hubs/graph/", "forms/onnx"),
    "onnx2torch": "hubs/graph/",
    "onnxruntime": "forms/onnx",
    "openvino": "loading/openvino_runtime",
    "ot": "adaptations/transport",
    "pandas": "serve/predictions",
    "soundfile": "modalities/audio/opening",
    "soxr": "modalities/audio/opening",
    "peft": ("strategies/lora", "hubs/huggingface/adapters"),  # adds adapters; merges them
    "pillow_heif": "modalities/image/heif",
    "plotly": "report/",
    "prometheus_client": "server/measures",
    "pydicom": "modalities/image/dicom",
    "ray": "executors/ray",
    "river": "drift/late_labels",
    "starlette": "server/",
    "tensorboard": "tracking/tensorboard",
    "timm": "hubs/timm",
    "tokenizers": ("modalities/text", "loading/sequences"),
    "torchvision": ("hubs/torchvision", "contracts/suppression"),  # networks; operations on boxes
    "sentencepiece": "loading/sequences",
    "transformers": ("hubs/huggingface", "loading/sequences", "loading/transformers_networks"),
    "uvicorn": "server/serving",
    "wandb": "tracking/wandb",
    "tabicl": "heads/tabicl",
    "xgboost": "heads/boosting/xgboost",
}
PICKLES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FILE_LINES, FUNCTION_LINES, CONTRACT_LINES, PARAMETERS = 300, 40, 150, 7


@dataclass(frozen=True)
class Source:
    """One parsed file of the package; `path` is relative to the package's folder."""

    path: Path
    text: str
    tree: ast.Module

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        """All of its syntax, the outer before the inner."""
        return list(ast.walk(self.tree))

    @property
    def unit(self) -> str:
        """The box of the diagram it belongs to: its top-level file or folder."""
        return self.path.with_suffix("").parts[0]

    def place(self, node: ast.AST) -> str:
        """Where a node stands, for a message."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = TypeVar("Node", bound=ast.AST)
Classes = Mapping[str, tuple[Source, ast.ClassDef]]
Rule = Callable[[Sequence[Source]], list[str]]


def read(package: Path) -> list[Source]:
    """Parse every Python file under a package's folder."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    return [Source(p.relative_to(package), text, ast.parse(text)) for p, text in texts.items()]


def imports_point_one_way(sources: Sequence[Source]) -> list[str]:
    """Each file imports only what the diagram lets it; parts never import one another."""
    wrong = []
    for source in sources:
        if source.unit not in MAY_IMPORT:
            wrong.append(f"{source.path} has no place in the diagram: give it one")
            continue
        for node, target in _own_imports(source):
            unit = target.partition(".")[0]
            inside = unit == source.unit and (unit not in PARTS or _same_part(source.path, target))
            if not inside and unit not in MAY_IMPORT[source.unit]:
                wrong.append(f"{source.place(node)} imports headstart.{target}")
    return wrong


def imports_are_absolute(sources: Sequence[Source]) -> list[str]:
    """No relative imports."""
    return [
        f"{source.place(node)} imports relatively"
        for source, node in _nodes(sources, ast.ImportFrom)
        if node.level
    ]


def libraries_have_one_owner(sources: Sequence[Source]) -> list[str]:
    """A library in OWNERS is imported in its own file (or folder) only."""
    return [
        f"{source.place(node)} imports {name}"
        for source in sources
        for node, name in _imports(source)
        if (owner := OWNERS.get(name.partition(".")[0]))
        and not source.path.with_suffix("").as_posix().startswith(owner)
    ]


def names_say_what_is_inside(sources: Sequence[Source]) -> list[str]:
    """No file or folder called utils and the like."""
    return [
        f"{source.path} is called nothing in particular"
        for source in sources
        if FORBIDDEN_NAMES & set(source.path.with_suffix("").parts)
    ]


def sizes_keep_to_budget(sources: Sequence[Source]) -> list[str]:
    """Files, functions, the contracts and parameter lists stay small."""
    wrong = []
    for source in sources:
        lines = len(source.text.splitlines())
        if lines > FILE_LINES or (source.unit == "contracts" and lines >= CONTRACT_LINES):
            wrong.append(f"{source.path} has {lines} lines")
    for source, node in _functions(sources):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES:
            wrong.append(f"{source.place(node)} {node.name} has {lines} lines")
        names = {argument.arg for argument in _arguments(node)} - {"self", "cls"}
        if len(names) > PARAMETERS and source.unit != "cli":
            wrong.append(f"{source.place(node)} {node.name} has {len(names)} parameters")
    return wrong


def no_hasattr_no_assert(sources: Sequence[Source]) -> list[str]:
    """Types are known, and checks of input survive `python -O`."""
    names = [
        f"{source.place(node)} asks hasattr"
        for source, node in _nodes(sources, ast.Name)
        if node.id == "hasattr"
    ]
    return names + [f"{source.place(node)} asserts" for source, node in _nodes(sources, ast.Assert)]


def nothing_is_unpickled(sources: Sequence[Source]) -> list[str]:
    """No pickle, no torch.load without weights_only=True, no NumPy object arrays.

    `pickle.UnpicklingError` may be named: torch.load raises it for a file it refuses.
    """
    wrong = []
    for source in sources:
        uses = [n for n in source.nodes if isinstance(n, ast.Name) and n.id == "pickle"]
        errors = [
            n
            for n in source.nodes
            if isinstance(n, ast.Attribute)
            and n.attr == "UnpicklingError"
            and ast.unparse(n) == "pickle.UnpicklingError"
        ]
        for node, name in _imports(source):
            harmless = name == "pickle.UnpicklingError" or (
                name == "pickle" and len(uses) == len(errors)
            )
            if name.partition(".")[0] in PICKLES and not harmless:
                wrong.append(f"{source.place(node)} imports {name}")
            if name == "torch.load":
                wrong.append(f"{source.place(node)} hides torch.load")
    for source, call in _nodes(sources, ast.Call):
        keywords = {
            word.arg: ast.unparse(word.value)
            for word in call.keywords
            if word.arg in ("weights_only", "allow_pickle")
        }
        called = isinstance(call.func, ast.Attribute) and call.func.attr == "load"
        if (
            called
            and ast.unparse(call.func) == "torch.load"
            and keywords.get("weights_only") != "True"
        ):
            wrong.append(f"{source.place(call)} loads without weights_only=True")
        if keywords.get("allow_pickle", "False") != "False":
            wrong.append(f"{source.place(call)} allows pickles")
    return wrong


def classes_are_abstract_or_final(sources: Sequence[Source]) -> list[str]:
    """A class of ours that is subclassed is abstract; kinds of error may specialise one another."""
    classes = {node.name: (source, node) for source, node in _nodes(sources, ast.ClassDef)}
    abstract = {name for name in classes if _is_abstract(name, classes)}
    return [
        f"{source.place(node)} {node.name} extends {base}, which is not abstract"
        for source, node in classes.values()
        for base in map(_last_name, node.bases)
        if base in classes and base not in abstract and not base.endswith("Error")
    ]


_NETWORKS = {"Module", "DetectorHead", "LibraryHead"}


def constructors_only_store(sources: Sequence[Source]) -> list[str]:
    """The constructor of a part keeps its settings and does nothing else; networks build layers."""
    return [
        f"{source.place(node)} does more than store"
        for source, kind in _nodes(sources, ast.ClassDef)
        if source.unit in PARTS and not _NETWORKS & set(map(_last_name, kind.bases))
        for function in kind.body
        if isinstance(function, ast.FunctionDef) and function.name == "__init__"
        for node in function.body
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.Pass)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]


def public_names_are_documented(sources: Sequence[Source]) -> list[str]:
    """Modules, and their public functions and classes, have a docstring."""
    wrong = [f"{s.path} has no docstring" for s in sources if not ast.get_docstring(s.tree)]
    for source in sources:
        for node in source.tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list):
                continue  # one way to call what is documented below
            if not node.name.startswith("_") and not ast.get_docstring(node):
                wrong.append(f"{source.place(node)} {node.name} has no docstring")
    return wrong


RULES: tuple[Rule, ...] = (
    imports_point_one_way,
    imports_are_absolute,
    libraries_have_one_owner,
    names_say_what_is_inside,
    sizes_keep_to_budget,
    no_hasattr_no_assert,
    nothing_is_unpickled,
    classes_are_abstract_or_final,
    constructors_only_store,
    public_names_are_documented,
)


def _nodes(sources: Sequence[Source], kind: type[Node]) -> Iterator[tuple[Source, Node]]:
    for source in sources:
        for node in source.nodes:
            if isinstance(node, kind):
                yield source, node


def _functions(sources: Sequence[Source]) -> Iterator[tuple[Source, Function]]:
    yield from _nodes(sources, ast.FunctionDef)
    yield from _nodes(sources, ast.AsyncFunctionDef)


def _arguments(node: Function) -> list[ast.arg]:
    return node.args.posonlyargs + node.args.args + node.args.kwonlyargs


def _imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def _own_imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    for node, name in _imports(source):
        package, _, target = name.partition(".")
        if package == "headstart" and not target.startswith("__"):
            yield node, target


def _same_part(path: Path, target: str) -> bool:
    return path.with_suffix("").parts[:2] == tuple(target.split(".")[:2])


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _is_abstract(name: str, classes: Classes) -> bool:
    _, node = classes[name]
    direct = {_last_name(base) for base in node.bases} & {"ABC", "Protocol"}
    return bool(direct or _left_open(name, classes))


def _left_open(name: str, classes: Classes) -> set[str]:
    """The abstract methods that a class neither defines nor inherits a definition of."""
    if name not in classes:
        return set()
    _, node = classes[name]
    methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
    inherited = {method for base in node.bases for method in _left_open(_last_name(base), classes)}
    own = {m.name for m in methods if "abstractmethod" in map(_last_name, m.decorator_list)}
    return inherited - {method.name for method in methods} | own
