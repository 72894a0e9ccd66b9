# Completion of longwave for bash 3.2 and later. The build fills in the commands.

# Bundled models, one a line, or those of a site.
_longwave_models() {
  if [[ -z $LONGWAVE_MODELS ]]; then
    printf '%s\n' @MODELS@
    return
  fi
  local config
  for config in "$LONGWAVE_MODELS"/*/config.json; do
    config=${config%/config.json}
    [[ -d $config ]] && printf '%s\n' "${config##*/}"
  done
}

# Sets kind and words to what may follow the flag $previous of $command (kind is flag where it takes no value), and below, flags
# and arguments to what may stand alone.
_longwave_expected() {
  case $command in
@COMMANDS@
  esac
}

_longwave() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  # bash takes --strand=both for three words.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi

  local command= longer i
  for ((i = 1; i < COMP_CWORD; i++)); do
    longer="$command${command:+ }${COMP_WORDS[i]}"
    case $longer in
      @KNOWN@) command=$longer ;;
      *) break ;;
    esac
  done

  local kind=flag words= below= flags= arguments=none
  _longwave_expected
  if [[ $kind == flag ]]; then
    if [[ -n $below ]]; then
      kind=words words=$below
    elif [[ $current == -* ]]; then
      kind=words words=$flags
    else
      kind=$arguments
    fi
  fi

  COMPREPLY=()
  local reply
  while IFS= read -r reply; do
    [[ $reply == "$current"* ]] && COMPREPLY+=("$reply")
  done < <(
    case $kind in
      words) printf '%s\n' $words ;;
      model) _longwave_models && compgen -d -- "$current" ;;
      folder) compgen -d -- "$current" ;;
      file) compgen -f -- "$current" ;;
    esac
  )
  # Where nothing is found bash looks for files itself, which it must not where a number is expected. bash 3.2 cannot be told.
  case $kind in
    model | folder | file) compopt -o filenames 2>/dev/null ;;
    none) compopt +o bashdefault +o default 2>/dev/null ;;
  esac
  return 0
}

complete -o bashdefault -o default -F _longwave longwave
