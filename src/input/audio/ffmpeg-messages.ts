export const noSound = 'no sound in this file'

/** What ffmpeg says when it is the cause, and how we say it; the third: where the input is a pipe. */
const causes: [RegExp, string, string?][] = [
  [/Stream map .* matches no streams|does not contain any stream/, noSound],
  [
    /moov atom not found|partial file/,
    'cut off: its index or its samples are missing',
    'its index is missing or at its end: on standard input it must come first, give the file by its name',
  ],
  [/Decoder \(codec .+\) not found|Unknown decoder/, 'this ffmpeg has no decoder for it'],
]

/** Says only that something failed. */
const general =
  /^(Invalid data found when processing input|Input\/output error|End of file|Conversion failed!)$|Error while decoding stream|Error opening input|To ignore this/

/** Of 100, below this ffmpeg's guess of a format is none: samples without a header get 5. */
const leastScore = 25

/** What concerns the picture that goes nowhere. */
const nowhere = /^\[(out#\d+\/)?null @/

const marked = /^(?:\[[^\]]* @ 0x[0-9a-f]+\] )?\[(panic|fatal|error|warning|info|verbose|debug|trace)\] /

/** Collects what ffmpeg says on its standard error, line by line, with the marks of `-v level`. */
export class Messages {
  /** It took the file for something that it is not likely to be. */
  guessed = false
  /** What failed, as far as a line says it. */
  cause: string | undefined
  private hasMarks = false
  private undecoded = false
  private specific: string | undefined
  private last: string | undefined

  /** `input`: as ffmpeg was given it. */
  constructor(private readonly input: string) {}

  take(line: string): void {
    if (nowhere.test(line)) return
    const [mark, level = 'error'] = marked.exec(line) ?? ['']
    // A line without a mark goes on from one before: text out of the file. A program in ffmpeg's place may have no
    // marks.
    if (mark !== '') this.hasMarks = true
    else if (this.hasMarks) return
    const text = line.slice(mark.length).replace(`${this.input}: `, '').trim()
    const score = level === 'warning' && /detected only with low score of (\d+)/.exec(text)?.[1]
    if (score && Number(score) < leastScore) this.guessed = true
    if (!['panic', 'fatal', 'error'].includes(level) || text === '') return
    this.last = text
    this.undecoded ||= text.startsWith('Error while decoding stream')
    const [, file, pipe] = causes.find(([pattern]) => pattern.test(text)) ?? []
    this.cause ??= (this.input === 'pipe:0' && pipe) || file
    if (!general.test(text)) this.specific = text
  }

  /** Why there is no sample: the cause, or the last line that says more than that something failed. */
  get failure(): string | undefined {
    return this.cause ?? (this.undecoded ? 'nothing in it can be decoded: it is damaged or encrypted' : this.damage)
  }

  /** What is wrong with a file that was read in part. */
  get damage(): string | undefined {
    return this.specific ?? this.last
  }
}
