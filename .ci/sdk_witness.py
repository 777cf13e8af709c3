"""The official SDK drives the tests' stand-in, and every answer has to parse strictly.

    python3 -m pip install --requirement .ci/sdk-requirements.txt
    python3 .ci/sdk_witness.py

Exits with 0 when every step passed, else with 1.
"""

from __future__ import annotations

import re
import sys
import traceback
import urllib.request
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runwayml import NotFoundError, RunwayML
from runwayml.lib import polling

from tests.fake import SECRET, FakeRunway, sample
from tests.fake.contract import instance, operations

IMAGE_URL = "https://example.com/a.png"
FEWEST_MODELS = 100  # of all endpoints together
PRESET_VOICE: Any = {"type": "runway-live-preset", "presetId": "clara"}
PRESET_AVATAR: Any = {"type": "runway-preset", "preset_id": "influencer"}


def lists(client: RunwayML, fake: FakeRunway) -> None:
    """Lists, page by page."""
    avatars = [fake.add_avatar(statuses=(status,)) for status in ("READY", "PROCESSING", "FAILED") for _ in range(2)]
    seen = list(client.avatars.list(limit=2))
    assert [avatar.id for avatar in seen] == avatars, seen
    voices = [fake.add_voice() for _ in range(3)]
    assert [voice.id for voice in client.voices.list(limit=2)] == voices
    fake.add_document()
    assert len(list(client.documents.list(limit=1, sort="createdAt", order="desc"))) == 1
    assert client.organization.retrieve().credit_balance == fake.organization["creditBalance"]


def records(client: RunwayML, fake: FakeRunway) -> None:
    """Create, update and delete."""
    document = client.documents.create(name="House rules", content="Breakfast from seven.")
    client.documents.update(document.id, name="Rules of the house")
    avatar = client.avatars.create(
        name="Mira", personality="calm", reference_image=IMAGE_URL, voice=PRESET_VOICE, document_ids=[document.id]
    )
    changed = client.avatars.update(avatar.id, name="Mara")
    assert (changed.name, changed.updated_at > avatar.updated_at) == ("Mara", True), changed
    assert client.documents.retrieve(document.id).used_by[0].name == "Mara"
    voice = client.voices.create(name="Deep", from_={"type": "audio", "audio": "https://example.com/a.mp3"})
    assert client.voices.update(voice.id, name="Deeper").name == "Deeper"
    router = client.routers.create(slug="made-here", settings={"optimizeFor": "cost"})
    assert client.routers.update(router.id, name="Cheap").version == router.version + 1
    client.documents.delete(document.id)
    client.voices.delete(voice.id)
    client.routers.delete(router.id)
    client.avatars.delete(avatar.id)
    try:
        client.avatars.retrieve(avatar.id)
    except NotFoundError:
        return
    raise AssertionError("a deleted avatar was found")


def generation(client: RunwayML, fake: FakeRunway) -> None:
    """Generation, and waiting for its output."""
    made = client.text_to_image.create(model="gen4_image", prompt_text="a fox", ratio="1280:720")
    task = made.wait_for_task_output(timeout=30)
    assert task.status == "SUCCEEDED", task
    with urllib.request.urlopen(task.output[0], timeout=10) as answer:
        assert answer.read() == sample("image")
    running = client.image_to_video.create(model="gen4_turbo", prompt_image=IMAGE_URL, ratio="1280:720")
    client.tasks.delete(running.id)
    failed = fake.add_task(statuses=["FAILED"])
    assert client.tasks.retrieve(failed).status == "FAILED"
    fake.add_router(slug="default")
    routed = client.generate.image.create(config_id="default", input={"prompt_text": "a fox"})
    assert routed.routing.config_id == "default", routed


def upload(client: RunwayML, fake: FakeRunway) -> None:
    """Upload, with metadata, and use it."""
    stored = client.uploads.create_ephemeral(file=("cat.png", sample("image")), file_metadata="{}")
    assert fake.uploads[stored.uri]["content"] == sample("image")
    client.image_to_video.create(model="gen4_turbo", prompt_image=stored.uri, ratio="1280:720")


def workflow(client: RunwayML, fake: FakeRunway) -> None:
    """A workflow, and polling it."""
    fake.add_workflow(name="Poster")
    (listed,) = client.workflows.list().data
    version = client.workflows.retrieve(listed.versions[0].id)
    made = client.workflows.run(version.id)
    *seen, ended = (client.workflow_invocations.retrieve(made.id) for _ in range(3))
    assert [invocation.status for invocation in seen] == ["PENDING", "RUNNING"], seen
    assert ended.status == "SUCCEEDED" and len(ended.output) == 2, ended
    errors = {next(iter(ended.output)): {"message": "No.", "failureCode": "INTERNAL"}}
    partly = fake.add_task(kind="workflow", statuses=["SUCCEEDED"], nodeErrors=errors)
    assert client.workflow_invocations.retrieve(partly).node_errors


def session(client: RunwayML, fake: FakeRunway) -> None:
    """A realtime session, and cancelling it."""
    made = client.realtime_sessions.create(model="gwm1_avatars", avatar=PRESET_AVATAR)
    seen = [client.realtime_sessions.retrieve(made.id).status for _ in range(4)]
    assert seen == ["NOT_READY", "NOT_READY", "READY", "RUNNING"], seen
    client.realtime_sessions.delete(made.id)
    assert client.realtime_sessions.retrieve(made.id).status == "CANCELLED"


def models(client: RunwayML, fake: FakeRunway) -> None:
    """Every model of every endpoint, with the smallest body that the contract allows, through the SDK's own method."""
    fake.organization["creditBalance"] = 1_000_000
    tried = 0
    for operation in operations():
        for form in (operation.body or {}).get("oneOf") or [operation.body or {}]:
            if operation.method != "POST" or "model" not in form.get("properties", {}):
                continue
            for model in form["properties"]["model"].get("enum") or [form["properties"]["model"]["const"]]:
                method: Any = client
                for part in operation.template.split("/")[2:]:
                    method = getattr(method, part)
                body = {**instance(form), "model": model}
                named = {re.sub("[A-Z]", lambda found: "_" + found[0].lower(), key): body[key] for key in body}
                made = getattr(method, "create", method)(**named)
                assert operation.template == "/v1/voices/preview" or made.id in fake.made, made
                tried += 1
    assert tried >= FEWEST_MODELS, tried


STEPS: tuple[Callable[[RunwayML, FakeRunway], None], ...] = (
    lists,
    records,
    generation,
    models,
    upload,
    workflow,
    session,
)


def main() -> int:
    """Run every step against a stand-in of its own; returns the exit status."""
    polling.POLL_TIME, polling.POLL_JITTER = 0.01, 0  # the stand-in's tasks move by polls
    failed = 0
    for step in STEPS:
        with FakeRunway() as fake:
            client = RunwayML(
                api_key=SECRET, base_url=fake.url, max_retries=0, timeout=10, _strict_response_validation=True
            )
            try:
                step(client, fake)
                assert not fake.invalid_answers, fake.invalid_answers
            except Exception:
                failed += 1
                print(f"{step.__name__}: FAILED")
                traceback.print_exc()
            else:
                print(f"{step.__name__}: ok")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
