"""Which instance of Ray works: one of this process alone, or a cluster whose address is given."""

from __future__ import annotations

import os
import sys
from ipaddress import ip_address
from secrets import token_hex
from socket import create_connection
from typing import Any, Final

import psutil

from headstart.errors import HeadstartError, reason

STORE: Final = 256 << 20  # bytes of shared memory: a network, and activations on the way
LEAST: Final = 200 << 20  # bytes of memory that a worker takes with nothing in it yet
OWN: Final = ("", "local")  # addresses of an instance that is started here
_QUIET: Final = {"log_to_driver": False, "logging_level": "ERROR"}
_PRIVATE: Final = {
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on any system: without it Ray takes the machine's
}  # address for its own and listens on all; Ray reads these when it is imported


def library() -> Any:
    """Ray, which tells nobody that it is used."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    return ray


def demand_room(workers: int | None) -> None:
    """Raises HeadstartError where so many workers can't be on this machine."""
    room = max(1, psutil.virtual_memory().available // LEAST)
    if (workers or 1) > max(room, os.cpu_count() or 1):
        raise HeadstartError(
            f"--workers {workers} are more than the free memory of this machine holds. "
            f"Give at most {room}; more than {os.cpu_count()}, its cores, are hardly faster."
        )


def connect(address: str, workers: int | None, offline: bool) -> None:
    """Join the cluster at the address, or start an instance here; once in a process.

    Raises HeadstartError where nobody answers there, Ray can't start, this process is connected
    to another cluster, or its instance may reach other machines and no connection may.
    """
    connected = "ray" in sys.modules and library().is_initialized()
    if address not in OWN:
        _join(address, connected)
    elif not connected:
        _start(workers)
    if offline:
        _demand_private()


def _join(address: str, connected: bool) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdecimal():  # as Ray tries for minutes
            create_connection((host.strip("[]"), int(port)), 5).close()
        if not connected:
            library().init(address, **_QUIET)
    except (ValueError, RuntimeError, OSError, OverflowError) as error:
        raise HeadstartError(
            f"No cluster of Ray answers at {address} ({reason(error)}). Start one "
            "there with `ray start --head`, or give --on ray for one on this machine."
        ) from None
    own = library().get_runtime_context().gcs_address
    if port.isdecimal() and "://" not in address and address != own:
        raise HeadstartError(
            f"ray:{address} is not the cluster that this process is connected to ({own}). "
            "Give --on ray for that one, or start afresh."
        )


def _start(workers: int | None) -> None:
    """An instance that listens to this machine alone, and to those who know a token in no file."""
    os.environ.setdefault("RAY_AUTH_TOKEN", token_hex(32))
    if "ray" not in sys.modules:
        os.environ.update(_PRIVATE)
    ray, cores = library(), max(os.cpu_count() or 1, workers or 1)
    own = {"object_store_memory": STORE, "include_dashboard": False, **_QUIET}
    try:
        ray.init("local", num_cpus=cores, **own)
    except Exception as error:  # it raises plain ones, as where a machine is too busy
        ray.shutdown()
        raise HeadstartError(
            f"Ray can't start here ({reason(error)}). Run it again when the machine has less "
            "to do, or give --on local."
        ) from None


def _demand_private() -> None:
    """Whether the instance consists of this machine alone, by an address that no other reaches."""
    addresses = [node["NodeManagerAddress"] for node in library().nodes()]
    if not all(ip_address(each).is_loopback for each in addresses):
        raise HeadstartError(
            f"Ray runs at {', '.join(addresses)} in this process, where other machines reach it, "
            "and no connection may be opened. Start afresh without importing ray, or leave out "
            "--offline."
        )
