"""The completion scripts as templates: @VALUED@, @STEPS@ and @TABLE@ are filled in by `completions`."""

from __future__ import annotations

from ..errors import UsageError
from ..settings import one_of
from .options import Command, GlobalOptions, Operand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from .context import Context
    from .options import Option

    Path = tuple[str, ...]
    Known = dict[str, list[str]]


WALK = """\
_runway_cli_look() { # WORD: takes a word that stands before the cursor into account
  if [[ -n $option ]]; then option=""; return; fi
  case $1 in
    @VALUED@) option=$1; return ;;
    -?*) return ;;
  esac
  case "$at/$1" in
    @STEPS@) at="$at/$1" operands=0 ;;
    *) operands=$((operands + 1)) ;;
  esac
}

_runway_cli_place() { # PLACE: offers what may stand there
  case $1 in
    @TABLE@
  esac
}
"""

BASH = """\
# Completions of runway-cli for bash. Now: source <(runway-cli completions bash)
# Always: runway-cli completions bash > ~/.local/share/bash-completion/completions/runway-cli

@WALK@
_runway_cli_offer() { # WORDS...: those that begin as typed, with what stands before it in the same word
  local word
  for word; do
    case $word in
      FILE) _runway_cli_files "$front" "$typed" ;;
      @FILE) [[ $typed == @* ]] && _runway_cli_files "$front@" "${typed:1}" ;;
      KEY=FILE) [[ $typed == *=* ]] && _runway_cli_files "$front${typed%%=*}=" "${typed#*=}" ;;
      "$typed"*) offers+=("$front$word") ;;
    esac
  done
}

_runway_cli_files() { # BEFORE TYPED
  local file typed=${2#[\\"\\']}
  compopt -o filenames 2>/dev/null # bash 3 has none: it quotes nothing there
  while IFS= read -r file; do offers+=("$1$file"); done < <(compgen -f -- "${typed//\\\\/}")
}

_runway_cli() {
  local IFS=$' \\t\\n' rest=${COMP_LINE#*"${COMP_WORDS[0]}"} words=() last=-1 i word
  for ((i = 1; i <= COMP_CWORD; i++)); do # joins again what COMP_WORDBREAKS took apart, at = and @
    word=${COMP_WORDS[i]}
    if [[ $last == -1 || $rest == [[:space:]]* ]]; then words[++last]=""; fi
    rest=${rest#"${rest%%[![:space:]]*}"}
    words[last]+=$word
    rest=${rest#"$word"}
  done

  local at="" front="" operands=0 option="" offers=() typed=${words[last]} shown=${COMP_WORDS[COMP_CWORD]}
  if [[ $typed == [\\"\\']* ]]; then typed=${typed:1} shown=${shown#[\\"\\']}; fi
  for ((i = 0; i < last; i++)); do _runway_cli_look "${words[i]}"; done
  if [[ -n $option ]]; then
    _runway_cli_place "$option"
  elif [[ $typed == --*=* ]]; then
    front=${typed%%=*}= typed=${typed#*=}
    _runway_cli_place "${front%=}"
  elif [[ $typed == -* ]]; then
    _runway_cli_place -
    [[ -n $at ]] && _runway_cli_place "$at-"
  else
    _runway_cli_place "$at:$operands"
  fi

  # The shell replaces only the last of the parts that it took the word apart into, with the @ before it.
  [[ $shown == [=:] ]] && shown=""
  local before=$front$typed; before=${before%"$shown"}
  COMPREPLY=("${offers[@]#"${before%@}"}")
}

complete -F _runway_cli runway-cli
"""

