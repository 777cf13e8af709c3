"""Write tests/data/contract.json, the facts of the API's OpenAPI document: the rules of the tests' stand-in.

    python3 .ci/make_contract.py openapi.json

Names, types, limits, values and answers are kept. Descriptions, summaries, titles, examples and samples are left out.
What the API's pages and SDKs list as newer than the document is added below.
"""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "tests" / "data" / "contract.json"
PROSE = {"$schema", "contact", "description", "example", "examples", "externalDocs", "summary", "tags", "title"}
BY_NAME = {"callbacks", "headers", "parameters", "paths", "properties", "requestBodies", "responses", "schemas"}
VERBATIM = {"const", "default", "enum", "required"}

# -- Newer than the document of August 2026: the SDKs (Python 5.24, Node 4.20) and the API's pages --------------------

NODE_ERROR_CODE = {"type": "string"}
COST = {
    "type": "object",
    "properties": {"credits": {"type": "integer"}},
    "required": ["credits"],
    "additionalProperties": False,
}
HDR_FORMATS = ("hdr10", "hlg", "hdr_prores", "hdr_exr_sequence", "hdr_exr_acescg_sequence_1_3",
               "hdr_exr_acescg_sequence_2_0")  # fmt: skip
NEW_VIDEO_ENDPOINTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "/v1/video_to_audio": (
        {
            "model": {"type": "string", "const": "mirelo_sfx_2_0"},
            "duration": {"type": "number"},
            "format": {"type": "string", "enum": ["mp3", "wav", "flac"]},
            "negativePrompt": {"type": "string"},
            "numVariants": {"type": "integer"},
            "preserveSpeech": {"type": "boolean"},
            "promptText": {"type": "string"},
            "seed": {"type": "integer"},
        },
        ["model", "duration", "videoUri"],
    ),
    "/v1/video_to_hdr": (
        {
            "model": {"type": "string", "const": "ruby"},
            "outputFormat": {"type": "string", "enum": list(HDR_FORMATS)},
            "proresProfile": {"type": "string", "enum": ["422", "4444", "422 HQ"]},
        },
        ["model", "videoUri"],
    ),
}


def add_newer_facts(document: dict[str, Any]) -> None:
    """Change the document to what the API has offered since."""
    paths = document["paths"]
    for path, (properties, required) in NEW_VIDEO_ENDPOINTS.items():
        if path not in paths:
            paths[path] = deepcopy(paths["/v1/video_upscale"])
            body = _schema(paths[path]["post"]["requestBody"])
            video = _branches(body)[0]["properties"]["videoUri"]
            body.clear()
            body.update(type="object", properties={**properties, "videoUri": video}, required=required)
    for kind in ("video", "image", "audio"):
        operation = paths[f"/v1/generate/{kind}"]["post"]
        _schema(operation["requestBody"])["properties"]["dryRun"] = {"type": "boolean"}
        _schema(operation["responses"]["200"])["required"].remove("id")  # a dry run starts nothing
    for ended in _branches(_schema(paths["/v1/workflow_invocations/{id}"]["get"]["responses"]["200"])):
        if "nodeErrors" in ended["properties"]:
            ended["properties"]["nodeErrors"]["additionalProperties"]["properties"]["failureCode"] = NODE_ERROR_CODE
        if ended["properties"]["status"]["const"] in ("SUCCEEDED", "FAILED"):
            ended["properties"]["cost"] = COST
    organization = _schema(paths["/v1/organization"]["get"]["responses"]["200"])["properties"]
    limits = organization["tier"]["properties"]["models"]["additionalProperties"]["properties"]
    for name, limit in limits.items():
        limits[name] = {"anyOf": [limit, {"type": "null"}]}  # null: no limit
    organization["name"] = {"type": "string"}  # in older answers


def _schema(content: dict[str, Any]) -> Any:
    return content["content"]["application/json"]["schema"]


def _branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return list(schema.get("oneOf", [schema]))


# ---------------------------------------------------------------------------------------------------------------------


def facts(value: Any) -> Any:
    """The value without prose, where a key is a keyword and not a name."""
    if isinstance(value, list):
        return [facts(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for key, item in value.items():
        if key in VERBATIM:
            kept[key] = item
        elif key in BY_NAME and isinstance(item, dict):
            kept[key] = {name: facts(part) for name, part in item.items()}
        elif key not in PROSE and not key.startswith("x-"):
            kept[key] = facts(item)
    return kept


def written(document: dict[str, Any]) -> str:
    """The document as compact JSON, with one line for each path."""
    paths = ",\n".join(f"{_compact(path)}:{_compact(item)}" for path, item in document["paths"].items())
    rest = {key: value for key, value in document.items() if key != "paths"}
    return f'{_compact(rest)[:-1]},"paths":{{\n{paths}\n}}}}\n'


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def main(argv: list[str]) -> int:
    """Read the document named by the only argument and write the contract."""
    if len(argv) != 1:
        print("usage: python3 .ci/make_contract.py OPENAPI.json", file=sys.stderr)
        return 2
    source = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    document = facts({key: source[key] for key in ("openapi", "info", "servers", "security", "components", "paths")})
    document["components"] = {key: value for key, value in document["components"].items() if value}
    add_newer_facts(document)
    TARGET.parent.mkdir(exist_ok=True)
    with open(TARGET, "w", encoding="utf-8", newline="\n") as file:
        file.write(written(document))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
