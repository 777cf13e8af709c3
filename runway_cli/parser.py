"""The argparse tree: which commands there are, how options read, what is said about a call that is wrong."""

from __future__ import annotations

import argparse
import importlib

from . import __version__, settings
from .errors import UsageError
from .output import command_line, quoted_call, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

# command: (its module below `commands`, what it does); a module is imported when its command is asked for
COMMANDS = {
    "request": ("request", "call any endpoint; with --wait, from a prompt to a saved file"),
    "wait": ("wait", "wait for tasks to end, and save their outputs"),
    "cancel": ("cancel", "cancel running tasks; finished work is kept"),
    "upload": ("upload", "upload files for use in requests"),
    "download": ("download", "save output URLs as files"),
    "avatars": ("avatars", "list avatars"),
    "voices": ("voices", "list voices"),
    "documents": ("documents", "list documents"),
    "auth": ("auth", "tell whether the API key works"),
    "reference": ("reference", "show the API's endpoints and their fields"),
    "skill": ("skill", "install this program as an agent's skill"),
    "completions": ("completions", "print completions for a shell"),
}
EXAMPLES = (
    ("request", "POST", "/v1/text_to_image", "-f", "model=gen4_image", "-f", "promptText=a red fox",
     "-f", "ratio=1280:720", "--wait", "--download", "fox.png"),
    ("auth", "status"),
    ("avatars", "list", "--limit", "5"),
)
WIDTH = 80  # columns that help keeps to
LIKENESS = 0.65  # from 0 to 1, of a mistyped word and the one that is offered for it
NO_BREAK = "\u00a0"  # a space at which argparse folds no line


class Text(Exception):
    """Help or the version was asked for: the text is the result."""


class Mistyped(UsageError):
    """A word that is not known, and the known word nearest to it."""

    def __init__(self, message: str, wrong: str, right: str, example: Sequence[str]) -> None:
        super().__init__(f"{message}; did you mean {right}?", example=example)
        self.wrong = wrong
        self.right = right


