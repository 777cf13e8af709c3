"""The ledger: what was paid for is on the disk, whoever writes at once, and whatever happens to the file."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable
from unittest import mock

from runway_cli.errors import BudgetError, ConfigError, Interrupted, OutputError
from runway_cli.jobs.ledger import STARTED, TRIES, Attempt, Ledger, LedgerMissing
from runway_cli.jobs.start import may_own, over_limit
from runway_cli.settings import number_of
from tests.program import ROOT
from tests.served import eventually

ACCOUNT = "https://api.example.test 0123456789ab"
BODY = {"model": "gen4_image", "promptText": "a red fox"}
OPENED = """
import sys, time
from runway_cli.jobs.ledger import Ledger
from tests.test_ledger import service
ledger = Ledger(sys.argv[1], service(time))
"""


def service(clock: Any, account: str = ACCOUNT, *, mask: Any = str, check: Any = bool) -> Any:
    """What a ledger needs of a client."""
    secrets = SimpleNamespace(mask=lambda text, _: text)
    return SimpleNamespace(
        target=SimpleNamespace(account=account, client_id=""),
        console=SimpleNamespace(mask=mask, note=str, secrets=secrets),
        shutdown=SimpleNamespace(check=check),
        clock=clock,
    )


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.now += seconds


class LedgerTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "state" / "runway-cli" / "history.db"
        self.clock = Clock()
        self.ledger = self.open()

    def open(self, *, account: str = ACCOUNT, exclusive: bool = False) -> Ledger:
        ledger = Ledger(str(self.path), service(self.clock, account), exclusive=exclusive)
        self.addCleanup(ledger.close)
        return ledger

    def intend(self, body: Any = BODY, **facts: Any) -> Attempt:
        self.ledger.intend("/v1/x", body, **facts)
        return self.ledger.attempts()[-1]

    def paid(self, name: str, credits: object = 5, **facts: Any) -> Attempt:
        """An attempt that was answered with an id."""
        attempt = self.intend(**facts)
        self.ledger.settle(attempt.key, STARTED, id=name, credits=credits)
        return attempt

    def python(self, program: str, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", OPENED + program, str(self.path), *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )


class Records(LedgerTest):
    def test_a_request_that_was_never_accepted_is_as_if_it_had_not_been(self) -> None:
        attempt = self.intend(job="once fox")
        self.ledger.forget(attempt.key)
        self.assertIsNone(self.ledger.last(job="once fox"))
        self.assertEqual(self.ledger.attempts(), [])
        self.assertEqual(self.ledger.prices(), [])

    def test_an_end_is_recorded_with_its_files_by_folder(self) -> None:
        self.paid("fox")
        self.ledger.ended("fox", "SUCCEEDED", credits=7, saved=["/a/fox-1.png", "/a/fox-2.png"])
        self.ledger.ended("fox", "SUCCEEDED", saved=["/b/fox.png"])
        (found,) = self.ledger.attempts()
        self.assertEqual(found.saved, {"/a": ["/a/fox-1.png", "/a/fox-2.png"], "/b": ["/b/fox.png"]})
        self.assertEqual(
            (found.status, found.credits, found.files), ("SUCCEEDED", 7, ["/a/fox-1.png", "/a/fox-2.png", "/b/fox.png"])
        )

    def test_a_text_that_is_not_utf_8_comes_back_as_it_was(self) -> None:
        for text in ("/a\udcff/fox.png", "/\udcf0/\udcff\ud800", "/a/\\udcff.png"):
            with self.subTest(text):
                self.paid(text, job=f"file {text}", destination=text)
                self.assertIn(text, self.ledger.claimed())
                self.ledger.ended(text, "SUCCEEDED", saved=[text])
                found = self.ledger.last(job=f"file {text}")
                assert found
                self.assertEqual((found.id, found.destination, found.files), (text, text, [text]))

    def test_whose_output_a_file_may_be(self) -> None:
        for number, (destination, saved, path, expected) in enumerate(
            (
                ("/a/fox.png", [], "/a/fox.png", True),
                ("/a/fox.png", [], "/a/fox-2.png", True),
                ("/a/fox.png", [], "/a/fox-2.mp4", False),
                ("/a/fox.*", [], "/a/fox-12.mp4", True),
                ("/a/fox.*", [], "/a/fox-red.png", False),
                ("/a/fox.*", ["/a/fox.png"], "/a/fox-2.png", False),
                ("/a/fox.*", ["/b/fox.png"], "/b/fox.png", True),
                ("/a/", [], "/a/6.png", True),
                ("/a/", [], "/a/fox.png", False),
                (None, [], "/a/fox.png", False),
            )
        ):
            with self.subTest(destination, saved=saved, path=path):
                task = str(number - 1)
                self.paid(task, destination=destination)
                if saved:
                    self.ledger.ended(task, "SUCCEEDED", saved=saved)
                self.assertIs(may_own(self.ledger.attempts()[-1], path), expected)

    def test_what_ended_more_than_a_year_ago_is_dropped(self) -> None:
        self.paid("ended")
        self.ledger.ended("ended", "SUCCEEDED")
        self.paid("running")
        self.clock.now += 366 * 86_400
        for number in range(101):
            self.assertEqual(self.ledger.attempts()[0].id, "ended", "a clock that is wrong drops nothing")
            self.paid(str(number))
        self.assertEqual([attempt.id for attempt in self.ledger.attempts()][:2], ["running", "0"])

    def test_no_more_of_a_prompt_than_its_beginning_is_kept(self) -> None:
        for prompt, kept in (("x" * 200, "x" * 80), ("see data:image/png;base64,AAAA now", "see data:…")):
            self.assertEqual(self.intend({"promptText": prompt}).prompt, kept)

    def test_credits_that_come_as_text_are_a_number(self) -> None:
        for given, number in (
            *((5, 5), (5.0, 5), (2.5, 2.5), ("5", 5), ("2.5", 2.5), (0, 0)),
            *((True, None), ({"amount": 5}, None), ("five", None), (None, None), (float("nan"), None)),
            *((float("inf"), None), (1.7e308, None), (-1, None), ("", None)),
        ):
            with self.subTest(given):
                self.assertEqual(number_of(given), number)
                self.assertIs(type(number_of(given)), type(number))


class Budget(LedgerTest):
    def test_a_clock_that_was_set_back_hides_nothing(self) -> None:
        self.paid("fox", 5)
        self.ledger.ended("fox", "SUCCEEDED")
        self.clock.now -= 86_400
        self.assertEqual(self.ledger.prices(self.clock.now - 86_400), [5])

    def test_whether_one_more_job_stays_within_a_limit(self) -> None:
        for prices, limit, price, is_allowed in (
            ([], 10, None, True),
            ([], 10, 11, False),
            ([None], 10, None, False),  # one job at a time has to tell its price
            ([5], 10, None, True),
            ([5, 5], 10, None, False),
            ([5, None], 10, None, False),
            ([2, 5], 10, 3, True),
            ([2, 5], 10, 4, False),
            ([0, None], 50, None, False),  # a job that cost nothing tells no price
        ):
            with self.subTest(prices=prices, limit=limit, price=price):
                self.assertIs(over_limit(limit, "N", prices, price) is None, is_allowed)


class Processes(LedgerTest):
    def test_what_could_not_be_recorded_is_recorded_with_the_next(self) -> None:
        attempt = self.intend()
        with mock.patch.object(self.ledger, "_run", side_effect=OutputError("locked")):
            self.ledger.settle(attempt.key, STARTED, id="fox", credits=5)
        self.assertIsInstance(self.ledger.failure, OutputError)
        self.ledger.ended("fox", "SUCCEEDED")
        (found,) = self.ledger.attempts()
        self.assertEqual((found.id, found.status, found.credits), ("fox", "SUCCEEDED", 5))

    def together(self, first: Callable[[], object], *acts: Callable[[], object]) -> list[BaseException]:
        """Calls the first while each other one waits in a thread for the same commit; returns what these raise."""
        failures: list[BaseException] = []

        def commit(act: Callable[[], object]) -> None:
            try:
                self.ledger.commit(act)
            except BudgetError as failure:
                failures.append(failure)

        threads = [threading.Thread(target=commit, args=(act,)) for act in acts]
        with self.ledger._turn:
            for thread in threads:
                thread.start()
            eventually(lambda: len(self.ledger._waiting) >= len(acts))
            first()
        for thread in threads:
            thread.join(20)
        return failures

    def intent(self, key: str, refusal: BudgetError | None = None) -> Callable[[], None]:
        def intend() -> None:
            self.ledger.intend("/v1/x", BODY, key=key)
            if refusal:
                raise refusal

        return intend

    def test_one_commit_serves_all_threads_that_wait(self) -> None:
        self.intent("0")()
        with mock.patch.object(self.ledger, "_run", side_effect=self.ledger._run) as run:
            self.together(lambda: self.ledger.commit(self.intent("1")), self.intent("2"), self.intent("3"))
        self.assertEqual(run.call_args_list.count(mock.call("COMMIT")), 1)
        self.assertEqual(sorted(each.key for each in self.ledger.attempts()), list("0123"))

    def test_what_a_budget_refuses_holds_up_no_other_row(self) -> None:
        refused = BudgetError("no")
        acts = self.intent("2", refused), self.intent("3")
        self.assertEqual(self.together(lambda: self.ledger.commit(self.intent("1")), *acts), [refused])
        self.assertEqual(sorted(each.key for each in self.ledger.attempts()), list("13"))

    def test_a_row_that_was_refused_is_not_recorded_with_the_next_one(self) -> None:
        refusals, turn = [BudgetError("no")], self.ledger._turn
        others = [threading.Thread(target=self.ledger.commit, args=(self.intent("2"),))]

        def refused() -> None:
            self.ledger.intend("/v1/x", BODY, key="1")
            if refusals:
                raise refusals.pop()

        def leave(*_: object) -> None:
            turn.release()
            while refusals == [] and others and not turn._is_owned():  # type: ignore[attr-defined]
                other = others.pop()  # its turn comes at once
                other.start()
                other.join(20)

        self.ledger._turn = mock.MagicMock(__enter__=lambda _: turn.acquire(), __exit__=leave)
        with self.assertRaises(BudgetError):
            self.ledger.commit(refused)
        self.assertEqual([each.key for each in self.ledger.attempts()], ["2"])

    def test_what_was_refused_does_not_look_like_another_process_that_sends(self) -> None:
        self.intend()
        with self.assertRaises(BudgetError):
            self.ledger.commit(self.intent("2", BudgetError("no")))
        self.python("ledger.intend('/v1/x', {}, key='3')\n").communicate(timeout=30)
        looks = self.python("print(ledger.is_sending(ledger.last(key='3')))\n")
        self.assertEqual(looks.communicate(timeout=30)[0], "False\n")

    def test_the_wait_for_another_process_is_not_repeated_for_each_row(self) -> None:
        self.intend()
        check = mock.Mock()
        with mock.patch("runway_cli.jobs.ledger.WAIT", 0.001):
            ledger = Ledger(str(self.path), service(self.clock, check=check))
            self.addCleanup(ledger.close)
            ledger.attempts()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(3):
            with self.assertRaises(OutputError):
                ledger.intend("/v1/x", BODY)
        self.assertEqual(check.call_count, TRIES - 1)

    def test_what_has_happened_is_recorded_in_its_order_beside_a_refusal(self) -> None:
        attempt = self.intend()
        with mock.patch.object(self.ledger, "_run", side_effect=OutputError("locked")):
            self.ledger.settle(attempt.key, STARTED, id="fox", credits=5)
        self.together(lambda: self.ledger.ended("fox", "SUCCEEDED"), self.intent("2", BudgetError("no")))
        (found,) = self.ledger.attempts()
        self.assertEqual((found.id, found.status), ("fox", "SUCCEEDED"))

    def test_what_was_intended_after_all_is_settled_too(self) -> None:
        self.ledger.is_unavailable = True  # it could not be opened at first
        self.paid("fox")
        self.assertEqual([each.id for each in self.ledger.attempts()], ["fox"])

    def test_many_processes_write_at_once_into_a_new_home_and_lose_nothing(self) -> None:
        program = (
            "for n in range(5):\n"
            "    name = f'{sys.argv[2]}-{n}'\n"
            "    ledger.intend('/v1/x', {}, key=name)\n"
            "    ledger.settle(name, 'STARTED', id=name, credits=1)\n"
        )
        writers = [self.python(program, str(number)) for number in range(20)]
        for writer in writers:
            _, errors = writer.communicate(timeout=60)
            self.assertEqual((writer.returncode, errors), (0, ""))
        found = {attempt.id for attempt in self.ledger.attempts()}
        self.assertEqual(found, {f"{number}-{n}" for number in range(20) for n in range(5)})

    def test_a_signal_ends_the_wait_for_another_process_but_not_for_a_record(self) -> None:
        attempt = self.intend()
        other = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        check = mock.Mock(side_effect=Interrupted("terminated"))
        ledger = Ledger(str(self.path), service(self.clock, check=check))
        self.addCleanup(ledger.close)
        with self.assertRaises(Interrupted):
            ledger.intend("/v1/y", BODY)
        threading.Timer(0.6, other.execute, ("ROLLBACK",)).start()
        ledger.settle(attempt.key, STARTED, id="fox")
        self.assertEqual(check.call_count, 1)
        self.assertEqual([each.id for each in ledger.attempts()], ["fox"])

    def test_a_batch_keeps_others_out_until_its_process_ends(self) -> None:
        holder = self.open(exclusive=True)
        holder.intend("/v1/x", BODY)
        program = (
            "from runway_cli.errors import UsageError\n"
            "other = Ledger(sys.argv[1], service(time), exclusive=True)\n"
            "try:\n    other.attempts()\nexcept UsageError:\n    print('locked')\n"
        )
        self.assertEqual(self.python(program).communicate(timeout=30)[0], "locked\n")
        holder.close()
        self.assertEqual(len(self.open(exclusive=True).attempts()), 1)


class Files(LedgerTest):
    def test_reading_makes_no_file(self) -> None:
        self.assertEqual(self.ledger.attempts(), [])
        self.assertFalse(self.path.exists())

    def test_a_file_that_is_no_ledger_is_refused_and_stays_as_it_is(self) -> None:
        self.path.parent.mkdir(parents=True)
        foreign = self.path.with_name("foreign.db")
        with sqlite3.connect(foreign) as db:
            db.execute("CREATE TABLE notes (text)")
        db.close()
        for content in (b"my notes\n", b'{"event":"intent"}\n' * 999, foreign.read_bytes()):
            with self.subTest(content[:20]):
                self.path.write_bytes(content)
                with self.assertRaises(ConfigError):
                    self.open().intend("/v1/x", BODY)
                self.assertEqual(self.path.read_bytes(), content)

    def test_a_damaged_file_is_refused_and_stays_as_it_is(self) -> None:
        for number in range(20):
            self.paid(str(number), job=f"once {number}")
        self.ledger.close()
        whole = self.path.read_bytes()
        for what, content in (
            ("a few bytes cut off", whole[:-3]),
            ("a page cut off", whole[:-4096]),
            ("something behind it", whole + b"\0" * 10),
            ("all of it", b""),
            ("a page of zeros", whole[:4096] + bytes(4096) + whole[8192:]),
        ):
            with self.subTest(what):
                self.path.write_bytes(content)
                with self.assertRaises(OutputError):
                    self.open().intend("/v1/x", BODY)
                self.assertEqual(self.path.read_bytes(), content)

    def test_one_whose_making_failed_is_made_by_the_next_call(self) -> None:
        for exclusive in (True, False):
            with (
                self.subTest(exclusive=exclusive),
                mock.patch.object(Ledger, "_migrate", side_effect=OutputError("full")),
            ):
                with self.assertRaises(OutputError):
                    self.open(exclusive=exclusive).intend("/v1/x", BODY)
                self.assertEqual(self.path.read_bytes(), b"")
            ledger = self.open(exclusive=exclusive)
            ledger.intend("/v1/x", BODY)
            ledger.close()
            self.path.unlink()

    def test_a_secret_is_not_kept_in_any_column(self) -> None:
        ledger = Ledger(str(self.path), service(self.clock, mask=lambda text: text.replace("secret", "***")))
        ledger.intend("/v1/x", BODY, destination="/a/secret.png", name="secret")
        self.assertEqual(ledger.attempts()[0].destination, "/a/***.png")
        ledger.close()
        self.assertNotIn(b"secret", self.path.read_bytes())

    def test_what_is_no_file_is_refused_at_once(self) -> None:
        self.path.mkdir(parents=True)
        with self.assertRaises(ConfigError):
            self.ledger.intend("/v1/x", BODY)
        self.path.rmdir()
        if hasattr(os, "mkfifo"):
            os.mkfifo(self.path)
            with self.assertRaises(ConfigError):
                self.open().attempts()
            self.path.rename(self.path.with_name("history.jsonl"))
            self.open().intend("/v1/x", BODY)

    def test_without_a_place_for_it_there_is_none(self) -> None:
        self.path.parent.parent.parent.joinpath("file").touch()
        for path in (None, str(self.path.parent.parent.parent / "file" / "history.db")):
            with self.assertRaises(LedgerMissing):
                Ledger(path, service(self.clock)).intend("/v1/x", BODY)

    def test_a_newer_version_is_refused(self) -> None:
        self.paid("fox")
        self.ledger.close()
        db = sqlite3.connect(self.path)
        db.execute("PRAGMA user_version = 99")
        db.commit()
        db.close()
        with self.assertRaisesRegex(ConfigError, "newer version"):
            self.open().attempts()

    def test_a_history_of_version_2_beside_a_new_ledger_is_taken_over_once(self) -> None:
        self.path.parent.mkdir(parents=True)
        own = {"account": ACCOUNT, "clientId": "c", "at": "2026-11-24T09:30:00.500Z"}
        records = [
            {"event": "intent", "key": "a", "path": "/v1/x", "model": "m", "prompt": "fox", **own},
            {"event": "ended", "id": "fox", "status": "SUCCEEDED", "credits": 6, "saved": ["/a/fox.png"], **own},
            {"event": "started", "key": "a", "id": "fox", "credits": 5, **own},  # another process was faster
            {"event": "ended", "id": "hen", "status": 5, "saved": 5, **own},
            {"event": "started", "key": ["d"], "id": "\udce9", **own},
            {"event": "intent", "key": "b", "path": "/v1/x", **own},
            {"event": "intent", "key": "c", "path": "/v1/x", **own},
            {"event": "refused", "key": "c", **own},
        ]
        text = "\n".join(map(json.dumps, records)) + '\n{"event": "int'
        (self.path.parent / "history.jsonl").write_text(text, encoding="utf-8")
        self.assertEqual(self.ledger.attempts()[0].id, "fox")  # reading is enough
        self.ledger.intend("/v1/y", BODY)
        self.ledger.close()
        found = self.open().attempts()
        self.assertEqual(
            [(each.key, each.id, each.status, each.credits, each.files) for each in found[:2]],
            [("a", "fox", "SUCCEEDED", 6, ["/a/fox.png"]), ("b", None, "UNCERTAIN", None, [])],
        )
        self.assertEqual(len(found), 3)
