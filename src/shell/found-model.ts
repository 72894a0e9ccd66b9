import type { PullWatcher } from '../checkpoints/hub/client.js'
import { Progress, type ProgressFlags, progressStyle, pullProgress, quantity } from './progress.js'

/** The folder of the model that a command is given, brought into the cache with progress if it is one of the hub. Errors: as `modelFolder`. */
export async function foundModel(
  name: string | undefined,
  flags: ProgressFlags,
  note: (line: string) => void,
): Promise<string> {
  const { modelFolder } = await import('../checkpoints/catalogue.js')
  return watched(name ?? '', flags, note, (watcher) => modelFolder(name, watcher))
}

/** Lets `pull` run with its lines and its progress on standard error. */
export async function watched<T>(
  name: string,
  flags: ProgressFlags,
  note: (line: string) => void,
  pull: (watcher: PullWatcher) => Promise<T>,
): Promise<T> {
  const lines: Promise<Progress>[] = []
  let line: Progress | null = null
  let [began, came] = [0, 0]
  const watcher: PullWatcher = {
    note: flags.quiet ? undefined : (text) => (line === null ? note(text) : line.note(text)),
    progress(bytes, total, before) {
      // With the first bytes: where everything is there, there is nothing to show.
      if (lines.length === 0) {
        began = performance.now()
        lines.push(Progress.start(progressStyle(flags, false)))
        void lines[0].then((started) => {
          line = started
        })
      }
      came = bytes - before
      line?.tick(() => pullProgress(name, { bytes, total, came, seconds: (performance.now() - began) / 1000 }))
    },
  }
  try {
    const result = await pull(watcher)
    for (const started of lines) (await started).done(`${name}: ${quantity(came, 'B')} pulled`)
    return result
  } finally {
    for (const started of lines) (await started).stop()
  }
}
