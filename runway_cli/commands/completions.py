"""`completions`: a script for bash, zsh or fish, generated from the parser.

Each script walks over the words before the cursor to the place where it stands, and offers what one table has for it:
"--option" (its value), "command:0" (an operand, "*" any), "command-" (its own options). The table's words stand for
themselves, but for FILE, @FILE and KEY=FILE, which are files, alone or behind a mark.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ..client import Arguments as GlobalArguments
    from ..parser import Parser

    class Arguments(GlobalArguments):
        shell: str


SHELLS = ("bash", "zsh", "fish")
FILES = {"--body": "@FILE", "--download": "FILE", "--to": "FILE", "FILE": "FILE", "KEY=FILE": "KEY=FILE"}


def configure(parser: Parser) -> None:
    parser.operands = "SHELL"
    parser.examples = tuple(("completions", shell) for shell in SHELLS)
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS,
                        help="bash, zsh or fish; the script's first lines say where it goes")
    parser.set_defaults(run=run)


def run(args: Arguments) -> int:
    """Prints the script."""
    args.console.write(script(args.shell))
    return 0


def script(shell: str) -> str:
    """The completions for one of SHELLS."""
    from ..parser import root

    parsers = list(every(root()))
    table = {place: words for parser in parsers for place, words in _places(parser) if words}
    valued = dict.fromkeys(name for parser in parsers for action in parser._actions if action.nargs != 0
                           for name in action.option_strings)
    steps = [_step(parser) for parser in parsers if parser.path]
    if shell == "fish":
        lines = [f"case '{place}'\n            __runway_cli_offer {' '.join(words)}" for place, words in table.items()]
        return _filled(_FISH, " ".join(valued), " ".join(steps), ("\n" + " " * 8).join(lines))
    lines = [f"{place}) _runway_cli_offer {' '.join(words)} ;;" for place, words in table.items()]
    template = {"bash": _BASH, "zsh": _ZSH}[shell].replace("@WALK@", _WALK)
    return _filled(template, "|".join(valued), "|".join(steps), "\n    ".join(lines))


def _filled(template: str, valued: str, steps: str, table: str) -> str:
    return template.replace("@VALUED@", valued).replace("@STEPS@", steps).replace("@TABLE@", table)


def every(parser: Parser) -> Iterator[Parser]:
    """A parser and all below it."""
    parser.complete()
    yield parser
    for child in parser.children():
        yield from every(child)


def _step(parser: Parser) -> str:
    return "/" + parser.path.replace(" ", "/")


def _places(parser: Parser) -> Iterator[tuple[str, list[str]]]:
    """What is offered where, for one command; the options that all have are the program's own."""
    at = _step(parser) if parser.path else ""
    actions = [action for action in parser._actions if action is not parser.nested]
    for action in actions:
        for name in action.option_strings:
            yield name, [] if action.nargs == 0 else _offered(action, name, str(action.metavar))
    number = 0
    for action in actions:
        for name in [] if action.option_strings else str(action.metavar).split():
            endless = action.nargs in ("*", "+") and name == str(action.metavar)
            yield f"{at}:{'*' if endless else number}", _offered(action, name)
            number += 1
    own = parser.own._group_actions if at else actions
    yield f"{at}-", [name for action in own for name in action.option_strings]
    if parser.nested:
        yield f"{at}:0", list(parser.nested.choices)


def _offered(action: argparse.Action, *names: str) -> list[str]:
    from ..client import METHODS
    from .skill import HOSTS

    if action.choices is not None:
        return list(map(str, action.choices))
    known = {**{name: [files] for name, files in FILES.items()}, "HOST": [*HOSTS, "FILE"], "METHOD": list(METHODS)}
    return next((known[name] for name in names if name in known), [])


_WALK = """\
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

_BASH = """\
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

_ZSH = """\
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

_FISH = """\
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
