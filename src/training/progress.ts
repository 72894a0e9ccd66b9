import { quantity } from '../shell/progress.js'
import { clock } from '../text/clock.js'
import type { TrainProgress } from './loop.js'
import type { Calibrated } from './metrics/temperature.js'
import type { Validation } from './metrics/validation.js'

/**
 * `epoch 3/20 step 120/800 loss 0.512 accuracy 0.81 valid mcc 0.602 accuracy 0.801 loss 0.471 15.2 ktokens/s ETA
 * 12:30`; of transcription, accuracy is the share of texts without an error, and the validation gives wer and cer; of next bases, the
 * share of bases that are the likeliest, and bits per base.
 */
export function trainingText(p: TrainProgress): string {
  const parts = [
    `epoch ${p.epoch}/${p.epochs}`,
    `step ${p.step}/${p.steps}`,
    `loss ${p.loss.toFixed(4)}`,
    `accuracy ${p.accuracy.toFixed(4)}`,
  ]
  const { valid } = p
  if (valid) parts.push(`valid ${figures(valid)} loss ${valid.loss.toFixed(4)}${p.isBest ? ' (best)' : ''}`)
  parts.push(`${quantity(p.tokensPerSecond, 'tokens')}/s`, `ETA ${clock(p.eta)}`)
  return parts.join('  ')
}

/** `calibrated on valid: temperature 1.23, calibration error 0.0612 -> 0.0213` */
export const calibrationText = ({ temperature, error }: Calibrated): string =>
  `calibrated on valid: temperature ${temperature}, calibration error ${error.before.toFixed(4)} -> ${error.after.toFixed(4)}`

function figures(valid: Validation): string {
  if ('mcc' in valid) return `mcc ${valid.mcc.toFixed(4)} accuracy ${valid.accuracy.toFixed(4)}`
  if ('wer' in valid) return `wer ${valid.wer.toFixed(4)} cer ${valid.cer.toFixed(4)}`
  return `bits per base ${valid.bits_per_base.toFixed(4)}`
}
