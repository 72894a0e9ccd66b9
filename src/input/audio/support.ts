import { execFile } from 'node:child_process'

/** What reads the formats of audio that need no other program. */
export const readHere = 'WAV, FLAC; MP3 by libmpg123, Opus by libopus, Vorbis by libvorbis (WebAssembly)'

/** Milliseconds that a program in ffmpeg's place may take to say what it is. */
const patience = 5000

/** Whether there is an ffmpeg for the formats that are left to it. */
export function probeFfmpeg(): Promise<{ works: boolean; detail: string }> {
  return new Promise((resolve) => {
    execFile('ffmpeg', ['-version'], { timeout: patience }, (error, stdout) => {
      const version = /^ffmpeg version (\S+)/.exec(stdout)?.[1]
      const why = error && 'code' in error && error.code === 'ENOENT' ? 'not installed' : 'does not say its version'
      const others = 'other formats of audio (M4A, films ...)'
      if (error || !version) resolve({ works: false, detail: `${why}; needed for ${others}` })
      else resolve({ works: true, detail: `${version}, for ${others}` })
    })
  })
}
