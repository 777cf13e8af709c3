"""What to do about a task that failed, by its failure code. Source: the API's documentation of task failures."""

from __future__ import annotations

# The beginning of a failure code, the more special one first: advice
ADVICE = (
    ("SAFETY.", "moderation refused it: do not repeat the call unchanged"),
    ("INTERNAL.BAD_OUTPUT", "the output was bad: the same call may be tried again"),
    ("INTERNAL", "an error of the service: the same call may be tried again"),
    ("ASSET.INVALID", "an input file or URL cannot be used: fix the input"),
    ("THIRD_PARTY", "the model's provider failed: the same call may be tried again later"),
)


def advice(failure_code: str) -> str | None:
    """The advice for a failure code, None for one that is not known."""
    return next((words for start, words in ADVICE if failure_code.startswith(start)), None)
