"""The account that pays: what the API shows of the organization, and what was charged."""

from __future__ import annotations

from typing import Any, Callable

from tests.fake.moments import Accepted
from tests.fake.pace import Record
from tests.fake.refusals import Refusal


class Account:
    """`organization` is what the API shows; `accepted` are the POSTs that were accepted and charged, in order."""

    def __init__(self) -> None:
        models = {"gen4_image": {"maxConcurrentGenerations": 5, "maxDailyGenerations": 1000}}
        self.organization: Record = {
            "tier": {"maxMonthlyCreditSpend": 100000, "models": models},
            "creditBalance": 10000,
            "usage": {"models": {"gen4_image": {"dailyGenerations": 0}}},
        }
        self.accepted: list[Accepted] = []

    def charge(self, path: str, body: Any, credits: int, start: Callable[[], str]) -> str:
        """Take the credits and start what they pay for. Returns its id. Raises Refusal (400) for lack of credits."""
        if self.organization["creditBalance"] < credits:
            raise Refusal(400, "You do not have enough credits to run this task.")
        self.organization["creditBalance"] -= credits
        made = start()
        self.accepted.append(Accepted(made, path, body, credits))
        return made

    def refund(self, credits: int) -> None:
        """Give credits back."""
        self.organization["creditBalance"] += credits
