"""The command line. Importing it loads no torch: the flow is imported when a command runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from headstart.cli import drift, labelling, models, pretrained
from headstart.cli.answers import Answer, answer
from headstart.cli.flags import (
    Check,
    Data,
    Download,
    Json,
    MakeSettings,
    Out,
    Plan,
    PlannedData,
    Pretrained,
    Several,
    Strategy,
)
from headstart.cli.listings import Strategies
from headstart.cli.options import demand_data, demand_plan_alone, takes_settings
from headstart.cli.renamed import present
from headstart.runtime.budget import count_the_process
from headstart.runtime.progress import Progress

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
        from importlib.metadata import version as installed

        print(f"headstart {installed('headstart')}")
        raise typer.Exit


pretrained.register(app)


@app.command()
@takes_settings
def rank(
    data: Data,
    settings: MakeSettings,
    backbone: Several = None,
    download: Download = False,
    check: Check = False,
    as_json: Json = False,
) -> None:
    """Say which pretrained models suit the data, from their features, before any is trained."""

    def work(progress: Progress) -> Answer:
        chosen = settings()
        from headstart import pipeline

        ask = pipeline.check_ranking if check else pipeline.rank
        ranking: Answer = ask(
            data, backbone or (), download=download, settings=chosen, progress=progress
        )
        return ranking

    answer(as_json, work)


@app.command()
@takes_settings
def fit(  # noqa: PLR0913  # a flag each
    settings: MakeSettings,
    data: PlannedData = None,
    out: Out = "model",
    backbone: Several = None,
    strategy: Strategy = None,
    plan: Plan = None,
    download: Download = False,
    as_json: Json = False,
) -> None:
    """Transfer a pretrained model to labelled data, weigh the gain, and save the model."""

    def work(progress: Progress) -> Answer:
        chosen = settings()
        if plan is not None:
            demand_plan_alone(chosen, backbone, strategy)
        from headstart import pipeline

        if plan is not None:
            return pipeline.reproduce(plan, out, data=data, track=chosen.track, progress=progress)
        several = backbone or ()
        return pipeline.fit(
            demand_data(data),
            several[0] if len(several) == 1 else several,
            out,
            strategy=strategy,
            download=download,
            settings=chosen,
            progress=progress,
        )

    answer(as_json, work)


@app.command()
@takes_settings
def pretrain(
    data: Data,
    backbone: Pretrained,
    settings: MakeSettings,
    out: Out = "model",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Save the source even if it learned nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a source from random weights on a related, larger set, to transfer from later."""

    def work(progress: Progress) -> Answer:
        chosen = settings()
        from headstart import pipeline

        return pipeline.pretrain(
            data, backbone, out, anyway=anyway, settings=chosen, progress=progress
        )

    answer(as_json, work)


@app.command()
@takes_settings
def cache_features(
    data: Data,
    backbone: Pretrained,
    settings: MakeSettings,
    strategy: Strategy = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only price where the network may be cut.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the frozen part over a data set and store its features; later runs find them there."""

    def work(progress: Progress) -> Answer:
        chosen = settings()
        from headstart import pipeline

        if plan:
            return pipeline.plan_features(
                data, backbone, strategy=strategy, settings=chosen, progress=progress
            )
        return pipeline.cache_features(data, backbone, settings=chosen, progress=progress)

    answer(as_json, work)


@app.command()
@takes_settings
def export_features(
    data: Data,
    backbone: Pretrained,
    out: Annotated[
        str, typer.Option("--out", "-o", help="A new file: .parquet, .csv, .npy or .npz.")
    ],
    settings: MakeSettings,
    as_json: Json = False,
) -> None:
    """Write the features of a data set, labelled or not, to a file for other tools."""

    def work(progress: Progress) -> Answer:
        chosen = settings()
        from headstart import pipeline

        return pipeline.export_features(data, backbone, out, settings=chosen, progress=progress)

    answer(as_json, work)


models.register(app)
drift.register(app)
labelling.register(app)


@app.command()
def strategies(as_json: Json = False) -> None:
    """List the ways weights can be moved."""

    def work(progress: Progress) -> Answer:
        from headstart import pipeline

        return Strategies(pipeline.strategies())

    answer(as_json, work)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show what this machine offers: versions, cores, memory, device, cache, weights at hand."""

    def work(progress: Progress) -> Answer:
        from headstart.cli.doctor import examine

        return examine()

    answer(as_json, work)


@app.command()
def cache(
    most: Annotated[
        str | None,
        typer.Option(
            "--max",
            help="Keep it below 500MB, 20GB, 1.5TB; auto is 20 % of the disk, at most 50GB.",
        ),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all that is not in use.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is stored for later runs, limit its size, or remove it."""

    def work(progress: Progress) -> Answer:
        from headstart.cli.cache import tend

        return tend(most, clear)

    answer(as_json, work)


@app.command()
def demo(
    name: Annotated[str, typer.Argument(help="Which demonstration: text or digits.")] = "text",
    as_json: Json = False,
) -> None:
    """Run the whole path offline on real data that is already here, and print the evidence."""

    def work(progress: Progress) -> Answer:
        from headstart import demo as demos
        from headstart.errors import UnknownNameError

        os.environ["HF_HUB_OFFLINE"] = "1"
        known: dict[str, Callable[[Progress], Answer]] = {
            "text": demos.text,
            "digits": demos.digits,
        }
        if name not in known:
            raise UnknownNameError("demo", name, known)
        return known[name](progress)

    answer(as_json, work)


def main() -> None:
    """Run the command line and end the process with its exit code.

    Whoever ends it politely (SIGTERM) is answered as Ctrl-C is: what is made so far is kept.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    count_the_process()
    app(present(sys.argv[1:]))
