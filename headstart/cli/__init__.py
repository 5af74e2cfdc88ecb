"""The command line. Importing it loads no torch: the flow is imported when a command runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from headstart.cli import (
    drift,
    labelling,
    leaving,
    models,
    pretrained,
    serving,
    studio,
    translating,
)
from headstart.cli.answers import Answer
from headstart.cli.flags import (
    Check,
    Data,
    Download,
    Out,
    Plan,
    PlannedData,
    Pretrained,
    Several,
    SourceData,
    Strategy,
    Tasks,
)
from headstart.cli.options import command, demand_plan_alone, sources
from headstart.defaults import Settings
from headstart.errors import UnknownNameError
from headstart.runtime.budget import count_the_process
from headstart.runtime.progress import Progress

COMMANDS: Final = {"extract": "export-features", "features": "cache-features"}
FLAGS: Final = {"--batch": "--batch-size", "--rate": "--learning-rate"}
app = typer.Typer(
    help="Transfer pretrained models to your data, and see what the transfer was worth.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _headstart(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.")
    ] = False,
) -> None:
    if version:
        from headstart.runtime.installed import own_version

        print(f"headstart {own_version()}")
        raise typer.Exit


def rank(  # a flag each
    data: Data,
    settings: Settings,
    progress: Progress,
    backbone: Several = None,
    download: Download = False,
    check: Check = False,
) -> Answer:
    """Say which pretrained models suit the data, from their features, before any is trained."""
    from headstart.pipeline.selection import choosing

    ask = choosing.check_ranking if check else choosing.rank
    ranking: Answer = ask(
        data, backbone or (), download=download, settings=settings, progress=progress
    )
    return ranking


def fit(  # noqa: PLR0913  # a flag each
    settings: Settings,
    progress: Progress,
    data: PlannedData = None,
    out: Out = "model",
    backbone: Several = None,
    task: Tasks = None,
    strategy: Strategy = None,
    plan: Plan = None,
    download: Download = False,
) -> Answer:
    """Transfer a pretrained model to labelled data, weigh the gain, and save the model."""
    if plan is not None:
        demand_plan_alone(settings, backbone or task, strategy)
    from headstart.pipeline import flow

    if plan is not None:
        return flow.reproduce(plan, out, data=data, track=settings.track, progress=progress)
    several = backbone or ()
    answer: Answer = flow.fit(
        sources(data, task),
        several[0] if len(several) == 1 else several,
        out,
        strategy=strategy,
        download=download,
        settings=settings,
        progress=progress,
    )
    return answer


def pretrain(  # a flag each
    backbone: Pretrained,
    settings: Settings,
    progress: Progress,
    data: SourceData = None,
    out: Out = "model",
    task: Tasks = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Save the source even if it learned nothing.")
    ] = False,
) -> Answer:
    """Train a source from random weights on a related, larger set, to transfer from later."""
    from headstart.pipeline import flow

    answer: Answer = flow.pretrain(
        sources(data, task),
        backbone,
        out,
        anyway=anyway,
        settings=settings,
        progress=progress,
    )
    return answer


def cache_features(  # a flag each
    data: Data,
    backbone: Pretrained,
    settings: Settings,
    progress: Progress,
    strategy: Strategy = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only price where the network may be cut.")
    ] = False,
) -> Answer:
    """Run the frozen part over a data set and store its features; later runs find them there."""
    from headstart.pipeline import extraction

    if plan:
        return extraction.plan_features(
            data, backbone, strategy=strategy, settings=settings, progress=progress
        )
    return extraction.cache_features(data, backbone, settings=settings, progress=progress)


def plan(data: Data, backbone: Pretrained, settings: Settings, progress: Progress) -> Answer:
    """Say what the features of a data set will take, here or in workers, before any work."""
    from headstart.pipeline import sizing

    return sizing.plan(data, backbone, settings=settings, progress=progress)


def export_features(
    data: Data,
    backbone: Pretrained,
    out: Annotated[
        str, typer.Option("--out", "-o", help="A new file: .parquet, .csv, .npy or .npz.")
    ],
    settings: Settings,
    progress: Progress,
) -> Answer:
    """Write the features of a data set, labelled or not, to a file for other tools."""
    from headstart.pipeline import extraction

    return extraction.export_features(data, backbone, out, settings=settings, progress=progress)


@dataclass(frozen=True)
class Strategies:
    """The known strategies and what each does."""

    summaries: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """{"strategies": {name: what it does}}."""
        return {"strategies": dict(self.summaries)}

    def __str__(self) -> str:
        from headstart.report import as_columns

        return as_columns(("strategy", "what it does"), list(self.summaries.items()))


def strategies(progress: Progress) -> Answer:
    """List the ways weights can be moved."""
    from headstart.pipeline import strategy_spec

    return Strategies(strategy_spec.strategies())


def doctor(progress: Progress) -> Answer:
    """Show what this machine offers: versions, cores, memory, device, cache, weights at hand."""
    from headstart.cli.doctor import examine

    return examine()


def cache(
    progress: Progress,
    most: Annotated[
        str | None,
        typer.Option(
            "--max",
            help="Keep it below 500MB, 20GB, 1.5TB; auto is 20 % of the disk, at most 50GB.",
        ),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all that is not in use.")] = False,
) -> Answer:
    """Show what is stored for later runs, limit its size, or remove it."""
    from headstart.cli.cache import tend

    return tend(most, clear)


def demo(
    progress: Progress,
    name: Annotated[str, typer.Argument(help="Which demonstration: text or digits.")] = "text",
) -> Answer:
    """Run the whole path offline on real data that is already here, and print the evidence."""
    from headstart import demo as demos

    os.environ["HF_HUB_OFFLINE"] = "1"
    by_name: dict[str, Callable[[Progress], Answer]] = {
        "text": demos.text,
        "digits": demos.digits,
    }
    if name not in by_name:
        raise UnknownNameError("demo", name, by_name)
    return by_name[name](progress)


for _work in (
    *(pretrained.backbones, pretrained.fetch, rank, fit, pretrain),
    *(plan, cache_features, export_features),
    *(models.prove, models.evaluate, models.predict, models.compare, models.report),
    *(drift.shift, drift.watch, drift.refit, serving.serve, studio.studio),
    *(leaving.export, leaving.push, leaving.card),
    *(translating.translate, translating.pivot),
    *(labelling.suggest, labelling.label, strategies, doctor, cache, demo),
):
    app.command()(command(_work))


def main() -> None:
    """Run the command line and end the process with its exit code.

    Whoever ends it politely (SIGTERM) is answered as Ctrl-C is: what is made so far is kept.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    count_the_process()
    app(present(sys.argv[1:]))


def present(arguments: Sequence[str]) -> list[str]:
    """A command line in the names of today; the error stream says which ones were others."""
    words = list(arguments)
    if words and words[0] in COMMANDS:
        words[0] = _notice(words[0], COMMANDS[words[0]])
    for place, word in enumerate(words):
        if word == "--":
            break
        flag, equals, value = word.partition("=")
        if flag in FLAGS:
            words[place] = _notice(flag, FLAGS[flag]) + equals + value
    return words


def _notice(old: str, new: str) -> str:
    print(f"{old} is called {new} now.", file=sys.stderr)
    return new
