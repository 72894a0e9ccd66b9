/** Commands that one submit may hold: about two chunks of a large model. */
const mostAtOnce = 1024
/** Until it is known how fast the GPU is. */
const firstAtOnce = 4
/** Milliseconds that a submit should take of a GPU for which that many commands are too much: handing it over takes 0.1. */
const longest = 100
/** Milliseconds of work that tell how fast the GPU is. */
const telling = 50
/** Submits that may wait for the GPU. */
const mostBehind = 4

/**
 * How far commands run ahead of the GPU. What waits for it takes memory, and cannot be taken back: a process that is to end has to wait for
 * it, and the same commands are a twentieth of a second on a card and a minute on a processor that plays one.
 */
export class Pace {
  /** Commands that the next submit may hold. */
  atOnce = firstAtOnce
  /** When each submit that the GPU may still be at is over, the oldest first. */
  private readonly behind: Promise<void>[] = []
  /** When the latest was. */
  private over = 0
  /** Of late: milliseconds of work, and the commands that it took them for. */
  private worked = 0
  private commands = 0

  /** `done` settles when the GPU is through with a submit of so many commands. */
  submitted(commands: number, done: Promise<unknown>): void {
    const submitted = performance.now()
    const learn = () => {
      const now = performance.now()
      // It began behind the submit before it.
      this.learn(commands, now - Math.max(submitted, this.over))
      this.over = now
    }
    this.behind.push(done.then(learn, () => {})) // what went wrong is told by `check`
  }

  /** Waits while the GPU is far behind. */
  async wait(): Promise<void> {
    while (this.behind.length > Math.min(mostBehind, this.atOnce)) await this.behind.shift()
  }

  /** The GPU is through with all of them. */
  caughtUp(): void {
    this.behind.length = 0
  }

  /** Of several submits that are found to be over at a time, the first seems to have taken all of it: they are added up. */
  private learn(commands: number, milliseconds: number): void {
    this.worked += milliseconds
    this.commands += commands
    if (this.worked < telling) return
    this.atOnce = Math.min(mostAtOnce, Math.max(1, Math.floor((this.commands * longest) / this.worked)))
    this.worked = 0
    this.commands = 0
  }
}
