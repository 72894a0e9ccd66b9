import { gpu } from './backends/has-gpu.js'
import { hasFfmpeg } from './input/audio/has-ffmpeg.js'

/** Before all tests: what this machine lacks, so that nothing is left out in silence. */
export default function tell(): void {
  if (!hasFfmpeg) console.warn('ffmpeg is not installed: the tests that need it are skipped')
  if (!gpu) console.warn('tests of webgpu skipped: no adapter (scripts/software-gpu.sh plays one)')
}
