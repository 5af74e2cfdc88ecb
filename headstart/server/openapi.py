"""What can be asked, as OpenAPI 3.1 has it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from headstart.server.intake import JSON, KEY, TABLES, item_noun
from headstart.server.shelf import Served, Shelf

_REFUSALS: Final = {
    "400": "The body can't be read.",
    "401": "No token, or another one.",
    "403": "Another site's page asks.",
    "404": "There is no such model.",
    "408": "The upload took too long.",
    "413": "Too long a body, or too many items.",
    "415": "A type that the model can't take.",
    "422": "No item can be used.",
    "503": "Busy: try again after Retry-After seconds.",
    "504": "No answer came in time.",
}
_STRING: Final = {"type": "string"}
_EXAMPLES: Final = {"text": "a text", "row": {"column": 1.5}, "file": "iVBORw0KGgo="}


def document(shelf: Shelf, url: str, secured: bool) -> dict[str, Any]:
    """The document for the models that are served now."""
    paths: dict[str, Any] = {
        "/health": {"get": _operation("Whether the process lives", {"200": "It does."})},
        "/ready": {
            "get": _operation("Whether all models answer", {"200": "They do.", "503": "No."})
        },
        "/metrics": {"get": _operation("Counters for Prometheus", {"200": "Text."})},
        "/models": {"get": _operation("The models by name", {"200": "Names, versions, labels."})},
    }
    for name, served in shelf.models.items():
        paths |= _of_model(name, served)
    if len(shelf.models) == 1:
        only = next(iter(shelf.models.values()))
        own = _of_model(only.name, only)
        paths |= {f"/{act}": own[f"/models/{only.name}/{act}"] for act in ("predict", "explain")}
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "Headstart", "version": version("headstart")},
        "servers": [{"url": url}],
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }
    if secured:
        scheme = {"type": "http", "scheme": "bearer"}
        whole["components"]["securitySchemes"] = {"token": scheme}  # type: ignore[index]
        whole["security"] = [{"token": []}]
    return whole


def _of_model(name: str, served: Served) -> dict[str, Any]:
    place = f"/models/{name}"
    body = {"required": True, "content": _content(served)}
    abstain = {
        "name": "abstain",
        "in": "query",
        "description": "Give no answer to inputs that are unlike any seen.",
        "schema": {"type": "boolean", "default": False},
    }
    answers = _operation("Answers, in the items' order", {"200": "Answers."}, "Answers")
    explained = _operation("Why: a heat map, or a weight a word", {"200": "Explanations."})
    swapped = _operation(
        "Load what the folder holds now", {"200": "It answers.", "409": "It can't."}
    )
    return {
        place: {"get": _operation(f"About {name}", {"200": "Its version, kind and labels."})},
        f"{place}/predict": {"post": answers | {"requestBody": body, "parameters": [abstain]}},
        f"{place}/explain": {"post": explained | {"requestBody": body}},
        f"{place}/swap": {"post": swapped},
        f"{place}/card": {"get": _operation("The model card", {"200": "A page."})},
        f"{place}/report": {"get": _operation("What the transfer was worth", {"200": "A page."})},
    }


def _operation(
    summary: str, responses: Mapping[str, str], schema: str | None = None
) -> dict[str, Any]:
    refused = {"content": {JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}}}}
    answer = {"content": {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
    own: dict[str, Any] = {
        status: {"description": text} | (answer if schema and status == "200" else {})
        for status, text in responses.items()
    }
    others = {status: {"description": text} | refused for status, text in _REFUSALS.items()}
    return {"summary": summary, "responses": others | own if schema else own}


def _content(served: Served) -> dict[str, Any]:
    """The types of a body that a model takes."""
    what = item_noun(served.version.predictor)
    item: dict[str, Any] = {"type": "object" if what == "row" else "string"}
    if what == "file":
        item["contentEncoding"] = "base64"
    schema = {
        "type": "object",
        "required": [KEY],
        "properties": {KEY: {"type": "array", "items": item, "minItems": 1}},
    }
    form = {"type": "object", "properties": {"file": dict(_STRING)}}
    others: dict[str, dict[str, Any]] = {
        "text": {"text/plain": {"schema": _STRING, "example": "a text"}},
        "row": {kind: {"schema": _STRING} for kind in TABLES},
        "file": {"application/octet-stream": {"schema": {}, "example": "@FILE"}},
    }
    json_body = {"schema": schema, "example": {KEY: [_EXAMPLES[what]]}}
    return {JSON: json_body, **others[what], "multipart/form-data": {"schema": form}}


_SCHEMAS: Final[dict[str, Any]] = {
    "Refusal": {"type": "object", "required": ["error"], "properties": {"error": _STRING}},
    "Answers": {
        "type": "object",
        "properties": {
            "model": _STRING,
            "version": _STRING,
            "request": _STRING,
            "predictions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "description": "The answer, or `error` where an item could not be used.",
                    "properties": {
                        "path": _STRING,
                        "label": _STRING,
                        "probability": {"type": "number"},
                        "probabilities": {"type": "object"},
                        "familiarity": {"type": "number"},
                        "boxes": {"type": "array", "items": {"type": "object"}},
                        "error": _STRING,
                    },
                },
            },
        },
    },
}
