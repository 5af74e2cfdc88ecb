"""What hubs refuse in the same words."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.runtime.installed import installation


def demand_package(package: str, what: object, extra: str) -> None:
    """Raise HeadstartError where a package that `what` needs is not installed."""
    if find_spec(package) is None:
        raise no_package(package, what, extra)


def no_package(package: str, what: object, extra: str) -> HeadstartError:
    """The refusal of what needs a package; `extra` is which of Headstart's brings it."""
    return HeadstartError(
        f"{what} needs the package {package}, which is not installed. Run: {installation(extra)}"
    )


def folder(
    path: str | Path, form: str, kind: type[HeadstartError] = HeadstartError
) -> HeadstartError:
    """The refusal of a folder where a file is to be given, as `form` says."""
    return kind(f"{path} is a folder. {form}; a model that Headstart saved is checkpoint:{path}.")


def other_network(source: object, stated: str, reference: Reference) -> WeightsError:
    """The refusal of weights that state another network of the same hub."""
    hub, weights = reference.hub, reference.weights
    return WeightsError(
        f"{source} holds the weights of {hub}:{stated}, not of {hub}:{reference.name}. "
        f"Write {hub}:{stated}@{weights}."
    )


def misfit(what: object, reason: str) -> WeightsError:
    """The refusal of weights that belong to another network."""
    return WeightsError(
        f"{what} does not fit the network: {reason}. Give the weights of this architecture."
    )


def unreadable(path: Path, error: Exception) -> HeadstartError:
    """The refusal of a file that came from elsewhere and is not whole."""
    return HeadstartError(f"{path} can't be read ({error}). Copy or download it again.")


def unfit_config(what: str, fault: str) -> HeadstartError:
    """The refusal of a network whose settings make none, or none that takes its inputs."""
    return HeadstartError(f"{what} {fault}. Mend its config.json, or give another model.")


def without_download(what: str) -> str:
    """The advice where weights can't be fetched."""
    random = f"{what}?pretrained=false"
    return f"Give a local file with {what}@FILE, or take random weights with {random}."
