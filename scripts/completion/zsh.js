// The completion for zsh: scripts/completion/frame.zsh with one function for each command and topic filled in.

/** @param {import('./commands.js').Entry[]} entries */
export function zshCompletion(frame, entries, models) {
  return frame
    .replace('@MODELS@', models.join(' '))
    .replace('@COMMANDS@', () =>
      entries
        .map((entry) => (entry.below.length > 0 ? topicFunction(entry, entries) : commandFunction(entry)))
        .join('\n\n'),
    )
}

const functionName = (name) => ['_longwave', ...name.split(' ')].filter((part) => part !== '').join('_')

function topicFunction({ name, below }, entries) {
  const described = below.map((word) => {
    const entry = entries.find((other) => other.name === `${name} ${word}`.trim())
    return quote(`${word}:${entry.description}`)
  })
  return `${functionName(name)}() {
  local curcontext=$curcontext state line
  local -A opt_args
  _arguments -C '1: :->word' '*:: :->rest'
  case $state in
    word) __longwave_words \\
      ${described.join(' \\\n      ')} ;;
    rest) __longwave_below ${quote(name.replaceAll(' ', '_'))} ;;
  esac
}`
}

function commandFunction({ name, flags, args }) {
  const specs = [...flags.map(flagSpec), "'(- *)'{-h,--help}'[show help]'"]
  if (args) specs.push(quote(`${args.words ? '1' : '*'}: :${action(args)}`))
  return `${functionName(name)}() {
  _arguments -s -S \\
    ${specs.join(' \\\n    ')}
}`
}

function flagSpec({ names, description, value }) {
  const taking = value === null ? names : names.map((name) => (name.startsWith('--') ? `${name}=` : `${name}+`))
  const written = taking.length === 1 ? taking[0] : `${quote(`(${names.join(' ')})`)}{${taking.join(',')}}`
  const about = `[${description.replaceAll(/[\]\\[:]/g, '\\$&')}]`
  return `${written}${quote(value === null ? about : `${about}:${names.at(-1).slice(2)}:${action(value)}`)}`
}

function action({ kind, words }) {
  switch (kind) {
    case 'words':
      return `(${words.join(' ')})`
    case 'model':
      return '__longwave_model'
    case 'folder':
      return '_files -/'
    case 'file':
      return '_files'
    default:
      return ' '
  }
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`
