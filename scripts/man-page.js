// longwave.1, the page of `man longwave`: every command with its flags, and what the shell sees of all of them.

/** Meaning of the exit codes (src/errors.ts). */
const exitCodes = [
  [0, 'done'],
  [1, 'a bug: please report it'],
  [2, 'usage: a flag, a value or a command that does not exist'],
  [65, 'bad data'],
  [66, 'an input is missing or cannot be read'],
  [69, 'a model, a device or a helper program is not available'],
  [73, 'an output cannot be created, or exists already'],
  [74, 'reading or writing failed'],
  ['129, 130, 143', 'hung up, interrupted, terminated'],
]

const environment = [
  ['LONGWAVE_THREADS', 'worker threads, where --threads does not say'],
  ['LONGWAVE_MODELS', 'a folder that replaces that of the bundled models'],
  ['HF_HOME', 'the folder of models from the hub of Hugging Face, and of the login there'],
  ['HF_TOKEN', 'the token of the hub, for gated and private models'],
  ['HF_ENDPOINT', 'another hub'],
  ['HF_HUB_OFFLINE', '1: the hub is not asked'],
  ['NO_COLOR', 'no colours'],
]

/** The page in the man macros of roff; without a date, so that the same sources give the same bytes. */
export function manPage(config) {
  const { version, pjson } = config
  const commands = config.commands
    .filter(({ hidden, id }) => !hidden && id !== 'help')
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  return [
    `.TH LONGWAVE 1 "" "longwave ${version}" "User Commands"`,
    '.SH NAME',
    'longwave \\- selective state space models (Mamba) on DNA and audio',
    '.SH SYNOPSIS',
    '.B longwave',
    '.I command',
    '[\\fIflags\\fR] [\\fIfiles\\fR]',
    '.br',
    '.B longwave',
    '.I command',
    '.B \\-\\-help',
    '.SH DESCRIPTION',
    text(pjson.description),
    '.PP',
    text('Data goes to standard output or to the file of --output, everything else to standard error.'),
    text("'-' or no input is standard input. An output appears whole or not at all."),
    '.SH COMMANDS',
    ...commands.flatMap(commandSection),
    '.SH "EXIT STATUS"',
    ...exitCodes.flatMap(item),
    '.SH ENVIRONMENT',
    ...environment.flatMap(item),
    '.SH "SEE ALSO"',
    text('The folder docs/ of the package: input, models, training, workflows, benchmarks.'),
    '.br',
    text(pjson.homepage),
    '',
  ].join('\n')
}

function commandSection({ id, description, args, flags, examples = [] }) {
  const name = `longwave ${id.replaceAll(':', ' ')}`
  const shown = (example) => example.replaceAll('<%= config.bin %>', 'longwave')
  return [
    `.SS "${text(name)}"`,
    text(description),
    ...Object.values(args).flatMap((arg) => item([arg.name, argumentText(arg)])),
    ...Object.values(flags).flatMap((flag) => item([flagName(flag), flagText(flag)])),
    ...(examples.length === 0 ? [] : ['.PP', 'Examples:']),
    ...examples.flatMap((example) => ['.PP', '.nf', '.RS 4', text(shown(example)), '.RE', '.fi']),
  ]
}

const item = ([term, meaning]) => ['.TP', `.B "${text(String(term))}"`, text(meaning)]

function flagName({ name, char, type, allowNo, options, helpValue }) {
  const long = `--${allowNo ? '[no-]' : ''}${name}`
  const value = type === 'boolean' ? '' : ` ${options ? options.join('|') : (helpValue ?? 'TEXT')}`
  return `${char ? `-${char}, ` : ''}${long}${value}`
}

function flagText({ description, required, default: value }) {
  const notes = [...(required ? ['required'] : []), ...(value === undefined ? [] : [`default: ${value}`])]
  return `${description}${notes.map((note) => ` [${note}]`).join('')}`
}

const argumentText = ({ description, options }) => `${description}${options ? `: ${options.join(', ')}` : ''}`

/** Text as roff takes it: no escapes, hyphens that can be copied, no line that is taken for a request. */
const text = (plain) =>
  plain
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replace(/^(?=[.'])/, '\\&')
