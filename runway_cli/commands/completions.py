"""`completions`: a script of a few lines for each shell, which calls this program at every TAB for the possible words.

Endpoints and models come from the cached contract and ids from the history, never from the network.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from contextlib import suppress

from ..contract import source
from ..contract.schema import endpoints, models
from ..errors import RunwayError
from ..settings import one_of
from .context import Context
from .options import GLOBAL_OPTIONS, HELP_FLAGS, VERSION_FLAGS, Command, Operand, Options, tokens

PLAIN = re.compile(r"[\w/.:=-]+", re.ASCII)  # needs no quotes in any shell
# Each script passes the line up to the cursor, and gets the words that may complete it; if there are none, the shell
# completes file names. bash replaces only a part of a word that contains = or :, so it passes that part too.
SCRIPTS = {
    "bash": """\
# Completions of runway-cli for bash. Now: source <(runway-cli completions bash)
# Always: runway-cli completions bash > ~/.local/share/bash-completion/completions/runway-cli
_runway_cli() {
  local word
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(
    command runway-cli completions bash -- "${COMP_LINE:0:COMP_POINT}" "${COMP_WORDS[COMP_CWORD]}" 2>/dev/null
  )
  [[ ${COMPREPLY-} != *= ]] || compopt -o nospace
}
complete -o default -F _runway_cli runway-cli
""",
    "zsh": """\
#compdef runway-cli
# Completions of runway-cli for zsh. Now: source <(runway-cli completions zsh)
# Always: runway-cli completions zsh > a folder of $fpath, as _runway-cli
_runway_cli() {
  local -a found=(${(f)"$(command runway-cli completions zsh -- "$LBUFFER" 2>/dev/null)"})
  if (( $#found )); then compadd -S '' -- ${(M)found:#*=}; compadd -- ${found:#*=}; else compset -P '*='; _files; fi
}
if [[ $funcstack[1] == _runway-cli ]]; then _runway_cli; else compdef _runway_cli runway-cli; fi
""",
    "fish": """\
# Completions of runway-cli for fish. Now: runway-cli completions fish | source
# Always: runway-cli completions fish > ~/.config/fish/completions/runway-cli.fish
set -l ask 'set -g _runway_cli (command runway-cli completions fish -- (commandline -cp) 2>/dev/null)'
complete -c runway-cli -f -n "$ask; test -n \\"\\$_runway_cli\\"" -a '$_runway_cli'
""",
}


def run(context: Context, options: Options) -> int:
    """Prints the script of a shell or, for a line that was typed, the words that may complete it."""
    if not options.typed:
        context.console.write(SCRIPTS[options.shell])
        return 0
    # The words after the program's name; the last one is at the cursor, perhaps "" or in an open quote.
    found = ["", "."]
    for end in (".", ".'", '."'):  # the dot stands for what is still to be typed
        with suppress(ValueError):
            found = shlex.split(options.typed[0] + end)
            break
    before, typed = found[1:-1], found[-1][:-1]
    words = _candidates(context, before, typed)
    if options.shell == "bash":
        part = re.sub(r"\\(.)", r"\1", options.typed[-1].lstrip("'\""))
        kept = len(typed) if part in ("=", ":") else len(typed) - len(part)
        words = [word[kept:] for word in words]
    context.console.write("".join(f"{word}\n" for word in dict.fromkeys(words)))
    return 0


def _candidates(context: Context, before: list[str], typed: str) -> list[str]:
    """Returns the words that may follow the words `before` and begin with `typed`."""
    commands = context.program()
    options = [*GLOBAL_OPTIONS, *(option for command in commands.values() for option in command.options)]
    valued = {flag: option for option in options if not option.is_switch for flag in option.flags}
    path: tuple[str, ...] = ()
    count = 0  # of operands
    option = None  # the option whose value comes next
    for flag, word, _ in tokens(before, options):
        option = valued.get(flag) if word is None else None
        if not flag and any(known[: len(path) + 1] == (*path, word) for known in commands):
            path, count = (*path, str(word)), 0
        else:
            count += not flag
    command = commands.get(path)

    kind, words, start = "", [], 0
    key, mark, _ = typed.partition("=")
    if not option and mark and key in valued:
        option, start = valued[key], len(key) + 1
    if option:
        kind, words = str(option.metavar).replace("PATH", ""), option.choices  # the PATH of an option is a file's
    elif typed.startswith("-"):
        shown = [*GLOBAL_OPTIONS, *(command.options if command else ())]
        words = [*(flag for option in shown for flag in option.flags), *HELP_FLAGS, *VERSION_FLAGS]
    elif command is None:
        words = [known[len(path)] for known in commands if known[:-1] == path or not path]
        words += [] if path else ["help"]
    else:
        names = [name for operand in command.operands for name in operand.metavar.split()]
        if count < len(names) or any(operand.repeats for operand in command.operands[-1:]):
            kind = names[min(count, len(names) - 1)]
    if kind.startswith(("KEY=", "TEXT|KEY=")) and typed[start:].startswith("model="):
        kind, start = "M", start + len("model=")
    words = words or [word for word in _known_words(context, kind) if not word.startswith("-")]
    return [typed[:start] + word for word in words if PLAIN.fullmatch(word) and word.startswith(typed[start:])]


def _known_words(context: Context, kind: str) -> Iterable[str]:
    """Returns the words that can stand for a name such as PATH or METHOD in the help."""
    if kind in ("PATH", "M", "ENDPOINT", "ENDPOINT|MODEL"):
        document = source.load(context.client(with_secret=False), may_fetch=False).document
        if kind == "PATH":
            return [re.sub("[{}]", "", found.path) for found in endpoints(document)]
        rows = models(document)
        ends = [end for row in rows for end in row["endpoints"]] if "ENDPOINT" in kind else []
        return [*ends, *(row["model"] for row in rows if kind != "ENDPOINT")]
    if kind == "ID":
        from ..jobs.ledger import STARTED

        with suppress(RunwayError):
            history = context.history(context.client())
            history.tries = 1  # TAB does not wait for another process
            return [each.id for each in history.attempts() if each.status == STARTED]
        return []
    from .request import METHODS
    from .skill import HOSTS

    return {"METHOD": METHODS, "HOST": HOSTS, "SHELL": SCRIPTS}.get(kind, ())


COMMANDS = {
    "completions": Command(
        run,
        operands=(
            Operand("shell", "SHELL", "bash, zsh or fish; the script says where it goes", one_of(*SCRIPTS)),
            Operand("typed", "[LINE...]", "used by the script only: the line before the cursor"),
        ),
        examples=tuple(f"completions {shell}" for shell in SCRIPTS),
        prints="a script",
    )
}
