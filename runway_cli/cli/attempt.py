"""A failed call, and the changes that make another call of it."""

from __future__ import annotations

from .options import GLOBAL_OPTIONS, SERVICE_OPTIONS
from .parser import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..commands._command import Option
    from ..errors import Failure
    from .parser import Call

    Words = Sequence[str]


def with_known_word(words: Words, wrong: str, right: str) -> list[str]:
    """`words` with `right` in place of `wrong`, which is a word or the part of one before or after its `=`."""
    for index, word in enumerate(words):
        name, mark, value = word.partition("=")
        if name == wrong and right.endswith("="):  # an option that is a field here
            flag, key = right.split(" ")
            if mark:
                return [*words[:index], flag, key + value, *words[index + 1 :]]
            if words[index + 1 : index + 2] and not words[index + 1].startswith("-"):
                return [*words[:index], flag, key + words[index + 1], *words[index + 2 :]]
            break  # it has no value
        if word == wrong:
            replacement = right.split(" ")
        elif mark and name == wrong:
            replacement = [f"{right}={value}"]
        elif mark and value == wrong and name.startswith("-"):
            replacement = [f"{name}={right}"]
        else:
            continue
        return [*words[:index], *replacement, *words[index + 1 :]]
    return list(words)


class Attempt:
    """A failed call: the failure, its words, and as much of the parsed call as there is."""

    def __init__(self, failure: Failure, words: Words, call: Call | None) -> None:
        self.failure = failure
        self.words = [word for word in words if word != "--force"]
        self.call = call
        self.path: tuple[str, ...] = call.path if call else tuple(failure.fact("path", ()))

    @property
    def command(self) -> str:
        return self.path[0] if self.path else ""

    def fact(self, name: str) -> Any:
        return self.failure.fact(name)

    def option(self, name: str) -> Any:
        """An option of the call, None where it was not parsed."""
        return getattr(self.call.options, name, None) if self.call else None

    def is_same(self, words: Words) -> bool:
        """Whether these words make the failed call again, in whatever order."""
        return sorted(words) == sorted(self.words)

    def extended(self, words: Words, call: Words | None = None) -> list[str]:
        """The failed call, or another `call`, with these words too, before a `--`; a switch that it has stays once."""
        call = self.words if call is None else call
        new = [word for word in words if word not in call or not word.startswith("--")]
        end = call.index("--") if "--" in call else len(call)
        return [*call[:end], *new, *call[end:]]

    def without(self, flags: Words) -> Words:
        """The failed call without these options and their values."""
        valued = {flag for option in self._options() if not option.is_switch for flag in option.flags}
        kept: list[str] = []
        skip = False
        for word in self.words:
            if skip:
                skip = False
                continue
            name = word.partition("=")[0]
            if name in flags:
                skip = name in valued and "=" not in word
                continue
            kept.append(word)
        return kept

    def repeated(self, options: Sequence[Option]) -> list[str]:
        """The words of those options that the call gave and that another call takes too."""
        if not self.call:
            return []
        left_out = ("force", "unfinished", *SERVICE_OPTIONS)  # the names are there
        given = [option for option in options if option.dest in self.call.given and option.dest not in left_out]
        return [word for option in given for word in option.words(self.call.given[option.dest])]

    def typed(self, option: Option) -> list[str]:
        """The words that give an option in the failed call, parsed or not; none where it is not there."""
        for index, word in enumerate(self.words):
            if word in option.flags:
                return list(self.words[index : index + (1 if option.is_switch else 2)])
            if word.partition("=")[0] in option.flags:
                return [word]
        return []

    def _options(self) -> list[Option]:
        found = list(GLOBAL_OPTIONS)
        declared = load(self.command) if self.command else None
        commands = declared.values() if isinstance(declared, dict) else [declared]
        for command in commands:
            found += getattr(command, "options", ())
        return found
