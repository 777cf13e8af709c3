"""`completions`: a script for bash, zsh or fish, generated from the parser.

The three scripts go the same way: over the words before the cursor, to find which command this is, how many operands
it has already and whether an option waits for its value; then they offer what the tables in them hold for that place.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..client import Arguments as GlobalArguments
    from ..parser import Parser

    class Arguments(GlobalArguments):
        shell: str

    _Row = tuple[str, str]  # a word and its summary


SHELLS = ("bash", "zsh", "fish")
FILE, KEY_FILE, AT_FILE = "FILE", "KEY=FILE", "@FILE"


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
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands())


@dataclass(frozen=True)
class Offer:
    """What may stand in a place: one of `words`, else `files`: FILE, KEY=FILE, @FILE or nothing."""

    words: tuple[str, ...] = ()
    files: str = ""


@dataclass(frozen=True)
class Option:
    """An option under all its names; `value` is None where it takes none."""

    names: tuple[str, ...]
    summary: str
    value: Offer | None


@dataclass(frozen=True)
class Command:
    """A command by its `path`, as in "avatars list"; `path` is empty for the program itself.

    `operands` has what each position takes; `endless` means that the last one takes any number of words.
    """

    path: str
    summary: str
    options: tuple[Option, ...]
    operands: tuple[Offer, ...]
    endless: bool
    nested: tuple[Command, ...]


def commands() -> Command:
    """The whole tree, read from the parser."""
    from ..parser import root

    return _command(root())


def _command(parser: Parser) -> Command:
    parser.complete()
    actions = [action for action in parser._actions if action is not parser.nested]
    operands = [action for action in actions if not action.option_strings]
    options = [action for action in actions if action.option_strings]
    return Command(
        path=parser.path,
        summary=(parser.description or "").splitlines()[0],
        options=tuple(Option(tuple(action.option_strings), _summary(action), _value(action)) for action in options),
        operands=tuple(_offer(action, name) for action in operands for name in str(action.metavar).split()),
        endless=bool(operands) and operands[-1].nargs in ("*", "+"),
        nested=tuple(map(_command, parser.children())),
    )


def _summary(action: argparse.Action) -> str:
    return (action.help or "").partition(" [env:")[0].replace("%%", "%")


def _value(action: argparse.Action) -> Offer | None:
    return None if action.nargs == 0 else _offer(action, str(action.metavar))


def _offer(action: argparse.Action, value: str) -> Offer:
    """By the choices that the parser knows, else by the option's name or what help calls its `value`."""
    from ..client import METHODS
    from .skill import HOSTS

    known = {
        "--body": Offer(files=AT_FILE),
        "--download": Offer(files=FILE),
        "--to": Offer(files=FILE),
        "FILE": Offer(files=FILE),
        "HOST": Offer(tuple(HOSTS), FILE),
        "KEY=FILE": Offer(files=KEY_FILE),
        "METHOD": Offer(METHODS),
    }
    if action.choices is not None:
        return Offer(tuple(map(str, action.choices)))
    for name in (*action.option_strings, value):
        if name in known:
            return known[name]
    return Offer()


def _all(command: Command) -> Iterator[Command]:
    yield command
    for child in command.nested:
        yield from _all(child)


def _values(root: Command) -> dict[str, Offer]:
    """Every option that takes a value, by each of its names: a name means the same with every command."""
    return {name: option.value for command in _all(root) for option in command.options if option.value is not None
            for name in option.names}


def _places(command: Command) -> dict[str, Offer]:
    """The operands of a command: a shell's pattern for "PATH:NUMBER" and what is offered there."""
    last = len(command.operands) - 1
    return {f'"{command.path}:"*' if command.endless and number == last else f'"{command.path}:{number}"': offer
            for number, offer in enumerate(command.operands) if offer != Offer()}


def _step(command: Command) -> str:
    """What the scripts look at to recognise a command: the path so far, a space, the word."""
    return command.path if " " in command.path else f" {command.path}"


