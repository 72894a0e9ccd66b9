import type { HeadSpec, LogMelSpec, ModelSpec } from '../../spec.js'
import { body } from '../architecture.js'
import type { Architecture } from '../settings.js'

/** The spec of a fresh audio model. */
export function audioSpec(settings: Architecture, log_mel: LogMelSpec, head: HeadSpec): ModelSpec {
  return {
    input: { kind: 'log-mel', ...log_mel },
    d_embed: log_mel.n_mels,
    ...body(settings),
    head,
    strand: 'stranded',
  }
}
