"""A small OpenAPI document in the manner of the API's own: enough endpoints to browse, small enough to read."""

from __future__ import annotations

from typing import Any

_VERSION = {
    "name": "X-Runway-Version",
    "in": "header",
    "required": True,
    "description": "The version of the API being used.",
    "schema": {"type": "string", "const": "2024-11-06", "default": "2024-11-06"},
}
_UUID = {"type": "string", "format": "uuid"}
_ORDER_QUERY = [
    {"name": name, "in": "query", "required": True, "schema": {"type": "string", "enum": values}}
    for name, values in (("sort", ["createdAt", "updatedAt"]), ("order", ["asc", "desc"]))
]
_LIST_QUERY = [
    {
        "name": "cursor",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 1000},
    },
    {
        "name": "limit",
        "in": "query",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50},
        "description": "The maximum number of items to return per page.",
    },
]
_VERSION_REF = {"$ref": "#/components/parameters/X-Runway-Version"}
_ID_PATH = {"name": "id", "in": "path", "required": True, "schema": _UUID, "description": "The ID of the record."}
_MEDIA = {
    "anyOf": [
        {
            "type": "string",
            "format": "uri",
            "pattern": "^https:\\/\\/.*$",
            "maxLength": 2048,
            "description": "A HTTPS URL.",
        },
        {"type": "string", "pattern": "^runway:\\/\\/.*", "maxLength": 5000, "description": "A Runway upload URI."},
        {"type": "string", "pattern": "^data:image\\/.*", "maxLength": 5242880, "description": "A data URI."},
    ]
}
_PROMPT = {"type": "string", "minLength": 1, "maxLength": 1000, "description": "What the output should show."}
_SEED = {"type": "integer", "minimum": 0, "maximum": 4294967295, "description": "The same seed gives similar results."}
_IMAGE_RATIO = {"type": "string", "enum": ["1024:1024", "1360:768", "1920:1080"], "description": "Width and height."}
_VIDEO_RATIO = {"type": "string", "enum": ["1280:720", "720:1280", "960:960"], "description": "Width and height."}
_DURATION = {"type": "integer", "minimum": 2, "maximum": 10, "description": "The length of the video in seconds."}
_CREDITS = {"type": "object", "properties": {"credits": {"type": "number"}}, "required": ["credits"]}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


def _reference_images(least: int) -> dict[str, Any]:
    items = _object({"uri": _MEDIA, "tag": {"type": "string", "minLength": 3, "maxLength": 16}}, ["uri"])
    return {"type": "array", "minItems": least, "maxItems": 3, "items": items}


def _answers(schema: dict[str, Any], status: str = "200") -> dict[str, Any]:
    return {status: {"description": "Success.", "content": {"application/json": {"schema": schema}}}}


def _operation(tag: str, summary: str, responses: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    return {"tags": [tag], "summary": summary, "parameters": [*parameters, _VERSION_REF], "responses": responses}


def _generation(summary: str, variants: list[dict[str, Any]]) -> dict[str, Any]:
    schema = {"oneOf": variants, "discriminator": {"propertyName": "model"}}
    operation = _operation(
        "Start generating", summary, _answers(_object({"id": _UUID, "estimatedCost": _CREDITS}, ["id"]))
    )
    return {**operation, "requestBody": {"content": {"application/json": {"schema": schema}}}}


def _variant(model: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return _object({**properties, "model": {"type": "string", "const": model}}, [*required, "model"])


_IMAGE = {"promptText": _PROMPT, "ratio": _IMAGE_RATIO, "seed": _SEED}
_VIDEO = {"promptText": _PROMPT, "promptImage": _MEDIA, "ratio": _VIDEO_RATIO, "duration": _DURATION, "seed": _SEED}
_PAGE = _object(
    {
        "data": {"type": "array", "items": _object({"id": _UUID, "name": {"type": "string"}}, ["id", "name"])},
        "hasMore": {"type": "boolean"},
        "nextCursor": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    ["data", "hasMore", "nextCursor"],
)
_DOCUMENT_BODY = _object(
    {
        "name": {"type": "string", "minLength": 1, "maxLength": 255},
        "content": {"type": "string", "minLength": 1, "maxLength": 200000},
    },
    ["name", "content"],
)

_AVATAR_BODY = _object(
    {
        "name": {"type": "string", "minLength": 1, "maxLength": 50},
        "personality": {"type": "string", "minLength": 1, "maxLength": 10000},
        "documentIds": {"type": "array", "items": _UUID, "description": "The whole list: it replaces the one before."},
    },
    [],
)

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Runway API (a small stand-in)", "version": "2024-11-06"},
    "servers": [{"url": "https://api.dev.runwayml.com"}],
    "security": [{"ApiKeyAuth": []}],
    "components": {
        "securitySchemes": {"ApiKeyAuth": {"type": "http", "scheme": "bearer"}},
        "parameters": {"X-Runway-Version": _VERSION},
    },
    "paths": {
        "/v1/avatars": {"get": _operation("Avatars", "List avatars", _answers(_PAGE), *_LIST_QUERY)},
        "/v1/avatars/{id}": {
            "get": _operation("Avatars", "Get an avatar", _answers(_object({"id": _UUID}, ["id"])), _ID_PATH),
            "patch": {
                **_operation("Avatars", "Update an avatar", _answers(_object({"id": _UUID}, ["id"])), _ID_PATH),
                "requestBody": {"content": {"application/json": {"schema": _AVATAR_BODY}}},
            },
            "delete": _operation("Avatars", "Delete an avatar", {"204": {"description": "Deleted."}}, _ID_PATH),
        },
        "/v1/voices": {"get": _operation("Voices", "List voices", _answers(_PAGE), *_LIST_QUERY)},
        "/v1/documents": {
            "get": _operation("Documents", "List documents", _answers(_PAGE), *_LIST_QUERY, *_ORDER_QUERY),
            "post": {
                **_operation("Documents", "Create a document", _answers(_object({"id": _UUID}, ["id"]))),
                "requestBody": {"content": {"application/json": {"schema": _DOCUMENT_BODY}}},
            }
        },
        "/v1/text_to_image": {
            "post": _generation(
                "Generate an image from text",
                [
                    _variant(
                        "gen4_image", {**_IMAGE, "referenceImages": _reference_images(0)}, ["promptText", "ratio"]
                    ),
                    _variant(
                        "gen4_image_turbo",
                        {**_IMAGE, "referenceImages": _reference_images(1)},
                        ["promptText", "ratio", "referenceImages"],
                    ),
                ],
            )
        },
        "/v1/image_to_video": {
            "post": _generation(
                "Generate a video from an image",
                [
                    _variant("gen4_turbo", _VIDEO, ["promptImage", "ratio"]),
                    _variant("gen4.5", _VIDEO, ["promptText", "promptImage", "ratio", "duration"]),
                ],
            )
        },
        "/v1/tasks/{id}": {
            "get": _operation("Task management", "Get task detail", _answers(_object({"id": _UUID}, ["id"])), _ID_PATH),
            "delete": _operation(
                "Task management",
                "Cancel or delete a task",
                {"204": {"description": "Cancelled or deleted."}},
                _ID_PATH,
            ),
        },
        "/v1/organization": {
            "get": _operation("Organization", "Get organization information", _answers({"type": "object"})),
        },
    },
}