ZSH = """\
#compdef runway-cli
# Completions of runway-cli for zsh. Now: source <(runway-cli completions zsh)
# Always: runway-cli completions zsh > a folder of $fpath, as _runway-cli

@WALK@
_runway_cli_offer() { # WORDS...
  compadd -- ${@:#(|@|KEY=)FILE}
  case ${@[-1]} in
    FILE) _files ;;
    @FILE) compset -P @ && _files ;;
    KEY=FILE) compset -P 1 '*=' && _files ;;
  esac
}

_runway_cli() {
  local at="" option="" typed=$PREFIX
  local -i operands=0 i
  for ((i = 2; i < CURRENT; i++)); do _runway_cli_look "${(Q)words[i]}"; done
  if [[ -n $option ]]; then
    _runway_cli_place "$option"
  elif [[ $typed == --*=* ]]; then
    compset -P 1 '*='
    _runway_cli_place "${typed%%=*}"
  elif [[ $typed == -* ]]; then
    _runway_cli_place -
    [[ -n $at ]] && _runway_cli_place "$at-"
  else
    _runway_cli_place "$at:$operands"
  fi
}

if [[ $funcstack[1] == _runway-cli ]]; then
  _runway_cli "$@" # read from $fpath, to complete at once
else
  compdef _runway_cli runway-cli
fi
"""

FISH = """\
# Completions of runway-cli for fish. Now: runway-cli completions fish | source
# Always: runway-cli completions fish > ~/.config/fish/completions/runway-cli.fish

function __runway_cli_offer --no-scope-shadowing # WORDS...
    for word in $argv
        switch $word
            case FILE
                printf "$front%s\\n" (__fish_complete_path $typed)
            case @FILE KEY=FILE
                set -l parts (string split -m 1 -- (string match -r '[@=]' $word) $typed)
                and printf "$front$parts[1]"(string match -r '[@=]' $word)"%s\\n" (__fish_complete_path "$parts[2]")
            case "$typed*"
                printf '%s\\n' $front$word
        end
    end
end

function __runway_cli_place --no-scope-shadowing # PLACE
    switch $argv
        @TABLE@
    end
end

function __runway_cli
    set -l at
    set -l operands 0
    set -l option
    set -l front ""
    for word in (commandline -opc)[2..-1]
        if test -n "$option"
            set option
        else if contains -- $word @VALUED@
            set option $word
        else if string match -q -- '-?*' $word
            continue
        else if contains -- "$at/$word" @STEPS@
            set at "$at/$word"
            set operands 0
        else
            set operands (math $operands + 1)
        end
    end
    set -l typed (commandline -ct | string replace -r '^["\\']' '' | string unescape)
    if test -n "$option"
        __runway_cli_place $option
    else if string match -q -- '--*=*' $typed
        set -l parts (string split -m 1 = -- $typed)
        set front $parts[1]=
        set typed $parts[2]
        __runway_cli_place $parts[1]
    else if string match -q -- '-*' $typed
        __runway_cli_place -
        test -n "$at"; and __runway_cli_place "$at-"
    else
        __runway_cli_place "$at:$operands"
    end
end

complete -c runway-cli -f -a '(__runway_cli)'
"""


# --- `completions`: a script for bash, zsh or fish, generated from the declared commands.

# Each script walks over the words before the cursor to the place where it stands, and offers what one table has for it:
# "--option" (its value), "command:0" (an operand, "*" any), "command-" (its own options). The words of the table stand
# for themselves, except FILE, @FILE and KEY=FILE, which are files, alone or after a mark. Endpoint paths and models come
# from the cached contract, never from the network.


SHELLS = ("bash", "zsh", "fish")
FILES = {
    "--body": "@FILE",
    "--download": "FILE",
    "--to": "FILE",
    "--log": "FILE",
    "FILE": "FILE",
    "ROWS": "FILE",
    "KEY=FILE": "KEY=FILE",
}


class Options(GlobalOptions):
    shell: str


def run(context: Context, options: Options) -> int:
    """Prints the script."""
    if options.select:
        raise UsageError("--select applies to JSON, not to a script", drop=("--select",))
    program = context.program()
    context.console.write(script(options.shell, program.commands, program.global_options, _contract_words(context)))
    return 0


