"""The endpoints that cost: which fields each wants, what it makes, and what it charges.

The table is smaller than the API's own: the fields without which a call is refused, and the models that it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fake_checks import bad_body, check_fields, check_text, issue, unknown_variant

_PROMPT_RATIO = ("promptText", "ratio")
_IMAGE_RATIO = ("promptImage", "ratio")
RECIPE_VERSIONS = ("2026-06", "2026-07", "unsafe-latest")


@dataclass(frozen=True)
class Endpoint:
    """What one endpoint makes; `variants`: the required fields by the value of `selector`, or `fields` for all."""

    kind: str
    fields: tuple[str, ...] = ()
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    selector: str = "model"

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse a body that this endpoint would refuse."""
        required = self.fields
        if self.variants:
            chosen = body.get(self.selector)
            if not isinstance(chosen, str) or chosen not in self.variants:
                raise unknown_variant(self.selector, list(self.variants))
            required += self.variants[chosen]
        check_fields(body, required)
        check_text(body, "promptText", 5000)
        check_text(body, "prompt", 5000)
        check_text(body, "ratio", 20)
        if "version" in self.fields and body["version"] not in RECIPE_VERSIONS:
            raise bad_body(issue(["version"], "Invalid option: expected a version of the recipe", "invalid_value"))

    def price(self, body: Mapping[str, Any]) -> int:
        """What a call costs, in credits."""
        if self.kind != "video":
            return 5 if self.kind == "image" else 2
        duration = body.get("duration", 5)
        if not isinstance(duration, (int, float)) or not 1 <= duration <= 60:
            raise bad_body(issue(["duration"], "Invalid input: expected a number of seconds", "invalid_value"))
        return round(5 * duration)


def _recipe(kind: str, *fields: str) -> Endpoint:
    return Endpoint(kind, ("version", *fields))


ENDPOINTS: dict[str, Endpoint] = {
    "/v1/text_to_image": Endpoint(
        "image",
        variants={
            "gen4_image": _PROMPT_RATIO,
            "gen4_image_turbo": (*_PROMPT_RATIO, "referenceImages"),
            "gpt_image_2": _PROMPT_RATIO,
            "gemini_2.5_flash": _PROMPT_RATIO,
        },
    ),
    "/v1/text_to_video": Endpoint(
        "video",
        variants={"gen4.5": (*_PROMPT_RATIO, "duration"), "veo3.1": _PROMPT_RATIO, "veo3.1_fast": _PROMPT_RATIO},
    ),
    "/v1/image_to_video": Endpoint(
        "video",
        variants={
            "gen4_turbo": _IMAGE_RATIO,
            "gen4.5": ("promptText", *_IMAGE_RATIO, "duration"),
            "veo3.1": _IMAGE_RATIO,
            "seedance2": ("promptImage",),
        },
    ),
    "/v1/video_to_video": Endpoint("video", variants={"aleph2": ("videoUri",), "seedance2": ("promptVideo",)}),
    "/v1/character_performance": Endpoint("video", variants={"act_two": ("character", "reference")}),
    "/v1/text_to_speech": Endpoint(
        "audio", variants={"eleven_multilingual_v2": ("promptText", "voice"), "seed_audio": ("promptText",)}
    ),
    "/v1/sound_effect": Endpoint(
        "audio", variants={"eleven_text_to_sound_v2": ("promptText",), "seed_audio": ("promptText",)}
    ),
    "/v1/voice_isolation": Endpoint("audio", variants={"eleven_voice_isolation": ("audioUri",)}),
    "/v1/voice_dubbing": Endpoint("audio", variants={"eleven_voice_dubbing": ("audioUri", "targetLang")}),
    "/v1/speech_to_speech": Endpoint("audio", variants={"eleven_multilingual_sts_v2": ("media", "voice")}),
    "/v1/image_upscale": Endpoint("image", variants={"magnific_precision_upscaler_v2": ("imageUri",)}),
    "/v1/video_upscale": Endpoint("video", variants={"magnific_video_upscaler_creative": ("videoUri",)}),
    "/v1/video_to_audio": Endpoint("audio", ("model", "videoUri")),
    "/v1/video_to_hdr": Endpoint("video", ("model", "videoUri")),
    "/v1/avatar_videos": Endpoint("video", variants={"gwm1_avatars": ("avatar", "speech")}),
    "/v1/recipes/ad_localization": _recipe("image", "referenceImage", "targetLanguage"),
    "/v1/recipes/marketing_stock_image": _recipe("image", "prompt"),
    "/v1/recipes/product_ad": _recipe("video", "productImages"),
    "/v1/recipes/product_campaign_image": _recipe("image", "image", "prompt"),
    "/v1/recipes/product_swap": _recipe("video", "referenceVideo", "originalProductImage", "newProductImages"),
    "/v1/recipes/product_ugc": _recipe("video", "characterImage", "productImage"),
    "/v1/recipes/multi_shot_video": Endpoint(
        "video", ("version",), {"auto": ("prompt",), "custom": ("shots",)}, selector="mode"
    ),
}
ROUTED: dict[str, str] = {
    "/v1/generate/video": "gen4_turbo",
    "/v1/generate/image": "gen4_image",
    "/v1/generate/audio": "eleven_multilingual_v2",
}
