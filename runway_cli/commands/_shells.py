"""The completion scripts as templates: @VALUED@, @STEPS@ and @TABLE@ are filled in by `completions`."""

from __future__ import annotations

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
