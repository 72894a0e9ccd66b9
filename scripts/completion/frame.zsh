#compdef longwave
# Completion of longwave for zsh. The build fills in the commands.

# Bundled models, or those of a site, and folders.
__longwave_model() {
  local -a models=(@MODELS@)
  [[ -n $LONGWAVE_MODELS ]] && models=($LONGWAVE_MODELS/*/config.json(N:h:t))
  _alternative 'models:model:compadd -a models' 'folders:model folder:_files -/'
}

# Completes one of the words name:description.
__longwave_words() {
  local -a described=("$@")
  _describe command described
}

# Goes on with the function of the command or topic $1 that the first word belongs to.
__longwave_below() {
  local word=$words[1]
  (( $+functions[_longwave${1:+_}$1_$word] )) && _longwave${1:+_}$1_$word
}

@COMMANDS@

# Read as a function of $fpath this file is the function; else it is sourced.
if [[ $funcstack[1] == _longwave ]]; then
  _longwave "$@"
else
  compdef _longwave longwave
fi
