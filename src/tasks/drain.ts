import type { Output } from '../output/output.js'
import type { Progress } from '../shell/progress.js'
import type { ResumeFolder } from './resume/folder.js'
import type { LeftOutCount, Run } from './run.js'

/** Gives all results to `take`, with progress and a last line; when it fails, `abort` removes what was begun. */
export async function drain<Result>(
  { run, resume }: { run: Run<Result>; resume?: ResumeFolder },
  progress: Progress,
  take: (result: Result) => Promise<void>,
  finish: () => Promise<void>,
  abort: () => Promise<void>,
  /** How many results say nothing, and why. */
  unclassified: () => LeftOutCount[] = () => [],
): Promise<void> {
  const began = performance.now()
  const text = (over?: boolean) => run.progress((performance.now() - began) / 1000, over)
  const advise = () => {
    if (resume?.advice) progress.note(resume.advice)
  }
  // A signal ends the process.
  process.on('exit', advise)
  try {
    for await (const result of run.results()) {
      await take(result)
      progress.tick(() => text())
    }
    await finish()
    await resume?.remove()
  } catch (error) {
    await abort()
    await resume?.keep()
    advise()
    throw error
  } finally {
    process.off('exit', advise)
  }
  progress.done(
    [
      text(true),
      ...listed('unclassified', unclassified()),
      ...listed('left out', run.leftOut()),
      ...(resume?.resumed ? [resumedText(resume)] : []),
    ].join('; '),
  )
}

/** The same where each result is a row of one output. */
export const drainRows = <Result>(
  opened: { run: Run<Result>; resume?: ResumeFolder },
  progress: Progress,
  rows: { write(result: Result): Promise<void>; end(): Promise<void> },
  output: Output,
): Promise<void> =>
  drain(
    opened,
    progress,
    (result) => rows.write(result),
    async () => {
      await rows.end()
      await output.close()
    },
    () => output.abort(),
  )

function resumedText({ known, asked, passes }: ResumeFolder): string {
  const layers = passes > 0 ? `, and ${passes} passes over layers of longer ones` : ''
  return `${known} of ${asked} pieces were computed before${layers}`
}

function listed(title: string, counts: LeftOutCount[]): string[] {
  const some = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
  return some.length > 0 ? [`${title}: ${some.join(', ')}`] : []
}
