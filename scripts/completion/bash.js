// The completion for bash: scripts/completion/frame.bash with the commands filled in.

/** @param {import('./commands.js').Entry[]} entries */
export function bashCompletion(frame, entries, models) {
  const known = entries.map(({ name }) => name).filter((name) => name !== '')
  return frame
    .replace('@MODELS@', models.join(' '))
    .replace('@KNOWN@', known.map(quote).join(' | '))
    .replace('@COMMANDS@', entries.map(commandCase).join('\n'))
}

function commandCase({ name, below, flags, args }) {
  const lines = [`    ${quote(name)})`]
  if (below.length > 0) lines.push(`      below=${quote(below.join(' '))}`)
  if (flags.length > 0)
    lines.push(`      flags=${quote([...flags.flatMap(({ names }) => names), '-h', '--help'].join(' '))}`)
  const values = valueCases(flags)
  if (values.length > 0) lines.push('      case $previous in', ...values, '      esac')
  // Words of an argument are taken from `words`, which no flag has set where an argument stands.
  if (args)
    lines.push(`      arguments=${args.kind}${args.words ? ` words=\${words:-${quote(args.words.join(' '))}}` : ''}`)
  return [...lines, '      ;;'].join('\n')
}

/** One line for all flags that take the same. */
function valueCases(flags) {
  const sets = new Map()
  for (const { names, value } of flags) {
    if (value === null) continue
    const setting = `kind=${value.kind}${value.words ? ` words=${quote(value.words.join(' '))}` : ''}`
    sets.set(setting, [...(sets.get(setting) ?? []), ...names])
  }
  return [...sets].map(([setting, names]) => `        ${names.join(' | ')}) ${setting} ;;`)
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`