def script(
    shell: str, program: Mapping[Path, Command], global_options: Sequence[Option], contract: Known | None = None
) -> str:
    """The completions for one of SHELLS. `contract` has the words for PATH and for M, if they are known."""
    from .request import METHODS
    from .skill import HOSTS

    known: Known = {
        **{name: [files] for name, files in FILES.items()},
        "HOST": [*HOSTS, "FILE"],
        "METHOD": list(METHODS),
        "SHELL": list(SHELLS),
        **(contract or {}),
    }
    table = {place: words for place, words in _places(program, global_options, known) if words}
    options = [*global_options, *(option for command in program.values() for option in command.options)]
    valued = dict.fromkeys(flag for option in options if not option.is_switch for flag in option.flags)
    steps = dict.fromkeys("/" + "/".join(path[:size]) for path in program for size in range(1, len(path) + 1))
    if shell == "fish":
        lines = [f"case '{place}'\n            __runway_cli_offer {' '.join(words)}" for place, words in table.items()]
        return _filled(FISH, " ".join(valued), " ".join(steps), ("\n" + " " * 8).join(lines))
    lines = [f"{place}) _runway_cli_offer {' '.join(words)} ;;" for place, words in table.items()]
    template = {"bash": BASH, "zsh": ZSH}[shell].replace("@WALK@", WALK)
    return _filled(template, "|".join(valued), "|".join(steps), "\n    ".join(lines))


def _filled(template: str, valued: str, steps: str, table: str) -> str:
    return template.replace("@VALUED@", valued).replace("@STEPS@", steps).replace("@TABLE@", table)


def _places(
    program: Mapping[Path, Command], global_options: Sequence[Option], known: Known
) -> Iterator[tuple[str, list[str]]]:
    """What is offered where."""
    options = [*global_options, *(option for command in program.values() for option in command.options)]
    for option in options:
        words = _values(option, known)
        for flag in option.flags:
            yield flag, words
    yield "-", [*(flag for option in global_options for flag in option.flags), "-h", "--help", "-v", "-V", "--version"]
    names = dict.fromkeys(path[0] for path in program)
    yield ":0", [*names, "help"]
    for name in names:
        nested = [path[1] for path in program if path[0] == name and len(path) > 1]
        yield f"/{name}:0", nested
    for path, command in program.items():
        at = "/" + "/".join(path)
        yield f"{at}-", [flag for option in command.options for flag in option.flags]
        yield from _operand_places(at, command, known)


def _operand_places(at: str, command: Command, known: Known) -> Iterator[tuple[str, list[str]]]:
    number = 0
    for operand in command.operands:
        names = operand.metavar.split()
        for name in names:
            is_any = operand.takes in ("*", "+") and len(names) == 1
            yield f"{at}:{'*' if is_any else number}", known.get(name, [])
            number += 1


def _values(option: Option, known: Known) -> list[str]:
    if option.choices:
        return list(option.choices)
    names = [*option.flags, option.metavar or ""]
    return next((known[name] for name in names if name in known), [])


def _contract_words(context: Context) -> Known:
    """The endpoints' paths and the models of the contract in the cache; nothing where there is none."""
    from ..contract import source

    contract = source.kept(context.client(with_secret=False))
    if contract is None:
        return {}
    from ..contract.describe import models
    from ..contract.schema import endpoints

    paths = dict.fromkeys(found.path for found in endpoints(contract.document))
    rows: list[dict[str, Any]] = models(contract.document)
    plain = [path for path in paths if _is_plain(path.replace("{", "").replace("}", ""))]
    names = [str(row["model"]) for row in rows if _is_plain(str(row["model"]))]
    ends = dict.fromkeys(end for row in rows for end in row["endpoints"] if _is_plain(end))
    return {"PATH": [path.replace("{", "").replace("}", "") for path in plain], "M": names, "ENDPOINT": list(ends)}


def _is_plain(word: str) -> bool:
    """Whether a word needs no quotes in any shell."""
    import re

    return re.fullmatch(r"[A-Za-z0-9/_.-]+", word, re.ASCII) is not None


COMMANDS = {
    "completions": Command(
        run,
        summary="print completions for a shell",
        operands=(
            Operand(
                "shell",
                "SHELL",
                help="bash, zsh or fish; the script's first lines say where it goes",
                read=one_of(*SHELLS),
            ),
        ),
        examples=tuple(("completions", shell) for shell in SHELLS),
        prints="a script",
    )
}
