"""`cancel`: stops what runs, and protects what is finished and paid for."""

from __future__ import annotations

import unittest

from tests.fake_runway import Fault
from tests.served import ServedTest, pasted


class Cancel(ServedTest):
    def deleted(self) -> list[str]:
        return [seen.path for seen in self.fake.sent("DELETE")]

    def test_what_runs_is_cancelled(self) -> None:
        for status in ("PENDING", "THROTTLED", "RUNNING", "SOMETHING_NEW"):
            with self.subTest(status):
                task = self.fake.add_task(statuses=[status])
                result = self.call("cancel", task)
                self.assertEqual(result.exit, 0, result)
                self.assertEqual(result.json, {"id": task, "cancelled": True, "status": status})
                self.assertEqual(self.deleted()[-1], f"/v1/tasks/{task}")
                self.assertEqual(self.call("request", "GET", f"/v1/tasks/{task}").exit, 1)

    def test_what_is_finished_is_left_alone(self) -> None:
        for status in ("SUCCEEDED", "FAILED"):
            with self.subTest(status):
                task = self.fake.add_task(statuses=[status])
                result = self.call("cancel", task)
                self.assert_error(result, 1, kind="task", error=f"{task} is {status}: nothing was changed, because "
                                  "deleting a finished task destroys its output")
                self.assertEqual(result.json, {"id": task, "cancelled": False, "status": status})
                self.assertEqual(pasted(result), ["wait", task, "--download", "outputs/"])
        self.assertEqual(self.deleted(), [])

    def test_what_does_not_tell_its_status_is_left_alone_too(self) -> None:
        bodies: tuple[object, ...] = ({"id": "x"}, [], {"status": 5})
        for body in bodies:
            with self.subTest(body):
                self.fake.fault(Fault("status", status=200, body=body), method="GET")
                result = self.call("cancel", "x")
                self.assert_error(result, 1, kind="task")
                self.assertEqual(result.json["cancelled"], False)
        self.assertEqual(self.deleted(), [])

    def test_force_deletes_what_is_finished(self) -> None:
        task = self.fake.add_task(statuses=["SUCCEEDED"])
        self.assertEqual(self.call("cancel", task, "--force").json,
                         {"id": task, "cancelled": True, "status": "SUCCEEDED"})
        self.assertEqual(self.deleted(), [f"/v1/tasks/{task}"])

    def test_what_is_gone_counts_as_cancelled(self) -> None:
        self.assertEqual(self.call("cancel", "gone").json, {"id": "gone", "cancelled": True, "status": None})
        done = self.fake.add_task(statuses=["CANCELLED"])
        self.assertEqual(self.call("cancel", done).json, {"id": done, "cancelled": True, "status": "CANCELLED"})
        self.assertEqual(self.deleted(), [])
        task = self.fake.add_task(statuses=["RUNNING"])
        self.fake.fault(Fault("status", status=404), method="DELETE")
        self.assertEqual(self.call("cancel", task).json, {"id": task, "cancelled": True, "status": "RUNNING"})

    def test_an_answer_that_is_lost_is_asked_for_again(self) -> None:
        for kind in ("forward_then_reset", "forward_then_status", "reset_after_request"):
            with self.subTest(kind):
                task = self.fake.add_task(statuses=["RUNNING"])
                self.fake.fault(Fault(kind), method="DELETE")
                self.assertEqual(self.call("cancel", task).json, {"id": task, "cancelled": True, "status": "RUNNING"})

    def test_several_are_a_line_each_and_the_worst_counts(self) -> None:
        running, done = self.fake.add_task(statuses=["RUNNING"]), self.fake.add_task(statuses=["SUCCEEDED"])
        result = self.call("cancel", done, running, "gone", running)
        self.assertEqual(result.lines, [{"id": done, "cancelled": False, "status": "SUCCEEDED"},
                                        {"id": running, "cancelled": True, "status": "RUNNING"},
                                        {"id": "gone", "cancelled": True, "status": None}])
        self.assert_error(result, 1, kind="task")
        self.assertEqual([entry["id"] for entry in result.error["failed"]], [done])
        self.fake.fault(Fault("status", status=403), path="/v1/tasks/denied")
        result = self.call("cancel", done, "denied", "gone")
        self.assert_error(result, 77, kind="auth")
        self.assertEqual([line["id"] for line in result.lines], [done, "denied", "gone"])

    def test_ids_come_from_stdin_and_each_counts_once(self) -> None:
        one, two = (self.fake.add_task(statuses=["RUNNING"]) for _ in range(2))
        result = self.call("cancel", two, "-q", "-", stdin=f"{one}\n {two}\n".encode())
        self.assertEqual(result.lines, [{"id": name, "cancelled": True, "status": "RUNNING"} for name in (two, one)])
        self.assertEqual((result.exit, self.deleted()), (0, [f"/v1/tasks/{two}", f"/v1/tasks/{one}"]))
        self.assert_error(self.call("cancel", "-", stdin=b"\n"), 2, kind="usage", error="there are no ids on stdin")

    def test_only_tasks_are_cancelled(self) -> None:
        for word in ("/v1/avatars/x", "/v1/workflow_invocations/x", "a/b", "..", "a?b"):
            with self.subTest(word):
                self.assert_error(self.call("cancel", word), 2, kind="usage")
        self.assertEqual(self.fake.requests, [])


if __name__ == "__main__":
    unittest.main()
