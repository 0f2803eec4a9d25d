"""Completion in the shell: verbs here; keys and choices by Hydra, which composes what stands on the line already."""

from collections.abc import Sequence

LINE = 'eval "$(babelfit --completion)"'
"""For ~/.bashrc; for ~/.zshrc behind `autoload -U bashcompinit; bashcompinit`."""

_SCRIPT = """\
_babelfit() {
  local verb=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W "VERBS" -- "$word"))
    local one; for one in "${!COMPREPLY[@]}"; do COMPREPLY[one]+=' '; done
    return
  fi
  case $verb in
    plan | fetch) verb=train ;;
    train | evaluate) ;;
    *) return ;;
  esac
  local line="$verb ${COMP_LINE#*${COMP_WORDS[1]}}"
  COMPREPLY=($(compgen -W "$(COMP_LINE=$line babelfit "$verb" -sc query=bash 2> /dev/null)" -- "$word"))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _babelfit babelfit
"""


def script(verbs: Sequence[str]) -> str:
    """Return what the shell evaluates to complete the program."""
    return _SCRIPT.replace("VERBS", " ".join(verbs))
