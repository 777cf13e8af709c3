"""What the endpoints that cost make, what they charge, and how a router chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fake.refusals import Refusal

# By the last part of the path; every other endpoint makes videos.
KINDS = {
    "image": ("ad_localization", "image", "image_upscale", "marketing_stock_image", "product_campaign_image",
              "text_to_image"),
    "audio": ("audio", "sound_effect", "speech_to_speech", "text_to_speech", "video_to_audio", "voice_dubbing",
              "voice_isolation"),
}  # fmt: skip
WORKFLOW_CREDITS = 10
SESSION_CREDITS = 2
MODELS = {"video": "gen4_turbo", "image": "gen4_image", "audio": "eleven_multilingual_v2"}  # what a router chooses
FILTERS = ("capability", "prompt_length", "input_support", "allow_deny", "price")
RATIOS = {"9:16": "720:1280", "1:1": "960:960"}


def kind_of(path: str) -> str:
    """The kind of output that an endpoint makes."""
    name = path.rpartition("/")[2]
    return next((kind for kind, names in KINDS.items() if name in names), "video")


def price(kind: str, body: Mapping[str, Any]) -> int:
    """What a call costs, in credits."""
    if kind == "video":
        return max(1, round(5 * float(body.get("duration", 5))))
    return 5 if kind == "image" else 2


def routing(kind: str, wanted: Mapping[str, Any], router: Mapping[str, Any]) -> dict[str, Any]:
    """What a router decides for an input. Raises Refusal: 400 `no_eligible_model`."""
    settings, model, credits = router["settings"], MODELS[kind], price(kind, wanted)
    ceiling = settings.get("maxCreditsPerGeneration", {}).get(kind)
    models = settings.get("models", {"mode": "allow_new_except", "ids": []})
    emptied = []
    if (model in models["ids"]) != (models["mode"] == "allowlist_only"):
        emptied.append("allow_deny")
    if ceiling is not None and ceiling < credits:
        emptied.append("price")
    if emptied:
        raise _no_eligible_model(model, emptied)
    return {
        "model": model,
        "provider": "runway",
        "configId": router["slug"],
        "resolvedSettings": {"optimizeFor": settings.get("optimizeFor", "quality"), "priceCeiling": ceiling},
        "resolvedInput": _resolved(kind, wanted),
        "estimatedCost": {"credits": credits},
    }


def _no_eligible_model(model: str, emptied: list[str]) -> Refusal:
    first = FILTERS.index(emptied[0])
    pipeline = [
        {"type": "filter", "filter": name, "models": [model] if index < first else []}
        for index, name in enumerate(FILTERS)
    ]
    words = "No model is eligible for this request."
    return Refusal(400, words, code="no_eligible_model", pipeline=pipeline, emptiedBy=emptied)


def _resolved(kind: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "audio":
        return {"type": wanted["type"], "voice": wanted.get("voice", {"type": "default"})["type"]}
    aspect = wanted.get("aspectRatio", "16:9")
    if kind == "image":
        resolution = wanted.get("resolution", "1k")
        return {
            "ratio": "1024:1024" if aspect == "1:1" else "1360:768",
            "aspectRatio": aspect,
            "resolution": resolution,
        }
    resolution = wanted.get("resolution", "720p")
    return {"duration": wanted.get("duration", 5), "ratio": RATIOS.get(aspect, "1280:720"), "resolution": resolution}
