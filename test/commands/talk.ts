import { seeded } from '../engine/models.js'
import { chunk, fmt, int16, riff } from '../input/audio/helpers.js'

/** A voice of sorts at 8 kHz: syllables of a quarter of a second, of changing pitch and strength, with pauses. */
export function talk(seconds: number): number[] {
  const random = seeded(3)
  let [pitch, loud] = [200, 0]
  return Array.from({ length: seconds * 8000 }, (_, i) => {
    if (i % 2000 === 0) [pitch, loud] = [150 + 700 * random(), random() < 0.2 ? 0 : random()]
    const t = i / 8000
    return Math.round(9000 * loud * Math.sin(2 * Math.PI * pitch * t) * Math.sin(2 * Math.PI * 4 * t) + 20 * random())
  })
}

/** A WAV file of 16 bits at 8 kHz. */
export const recordingOf = (samples: number[]): Buffer =>
  riff([chunk('fmt ', fmt({ rate: 8000 })), chunk('data', int16(samples))])
