"""`cancel`: stops running tasks, and protects finished ones, whose outputs are paid for."""

from __future__ import annotations

from tests.fake import Fault
from tests.program import Result
from tests.served import ServedTest, pasted

UNKNOWN = "123e4567-e89b-42d3-a456-426614174000"  # well-formed, and no task


class CancelTest(ServedTest):
    def deleted(self) -> list[str]:
        """The paths of the DELETEs that the API saw."""
        return [seen.path for seen in self.fake.sent("DELETE")]

    def assert_cancelled(self, result: Result, task: str, status: str) -> None:
        self.assert_success(result, json=row(task, cancelled=True, status=status))


class OneTask(CancelTest):
    def test_a_running_task_is_cancelled(self) -> None:
        for status in ("PENDING", "THROTTLED", "RUNNING", "SOMETHING_NEW"):
            with self.subTest(status):
                task = self.fake.add_task(statuses=[status])
                self.assert_cancelled(self.call("cancel", task), task, status)
                self.assertEqual(self.deleted()[-1], f"/v1/tasks/{task}")
                self.assertEqual(self.call("request", "GET", f"/v1/tasks/{task}").exit, 1)

    def test_a_finished_task_is_kept(self) -> None:
        for status, example in (
            ("SUCCEEDED", ["wait", "ID", "--download", "outputs/"]),
            ("FAILED", ["request", "GET", "/v1/tasks/ID"]),
        ):
            with self.subTest(status):
                task = self.fake.add_task(statuses=[status])
                result = self.call("cancel", task)
                words = f"{task} is {status}: nothing was changed, because deleting a finished task destroys its output"
                self.assert_error(result, 1, kind="task", error=words)
                self.assertEqual(result.json, row(task, cancelled=False, status=status))
                self.assertEqual(pasted(result), [word.replace("ID", task) for word in example])
        self.assertEqual(self.deleted(), [])

    def test_a_task_without_a_status_is_kept(self) -> None:
        bodies: tuple[object, ...] = ({"id": "x"}, {"status": 5})
        for body in bodies:
            with self.subTest(body):
                self.fake.fault(Fault("status", status=200, body=body), method="GET")
                result = self.call("cancel", "x")
                self.assert_error(result, 1, kind="task")
                self.assertIs(result.json["cancelled"], False)
        self.assertEqual(self.deleted(), [])

    def test_force_deletes_a_finished_task(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        self.assert_cancelled(self.call("cancel", task, "--force"), task, "SUCCEEDED")
        self.assertEqual(self.deleted(), [f"/v1/tasks/{task}"])

    def test_an_unknown_id_is_an_error(self) -> None:
        result = self.call("cancel", UNKNOWN)
        self.assert_error(result, 1, kind="api", status=404, id=UNKNOWN)
        self.assertEqual(result.json, row(UNKNOWN, cancelled=False, status=None))
        self.assertEqual(pasted(result), ["history"])
        self.assertEqual(self.deleted(), [])

    def test_a_cancelled_task_counts_as_cancelled(self) -> None:
        task = self.fake.add_task(statuses=["CANCELLED"])
        self.assert_cancelled(self.call("cancel", task), task, "CANCELLED")
        self.assertEqual(self.deleted(), [])

    def test_a_task_that_is_gone_when_it_is_deleted_counts_as_cancelled(self) -> None:
        task = self.fake.add_task(statuses=["RUNNING"])
        self.fake.fault(Fault("status", status=404), method="DELETE")
        self.assert_cancelled(self.call("cancel", task), task, "RUNNING")

    def test_only_tasks_are_cancelled(self) -> None:
        for word in ("/v1/avatars/x", "/v1/workflow_invocations/x", "a/b", "..", "a?b"):
            with self.subTest(word):
                self.assert_error(self.call("cancel", word), 2, kind="usage")
        self.assertEqual(self.fake.requests, [])


class LostAnswers(CancelTest):
    def test_a_lost_answer_is_followed_by_another_look(self) -> None:
        for kind in ("forward_then_reset", "forward_then_status", "reset_after_request"):
            with self.subTest(kind):
                task = self.fake.add_task(statuses=["RUNNING"])
                self.fake.fault(Fault(kind), method="DELETE")
                self.fake.requests.clear()
                self.assert_cancelled(self.call("cancel", task), task, "RUNNING")
                methods = [seen.method for seen in self.fake.requests]
                self.assertEqual(methods[:3], ["GET", "DELETE", "GET"])

    def test_a_task_that_finishes_between_two_tries_is_kept(self) -> None:
        task = self.fake.add_task(statuses=["RUNNING", "SUCCEEDED"])
        self.fake.fault(Fault("status", status=503), method="DELETE")
        result = self.call("cancel", task)
        self.assert_error(result, 1, kind="task", id=task)
        self.assertEqual(result.json, row(task, cancelled=False, status="SUCCEEDED"))
        self.assertEqual(self.deleted(), [f"/v1/tasks/{task}"])
        self.assertEqual(pasted(result), ["wait", task, "--download", "outputs/"])


class SeveralTasks(CancelTest):
    def test_each_gets_a_line_and_the_worst_failure_counts(self) -> None:
        running, done = self.fake.add_task(statuses=["RUNNING"]), self.fake.add_task(statuses=["SUCCEEDED"])
        result = self.call("cancel", done, running, UNKNOWN, running)
        expected = [
            row(done, cancelled=False, status="SUCCEEDED"),
            row(running, cancelled=True, status="RUNNING"),
            row(UNKNOWN, cancelled=False, status=None),
        ]
        self.assertEqual(result.lines, expected)
        self.assert_error(result, 1)
        self.assertEqual([entry["id"] for entry in result.error["failed"]], [done, UNKNOWN])
        self.fake.fault(Fault("status", status=403), path="/v1/tasks/denied")
        result = self.call("cancel", done, "denied", UNKNOWN)
        self.assert_error(result, 77, kind="auth")
        self.assertEqual([line["id"] for line in result.lines], [done, "denied", UNKNOWN])

    def test_ids_come_from_stdin_and_each_counts_once(self) -> None:
        one, two = (self.fake.add_task(statuses=["RUNNING"]) for _ in range(2))
        result = self.call("cancel", two, "-q", "-", stdin=f"{one}\n {two}\n".encode())
        self.assert_success(result, lines=[row(name, cancelled=True, status="RUNNING") for name in (two, one)])
        self.assertEqual(self.deleted(), [f"/v1/tasks/{two}", f"/v1/tasks/{one}"])
        self.assert_error(self.call("cancel", "-", stdin=b"\n"), 2, kind="usage", error="there are no ids on stdin")


def row(task: str, *, cancelled: bool, status: str | None) -> dict[str, object]:
    """What is printed for one task."""
    return {"id": task, "cancelled": cancelled, "status": status}