def _quoted(text: str) -> str:
    """Text in single quotes, for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _by_offer(values: dict[str, Offer]) -> dict[Offer, list[str]]:
    """The names that are answered alike, together."""
    found: dict[Offer, list[str]] = {}
    for name, offer in values.items():
        if offer != Offer():
            found.setdefault(offer, []).append(name)
    return found


class _Tables:
    """What one shell's script looks up: a pattern of its `case`, and the command that answers it.

    `render` writes the command for an Offer, `listed` the one for (word, summary) pairs.
    """

    def __init__(self, root: Command, render: Callable[[Offer], str], listed: Callable[[Sequence[_Row]], str]) -> None:
        every = list(_all(root))
        self.valued = list(_values(root))
        self.steps = [_quoted(_step(command)) for command in every if command.path]
        self.values = {tuple(names): render(offer) for offer, names in _by_offer(_values(root)).items()}
        self.places = {place: render(offer) for command in every for place, offer in _places(command).items()}
        self.options = {}
        for command in every:
            own = [option for option in command.options if option not in root.options]
            if own:
                self.options[_quoted(command.path)] = listed(_rows(own))
            if command.nested:
                self.places[f'"{command.path}:0"'] = listed([(child.path.split()[-1], child.summary)
                                                             for child in command.nested])
        self.common = listed(_rows(root.options))


def _rows(options: Sequence[Option]) -> list[_Row]:
    return [(name, option.summary) for option in options for name in option.names]


def _filled(template: str, indent: int, **tables: Sequence[str]) -> str:
    """The template with each @NAME@ replaced by that table's lines."""
    for name, lines in tables.items():
        template = template.replace(f"@{name.upper()}@", ("\n" + " " * indent).join(lines))
    return template


def _with_cases(template: str, tables: _Tables) -> str:
    """The script of bash or zsh, which write `case` alike."""
    return _filled(
        template, 4,
        valued=["|".join(tables.valued) + ") option=$1 ;;"],
        steps=["|".join(tables.steps) + ') at="${at:+$at }$1" operands=0 ;;'],
        values=[f"{'|'.join(names)}) {body} ;;" for names, body in tables.values.items()],
        places=[f"{place}) {body} ;;" for place, body in tables.places.items()],
        options=[f"{path}) {body} ;;" for path, body in tables.options.items()],
        common=[tables.common])


def _bash(root: Command) -> str:
    def words(offered: Sequence[str]) -> str:
        return f'_runway_cli_words {_quoted(" ".join(offered))} "$1" "$2"'

    def render(offer: Offer) -> str:
        files = {
            FILE: '_runway_cli_files "$1" "$2"',
            AT_FILE: '_runway_cli_files_behind @ "$1" "$2"',
            KEY_FILE: '_runway_cli_files_behind = "$1" "$2"',
        }.get(offer.files, "")
        return " || ".join(filter(None, (words(offer.words) if offer.words else "", files)))

    return _with_cases(_BASH, _Tables(root, render, lambda rows: words([word for word, _ in rows])))


def _zsh(root: Command) -> str:
    def render(offer: Offer) -> str:
        files = {
            FILE: "_files",
            AT_FILE: "compset -P @ && _files",
            KEY_FILE: "compset -P 1 '*=' && _files",
        }.get(offer.files, "")
        words = "compadd -- " + " ".join(offer.words) if offer.words else ""
        return " || ".join(filter(None, (words, files)))

    def listed(rows: Sequence[_Row]) -> str:
        return "offers+=(" + " ".join(_quoted(f"{word}:{summary}") for word, summary in rows) + ")"

    return _with_cases(_ZSH, _Tables(root, render, listed))


