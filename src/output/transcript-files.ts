import { mkdir, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { exitCodes, UserError } from '../errors.js'
import { type Output, openOutput } from './output.js'
import { cannotCreate, existsAlready, type OutputOptions } from './sink.js'
import type { Cue } from './subtitles.js'
import { type TranscriptFormat, type TranscriptWriter, transcripts } from './transcripts.js'

/** Where transcripts go, those of one recording after those of another. */
export interface TranscriptFiles {
  /** The next words of the recording number `index`; none that is still to come begins before `until`. */
  write(index: number, words: readonly Cue[], until: number): Promise<void>
  /** The recording is over; `whole`: it was read to its end. */
  close(index: number, whole: boolean): Promise<void>
  /** All are over. */
  finish(): Promise<void>
  /** Leaves nothing behind but what is finished. */
  abort(): Promise<void>
}

export interface FileOptions extends OutputOptions {
  format: TranscriptFormat
}

/** All of them in one file. `paths`: of the recordings; `alone`: there is one, and the file need not say which. */
export async function inOneFile(
  path: string,
  paths: readonly string[],
  { format, alone, ...how }: FileOptions & { alone: boolean },
): Promise<TranscriptFiles> {
  const output = await openOutput(path, how)
  const writer = await transcripts(format, output, alone)
  return {
    async write(index, words, until) {
      await writer.write(paths[index], words, until)
      await output.flush()
    },
    async close(index) {
      await writer.close(paths[index])
      await output.flush()
    },
    async finish() {
      await writer.end()
      await output.close()
    },
    abort: () => output.abort(),
  }
}

/** What a file was made of, and where its transcript goes. */
export interface Place {
  path: string
  to: string
}

/**
 * Files in `folder` by the names of what they were made of, whose suffix gives way to that of the format. Errors: 2 for two
 * of one name.
 */
export function placesIn(folder: string, format: string, files: readonly { path: string; name: string }[]): Place[] {
  const taken = new Map<string, string>()
  return files.map(({ path, name }) => {
    if (path === '-') throw usage('--output-dir: standard input has no name: use -o FILE')
    const to = join(folder, `${name.replace(/(?<=[^/])\.[^./]+$/, '')}.${format}`)
    const other = taken.get(to)
    if (other !== undefined)
      throw usage(
        `--output-dir: ${other} and ${path} would both become ${to}: name the folder above them, or rename one`,
      )
    taken.set(to, path)
    return { path, to }
  })
}

/**
 * A file for each; that of a recording that was not read to its end does not appear. Errors, before anything is
 * written: 73 for files that exist (without `force`) and for a folder that cannot be created.
 */
export async function inFileForEach(
  folder: string,
  places: readonly Place[],
  { format, ...how }: FileOptions,
): Promise<TranscriptFiles> {
  for (const { to } of places)
    if (!how.force && !how.resumed && (await stat(to).catch(() => null))) throw existsAlready(to)
  const made = await create(folder)
  let open: { index: number; output: Output; writer: TranscriptWriter } | null = null
  const opened = async (index: number) => {
    if (open?.index === index) return open
    const { to } = places[index]
    await create(dirname(to))
    const output = await openOutput(to, how)
    open = { index, output, writer: await transcripts(format, output, true) }
    return open
  }
  return {
    async write(index, words, until) {
      const { writer } = await opened(index)
      await writer.write(places[index].path, words, until)
    },
    async close(index, whole) {
      const { output, writer } = await opened(index)
      open = null
      if (!whole) return output.abort()
      await writer.close(places[index].path)
      await writer.end()
      await output.close()
    },
    finish: async () => {},
    async abort() {
      await open?.output.abort()
      if (made !== undefined) await rmdir(folder).catch(() => {}) // what is finished stays
    },
  }
}

const create = (folder: string) =>
  mkdir(folder, { recursive: true }).catch((error) => {
    throw cannotCreate(folder, error)
  })

const usage = (message: string) => new UserError(message, exitCodes.usage)
