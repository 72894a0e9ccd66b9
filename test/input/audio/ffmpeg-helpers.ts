import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'

/** A folder for programs in ffmpeg's place; the tests of a file have the real PATH, unless they install one. */
export function standIns() {
  const path = process.env.PATH
  const stand = {
    folder: '',
    /** Puts a program of this name in front: a script of Node. */
    install(script: string) {
      const file = join(stand.folder, 'ffmpeg')
      writeFileSync(file, `#!${process.execPath}\n${script}\n`)
      chmodSync(file, 0o755)
      process.env.PATH = stand.folder
    },
    /** Takes every ffmpeg away. */
    remove() {
      process.env.PATH = ''
    },
  }
  beforeEach(() => {
    stand.folder = mkdtempSync(join(tmpdir(), 'longwave-ffmpeg-'))
  })
  afterEach(() => {
    process.env.PATH = path
    rmSync(stand.folder, { recursive: true })
  })
  return stand
}
