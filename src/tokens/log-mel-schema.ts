import * as v from 'valibot'
import type { LogMelSpec } from '../spec.js'
import { type Contradiction, consistent, kind, positive, real, record, whole } from '../text/schema.js'
import { melBands } from './mel.js'

const decibels = real(-1000, 1000)

const figures = {
  sample_rate: whole(1000, 192_000),
  n_fft: whole(2, 65_536),
  // A Hann window of one sample is nothing divided by nothing.
  window: whole(2, 65_536),
  hop: whole(1, 65_536),
  n_mels: whole(1, 512),
  f_min: real(0, 96_000),
  f_max: positive(96_000),
  preemphasis: v.optional(real(-1, 1)),
  tail: v.optional(real(0, 60)),
  level: record({
    memory: positive(86_400),
    lookahead: real(0, 10),
    quietest: decibels,
    range: positive(1000),
    equalise: v.optional(positive(1000)),
  }),
}

const mostFramesPerSecond = 1000

/** Of `LogMelSpec`. */
export const logMelSchema = v.pipe(record(figures), consistent(contradictions))

/** Of `LogMelInput`. */
export const logMelInput = v.pipe(record({ kind: kind('log-mel'), ...figures }), consistent(contradictions))

/** Of settings, which leave out what is as usual. */
export const someLogMelSchema = v.partial(record(figures))

function* contradictions(spec: LogMelSpec): Generator<Contradiction> {
  const { sample_rate, n_fft, window, hop, f_min, f_max } = spec
  const shortest = sample_rate / mostFramesPerSecond
  if ((n_fft & (n_fft - 1)) !== 0) yield ['n_fft', 'a power of two']
  if (window > n_fft) yield ['window', `at most ${n_fft}, n_fft`]
  if (hop > window) yield ['hop', `at most ${window}, the window: anything longer leaves gaps`]
  if (hop < shortest) yield ['hop', `at least ${shortest}, for ${mostFramesPerSecond} frames a second`]
  if (f_min >= f_max || f_max > sample_rate / 2)
    yield ['f_max', `a number above ${f_min} (f_min), at most ${sample_rate / 2} (half the sample rate)`]
  else if (melBands(spec).some(({ weights }) => weights.length === 0))
    yield ['n_mels', `fewer: a band meets no bin of an FFT of ${n_fft} samples`]
}