def _fish(root: Command) -> str:
    def render(offer: Offer) -> str:
        files = {
            FILE: '__runway_cli_files "$argv[1]" "$argv[2]"',
            AT_FILE: '__runway_cli_files_behind @ "$argv[1]" "$argv[2]"',
            KEY_FILE: '__runway_cli_files_behind = "$argv[1]" "$argv[2]"',
        }.get(offer.files, "")
        words = f'__runway_cli_words "$argv[1]" "$argv[2]" {" ".join(offer.words)}' if offer.words else ""
        return "; or ".join(filter(None, (words, files)))

    def listed(rows: Sequence[_Row]) -> str:
        return r"printf '%s\t%s\n' " + " ".join(f"{word} {_fish_quoted(summary)}" for word, summary in rows)

    def case(pattern: str, body: str) -> str:
        return f"case {pattern}\n            {body}"

    tables = _Tables(root, render, listed)
    return _filled(
        _FISH, 8,
        valued=[" ".join(tables.valued)],
        steps=[" ".join(tables.steps)],
        values=[case(" ".join(names), body) for names, body in tables.values.items()],
        places=[case(place.replace('"*', '*"'), body) for place, body in tables.places.items()],
        options=[case(path, body) for path, body in tables.options.items()],
        common=[tables.common])


_BASH = """\
# Completions of runway-cli for bash. Now: source <(runway-cli completions bash)
# Always: runway-cli completions bash > ~/.local/share/bash-completion/completions/runway-cli

_runway_cli_words() { # WORDS BEFORE TYPED: those that begin as typed, with what stands before it in the same word
  local word found=1
  while IFS= read -r word; do offers+=("$2$word") found=0; done < <(compgen -W "$1" -- "$3")
  return "$found"
}

_runway_cli_files() { # BEFORE TYPED: the files, alike
  local file typed=${2#[\\"\\']}
  compopt -o filenames 2>/dev/null # bash 3 has none: it quotes nothing there
  while IFS= read -r file; do offers+=("$1$file"); done < <(compgen -f -- "${typed//\\\\/}")
}

_runway_cli_files_behind() { # MARK BEFORE TYPED: the files behind the first mark
  [[ $3 == *"$1"* ]] && _runway_cli_files "$2${3%%"$1"*}$1" "${3#*"$1"}"
}

_runway_cli_value() { # BEFORE TYPED OPTION: what may stand behind an option
  case $3 in
    @VALUES@
  esac
}

_runway_cli_operand() { # BEFORE TYPED PLACE: what may stand as an operand, or as a command
  case $3 in
    @PLACES@
  esac
}

_runway_cli_option() { # BEFORE TYPED COMMAND
  @COMMON@
  case $3 in
    @OPTIONS@
  esac
}

_runway_cli_look() { # WORD: takes a word that stands before the cursor into account
  if [[ -n $option ]]; then option=""; return; fi
  case $1 in
    @VALUED@
    -?*) ;;
    *) _runway_cli_step "$1" ;;
  esac
}

_runway_cli_step() { # WORD: alike, where it is no option and no option's value
  case "$at $1" in
    @STEPS@
    *) operands=$((operands + 1)) ;;
  esac
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

  local at="" operands=0 option="" offers=() typed=${words[last]} shown=${COMP_WORDS[COMP_CWORD]}
  if [[ $typed == [\\"\\']* ]]; then typed=${typed:1} shown=${shown#[\\"\\']}; fi
  for ((i = 0; i < last; i++)); do _runway_cli_look "${words[i]}"; done
  if [[ -n $option ]]; then
    _runway_cli_value "" "$typed" "$option"
  elif [[ $typed == --*=* ]]; then
    _runway_cli_value "${typed%%=*}=" "${typed#*=}" "${typed%%=*}"
  elif [[ $typed == -* ]]; then
    _runway_cli_option "" "$typed" "$at"
  else
    _runway_cli_operand "" "$typed" "$at:$operands"
  fi

  # The shell replaces only the last of the parts that it took the word apart into, with the @ before it.
  [[ $shown == [=:] ]] && shown=""
  local before=${typed%"$shown"}
  COMPREPLY=("${offers[@]#"${before%@}"}")
}

complete -F _runway_cli runway-cli
"""

