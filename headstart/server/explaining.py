"""Why a served model answers so, from a copy of it that nothing else asks."""

from __future__ import annotations

import asyncio
import base64
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any, Final, final

from starlette.requests import Request

from headstart.errors import HeadstartError
from headstart.runtime import pixels
from headstart.serve import Predictor
from headstart.server import body as bodies
from headstart.server.answering import late
from headstart.server.intake import inputs_in
from headstart.server.limits import Limits
from headstart.server.refusals import RefusedError
from headstart.server.room import Place, Room
from headstart.server.shelf import Served
from headstart.server.versions import Version, opened

_WAITING: Final = 4  # requests


@final
class Explaining:
    """Explains one request after another; gradients take torch, and a network of their own."""

    def __init__(self, limits: Limits, room: Room) -> None:
        self._limits = limits
        self._room = room
        self._thread = ThreadPoolExecutor(1, "explain")
        self._waiting = 0
        self._copies: dict[str, tuple[str, Predictor]] = {}

    async def explain(self, request: Request, served: Served) -> dict[str, Any]:
        """The explanations of a request's items. Raises RefusedError and HeadstartError."""
        uploaded = False
        if self._waiting >= _WAITING:
            raise RefusedError(
                503,
                f"{self._waiting} explanations are being made. Try again in 5 s.",
                {"Retry-After": "5"},
            )
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.seconds):
                with Place(self._room) as place:
                    content = await bodies.read(request, self._limits, place)
                    uploaded = True
                    version = served.entered()
                    try:
                        work = (content, version, served)
                        rows = await asyncio.get_running_loop().run_in_executor(
                            self._thread, self._explained, *work
                        )
                    finally:
                        version.leave()
        except TimeoutError:
            raise late(self._limits, uploaded) from None
        finally:
            self._waiting -= 1
        return {"model": served.name, "version": version.name, "explanations": rows}

    def prepare(self, served: Served) -> None:
        """Load what explanations of a model take, before the first is asked for."""
        self._thread.submit(self._prepared, served)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _prepared(self, served: Served) -> None:
        with suppress(ModuleNotFoundError, HeadstartError):  # which the first request will hear of
            import_module("headstart.explain")
            import_module("captum.attr")
            self._copy(served.version, served).model  # noqa: B018  # opens it

    def _explained(
        self, content: bodies.Body, version: Version, served: Served
    ) -> list[dict[str, Any]]:
        limits = replace(self._limits, items=self._limits.explained)
        inputs = inputs_in(content, version.predictor, limits.items)
        try:
            from headstart.explain import PictureExplanation, explain

            with pixels.at_most(limits.pixels):
                whys = explain(self._copy(version, served), inputs)
        except ModuleNotFoundError as error:
            raise RefusedError(
                501,
                f"Explanations need the package {error.name}, which the server lacks. "
                "Run there: pip install 'headstart[explain]'",
            ) from None
        rows = []
        for why in whys:
            row = why.to_json()
            if isinstance(why, PictureExplanation):
                file = io.BytesIO()
                why.overlay().save(file, "PNG")
                row["overlay"] = base64.b64encode(file.getvalue()).decode("ascii")
            rows.append(row)
        return rows

    def _copy(self, version: Version, served: Served) -> Predictor:
        """The same model once more. Raises HeadstartError where its folder holds another now."""
        name, predictor = self._copies.get(served.name, ("", None))
        if predictor is None or name != version.name:
            self._copies.pop(served.name, None)
            predictor, name = opened(served.folder)
            if name != version.name:
                raise HeadstartError(
                    f"The folder of {served.name} holds another model than the one that answers. "
                    "Ask again when it was swapped."
                )
            self._copies[served.name] = name, predictor
        return predictor
