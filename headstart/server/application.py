"""The addresses of a server, and what each answers."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headstart.errors import HeadstartError
from headstart.server import pages, refusals
from headstart.server.access import Access
from headstart.server.answering import Answering
from headstart.server.explaining import Explaining
from headstart.server.measures import KIND, Measures
from headstart.server.openapi import document
from headstart.server.refusals import RefusedError
from headstart.server.shelf import Served, Shelf

_HEADERS: Final = {
    "Content-Security-Policy": pages.POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def as_json(content: Any, status: int = 200) -> Response:
    """An answer for programs."""
    text = json.dumps(content, allow_nan=False)  # plain ASCII, whatever stands in it
    return Response(text, status, media_type="application/json")


def refusal(error: Exception) -> Response:
    """What a request hears that gets no answer: a status and one sentence."""
    if isinstance(error, RefusedError):
        answer = as_json(refusals.content(str(error)), error.status)
        answer.headers.update(error.headers)
        return answer
    if isinstance(error, HTTPException):
        sentence = _PLAIN.get(error.status_code, str(error.detail))
        answer = as_json(refusals.content(sentence), error.status_code)
        answer.headers.update(error.headers or {})
        return answer
    if isinstance(error, HeadstartError):
        return as_json(refusals.content(str(error)), 422)
    traceback.print_exception(error, file=sys.stderr)
    sentence = "The server failed at this, which is a defect of its own. Its log says more."
    return as_json(refusals.content(sentence), 500)


_PLAIN: Final = {
    404: "There is nothing here. See /docs.",
    405: "This address is asked otherwise. See /docs.",
}


@final
@dataclass(frozen=True)
class Application:
    """All that answers, and the addresses that it answers at."""

    shelf: Shelf
    answering: Answering
    explaining: Explaining
    measures: Measures
    access: Access
    url: str

    def build(self) -> ASGIApp:
        """The application, as a server of ASGI runs it."""
        routes = [
            Route("/", self._overview),
            Route("/docs", self._manual),
            Route("/openapi.json", self._openapi),
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/metrics", self._metrics),
            Route("/models", self._models),
            Route("/models/{name}", self._model),
            Route("/models/{name}/card", self._card),
            Route("/models/{name}/report", self._report),
            Route("/models/{name}/swap", self._swap, methods=["POST"]),
        ]
        for act, work in (
            ("predict", self.answering.predict),
            ("explain", self.explaining.explain),
        ):
            for place in (f"/{act}", f"/models/{{name}}/{act}"):
                routes.append(Route(place, self._measured(act, work), methods=["POST"]))
        return _Gate(Starlette(routes=routes, exception_handlers=_HANDLERS), self.access)

    def _measured(
        self, act: str, work: Callable[[Request, Served], Awaitable[dict[str, Any]]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that answers by a model, and is counted."""

        async def endpoint(request: Request) -> Response:
            begun, model, status = time.perf_counter(), "", 499
            try:
                served = self._served(request)
                model = served.name
                answer = as_json(await work(request, served))
                status = answer.status_code
            except ClientDisconnect:
                return Response(status_code=status)  # which nobody hears
            except Exception as error:
                answer = refusal(error)
                status = answer.status_code
            finally:
                self.measures.requests.labels(act, model, str(status)).inc()
                self.measures.seconds.labels(act, model).observe(time.perf_counter() - begun)
            return answer

        return endpoint

    def _served(self, request: Request) -> Served:
        return self.shelf.model(request.path_params.get("name"))

    async def _health(self, request: Request) -> Response:
        return as_json({"status": "alive"})

    async def _ready(self, request: Request) -> Response:
        return as_json({"status": "ready", "models": list(self.shelf.models)})

    async def _metrics(self, request: Request) -> Response:
        self.measures.waiting.set(self.answering.room.items)
        for name, served in self.shelf.models.items():
            self.measures.alarmed.labels(name).set(bool(served.alarm))
            self.measures.unseen.labels(name).set(served.version.left_out)
        return Response(self.measures.text(), media_type=KIND)

    async def _models(self, request: Request) -> Response:
        return as_json({"models": [each.to_json() for each in self.shelf.models.values()]})

    async def _model(self, request: Request) -> Response:
        return as_json(self._served(request).to_json())

    async def _overview(self, request: Request) -> Response:
        return HTMLResponse(pages.overview(self.shelf))

    async def _manual(self, request: Request) -> Response:
        return HTMLResponse(pages.manual(self._document()))

    async def _openapi(self, request: Request) -> Response:
        return as_json(self._document())

    def _document(self) -> dict[str, Any]:
        return document(self.shelf, self.url, bool(self.access.token))

    async def _card(self, request: Request) -> Response:
        return HTMLResponse(await asyncio.to_thread(pages.card, self._served(request)))

    async def _report(self, request: Request) -> Response:
        task = request.query_params.get("task")
        page = await asyncio.to_thread(pages.report, self._served(request), task)
        return HTMLResponse(page, headers=pages.report_headers())

    async def _swap(self, request: Request) -> Response:
        served = self._served(request)
        try:
            version = await asyncio.to_thread(served.swap)
        except HeadstartError as error:
            self.measures.swaps.labels(served.name, "refused").inc()
            raise RefusedError(409, str(error)) from error
        self.measures.swaps.labels(served.name, "taken").inc()
        return as_json({"model": served.name, "version": version.name})


async def _refuse(request: Request, error: Exception) -> Response:
    return refusal(error)


_HANDLERS: Final = {HTTPException: _refuse, HeadstartError: _refuse, Exception: _refuse}


@final
class _Gate:
    """Before all addresses: who may ask; and after them: headers, and a sentence for a defect."""

    def __init__(self, inner: ASGIApp, access: Access) -> None:
        self._inner = inner
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                names = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"]] + [
                    (name.lower().encode(), value.encode())
                    for name, value in _HEADERS.items()
                    if name.lower().encode() not in names
                ]
            await send(message)

        try:
            self._access.demand(scope["path"], scope["method"], Headers(scope=scope))
            await self._inner(scope, receive, with_headers)
        except Exception as error:
            if begun:
                raise
            await refusal(error)(scope, receive, with_headers)