class _Later:
    """A subcommand's parser, made when it is asked for: making all of them at every start would cost 1 ms."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def made(self) -> Parser:
        return Parser(**self.options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        return self.made().parse_known_args(args, namespace)


class Parser(argparse.ArgumentParser):
    """A parser that is filled when it is used: a start builds the one it needs, and help still shows them all.

    `path` are the words that lead to it; `operands` its positionals as usage shows them; `several` is the dest of
    a positional that also takes words that stand behind options; `example` what an error shows, the first of `examples`
    if it is not set.
    """

    def __init__(self, path: str = "", fill: Callable[[Parser], None] | None = None, **options: Any) -> None:
        super().__init__(add_help=False, allow_abbrev=False, formatter_class=_formatter, **options)
        self.color = False  # Python 3.14 would colour help by itself
        self.path = path
        self.fill = fill
        self.operands = ""
        self.several = ""
        self.words: Sequence[str] = ()
        self.examples: Sequence[Sequence[str]] = ()
        self.example: Sequence[str] = ()
        self.nested: Any = None
        self.summaries: list[str] = []
        self.own = self.add_argument_group("options")

    def command(self, name: str, summary: str, fill: Callable[[Parser], None]) -> None:
        """Adds a subcommand; `summary` stands in the list of commands and opens its help."""
        if self.nested is None:
            self.operands = "COMMAND"
            self.nested = self.add_subparsers(metavar="command", dest=argparse.SUPPRESS, help=argparse.SUPPRESS,
                                              prog=self.prog, parser_class=_Later)
        self.nested.add_parser(name, description=f"{summary[0].upper()}{summary[1:]}.",
                               path=f"{self.path} {name}".strip(), fill=fill)
        self.summaries.append(f"  {name:<13}{summary}")

    def option(self, *names: str, read: Callable[[str], Any] | None = None, **options: Any) -> None:
        """An option of this command; `read` turns its text into a value, with ValueError for a user."""
        if read:
            options["type"] = _typed(read)
        (self.own if names[0].startswith("-") else self).add_argument(*names, **options)

    def limit(self) -> None:
        """The option that every list takes."""
        self.option("--limit", metavar="N", read=_positive, help="print N rows at most (default: 1000)")

    def complete(self) -> None:
        """Adds the options and commands, once."""
        if self.fill:
            fill, self.fill = self.fill, None
            fill(self)
            _add_global_options(self)
            self.set_defaults(**({"shown": self} if self.nested else {"example": self._example()}))

    def children(self) -> list[Parser]:
        """The parsers of the subcommands."""
        self.complete()
        return [later.made() for later in self.nested.choices.values()] if self.nested else []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.complete()
        self.words = args
        parsed, extras = super().parse_known_args(args, namespace)
        if self.several:
            getattr(parsed, self.several).extend(word for word in extras if not _is_option(word))
            extras = list(filter(_is_option, extras))
        if extras:
            self._refuse(extras[0])
        return parsed, extras

    def format_help(self) -> str:
        self.complete()
        words = [command_line(()), self.path, self.operands, "[options]"]
        self.usage = " ".join(filter(None, words)).replace("%", "%%")
        if self.summaries:
            self.description = "\n".join((self.description or "", "", "commands:", *self.summaries))
        self.epilog = "examples:\n" + "\n".join(_folded(quoted_call(example)) for example in self.examples)
        return super().format_help().replace(NO_BREAK, " ")

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, example=self._example())

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            if action is self.nested:
                for word in self.words[: self.words.index(value)]:  # an unknown option's value is taken for the command
                    if word.startswith("--") and word.partition("=")[0] not in self._option_string_actions:
                        self._refuse(word)
            what = "command" if action is self.nested else action.metavar or action.option_strings[0]
            self._unknown(f"{value!r} is no {what}: choose from {', '.join(map(str, action.choices))}",
                          value, action.choices)

    def _refuse(self, word: str) -> NoReturn:
        if not _is_option(word):
            raise UsageError(f"unexpected argument {word!r}", example=self._example())
        options = [name for action in self._actions for name in action.option_strings]
        name = word.partition("=")[0]
        self._unknown(f"unknown option {name}", name, options)

    def _unknown(self, message: str, wrong: str, known: Any) -> NoReturn:
        import difflib  # only a mistyped word needs it

        near = difflib.get_close_matches(wrong, known, 1, LIKENESS)
        if near:
            raise Mistyped(message, wrong, near[0], self._example())
        raise UsageError(message, example=self._example())

    def _example(self) -> Sequence[str]:
        return self.example or (self.examples[0] if self.examples else (*self.path.split(), "--help"))


def parse(argv: Sequence[str]) -> Any:
    """The namespace of a call, whose `run` is its command.

    Raises Text for help and the version, UsageError with an example for a call that is wrong. `help COMMAND` is
    understood, as everywhere.
    """
    if argv and argv[0] == "help":
        argv = [*argv[1:], "--help"]
    try:
        return _parse(argv)
    except Mistyped as error:
        wrong = error.wrong
        repaired = [error.right + word[len(wrong):] if word.partition("=")[0] == wrong else word for word in argv]
        try:
            _parse(repaired)
        except Text:
            error.example = repaired
        except UsageError:
            pass
        else:
            error.example = repaired
        raise


def root() -> Parser:
    """The parser of the whole program."""
    return Parser(fill=_fill_root)


def _parse(argv: Sequence[str]) -> Any:
    whole = root()
    parsed = whole.parse_args(list(argv))
    if not hasattr(parsed, "run"):
        raise Text((getattr(parsed, "shown", None) or whole).format_help())
    return parsed


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _fill_root(root: Parser) -> None:
    root.description = "The Runway API (generative video, images, audio, avatars) on the command line."
    root.examples = EXAMPLES
    root.example = ("auth", "status")
    for name, (module, summary) in COMMANDS.items():
        root.command(name, summary, _filler(module))


def _filler(module: str) -> Callable[[Parser], None]:
    def fill(parser: Parser) -> None:
        importlib.import_module(f".commands.{module}", __package__).configure(parser)

    return fill


def _add_global_options(parser: Parser) -> None:
    """The same options on every command, so that they stand before or after it; neither place undoes the other."""
    group = parser.add_argument_group("global options")

    def add(*names: str, **options: Any) -> None:
        options["help"] = options["help"].replace("[env: ", "[env:" + NO_BREAK)
        group.add_argument(*names, default=argparse.SUPPRESS, **options)

    add("--stage", action="store_true", help="use the staging environment [env: RUNWAY_SKILLS_STAGE]")
    add("--gateway", metavar="NAME", choices=settings.GATEWAYS,
        help="go through a gateway: lowcodeapi [env: RUNWAY_SKILLS_GATEWAY]")
    add("--url-format", metavar="FORMAT", choices=settings.URL_FORMATS,
        help="the gateway's URLs: auto, new or old (default: auto) [env: LOWCODEAPI_URL_FORMAT]")
    add("--client-id", metavar="UUID", type=_typed(settings.client_id),
        help="correlate a session's requests [env: RUNWAY_SKILLS_CLIENT_ID]")
    add("--timeout", metavar="SECONDS", type=_typed(settings.seconds),
        help="bound one exchange, or the silence in a transfer (default: 60) [env: RUNWAY_SKILLS_TIMEOUT]")
    add("--retries", metavar="N", type=_typed(settings.count),
        help="send again N times where that is safe (default: 2) [env: RUNWAY_SKILLS_RETRIES]")
    add("--output", metavar="FORMAT", choices=settings.FORMATS,
        help="json, jsonl, table or markdown (default: json)")
    add("-q", "--quiet", action="store_true", help="no progress or notes [env: RUNWAY_SKILLS_QUIET]")
    add("--verbose", action="store_true", help="show requests and answers [env: RUNWAY_SKILLS_VERBOSE]")
    add("-h", "--help", action=_Help, nargs=0, help="show this help")
    add("-v", "-V", "--version", action=_Version, nargs=0, help="show the version")


class _Help(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        raise Text(parser.format_help())


class _Version(argparse.Action):
    def __call__(self, *_: Any) -> None:
        raise Text(__version__ + "\n")


def _formatter(prog: str) -> argparse.HelpFormatter:
    width = min(terminal_width(), WIDTH) - 2
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=max(width, 40))


def _typed(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) == 0:
        raise ValueError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _folded(words: Sequence[str]) -> str:
    """A call over several lines that a shell still reads as one."""
    lines = ["  "]
    for word in words:
        if len(lines[-1]) + len(word) > WIDTH - 4 and lines[-1].strip():
            lines[-1] += "\\"
            lines.append("    ")
        lines[-1] += word + " "
    return "\n".join(line.rstrip() for line in lines)