_ZSH = """\
#compdef runway-cli
# Completions of runway-cli for zsh. Now: source <(runway-cli completions zsh)
# Always: runway-cli completions zsh > a folder of $fpath, as _runway-cli

_runway_cli_value() { # OPTION: what may stand behind it
  case $1 in
    @VALUES@
  esac
}

_runway_cli_operand() { # PLACE: what may stand as an operand, or as a command
  local -a offers
  case $1 in
    @PLACES@
  esac
  (( $#offers )) && _describe command offers
}

_runway_cli_option() { # COMMAND
  local -a offers
  @COMMON@
  case $1 in
    @OPTIONS@
  esac
  _describe -o option offers
}

_runway_cli_look() { # WORD: takes a word that stands before the cursor into account
  if [[ -n $option ]]; then option=""; return; fi
  case $1 in
    @VALUED@
    -?*) ;;
    *) _runway_cli_step "$1" ;;
  esac
}

_runway_cli_step() { # WORD: alike, where it is no option and no option's value
  case "$at $1" in
    @STEPS@
    *) operands=$((operands + 1)) ;;
  esac
}

_runway_cli() {
  local at="" option="" typed=$PREFIX
  local -i operands=0 i
  for ((i = 2; i < CURRENT; i++)); do _runway_cli_look "${(Q)words[i]}"; done
  if [[ -n $option ]]; then
    _runway_cli_value "$option"
  elif [[ $typed == --*=* ]]; then
    compset -P 1 '*='
    _runway_cli_value "${typed%%=*}"
  elif [[ $typed == -* ]]; then
    _runway_cli_option "$at"
  else
    _runway_cli_operand "$at:$operands"
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

function __runway_cli_words # BEFORE TYPED WORDS...: those that begin as typed, with what stands before it in the token
    set -l found 1
    for word in $argv[3..-1]
        if string match -q -- "$argv[2]*" $word
            printf '%s\\n' $argv[1]$word
            set found 0
        end
    end
    return $found
end

function __runway_cli_files # BEFORE TYPED: the files, alike
    for file in (__fish_complete_path $argv[2])
        printf '%s\\n' $argv[1]$file
    end
end

function __runway_cli_files_behind # MARK BEFORE TYPED: the files behind the first mark
    set -l parts (string split -m 1 -- $argv[1] $argv[3])
    and __runway_cli_files $argv[2]$parts[1]$argv[1] "$parts[2]"
end

function __runway_cli_value # BEFORE TYPED OPTION: what may stand behind an option
    switch $argv[3]
        @VALUES@
    end
end

function __runway_cli_operand # BEFORE TYPED PLACE: what may stand as an operand, or as a command
    switch $argv[3]
        @PLACES@
    end
end

function __runway_cli_option # COMMAND
    @COMMON@
    switch $argv[1]
        @OPTIONS@
    end
end

function __runway_cli
    set -l at
    set -l operands 0
    set -l option
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if test -n "$option"
            set option
        else if contains -- $word @VALUED@
            set option $word
        else if string match -q -- '-?*' $word
            continue
        else if contains -- "$at $word" @STEPS@
            set at (string trim -- "$at $word")
            set operands 0
        else
            set operands (math $operands + 1)
        end
    end
    set -l typed (commandline -ct | string replace -r '^["\\']' '' | string unescape)
    if test -n "$option"
        __runway_cli_value "" "$typed" $option
    else if string match -q -- '--*=*' $typed
        set -l parts (string split -m 1 = -- $typed)
        __runway_cli_value $parts[1]= "$parts[2]" $parts[1]
    else if string match -q -- '-*' $typed
        __runway_cli_option "$at"
    else
        __runway_cli_operand "" "$typed" "$at:$operands"
    end
end

complete -c runway-cli -f -a '(__runway_cli)'
"""
