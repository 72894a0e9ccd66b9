import type { MixerSpec } from '../../spec.js'
import type { CarriedInner } from './inner.js'
import { type MambaSpec, mambaInner } from './mamba.js'
import { type Mamba2Spec, mamba2Inner } from './mamba2.js'

export type AnyMambaSpec = MambaSpec | Mamba2Spec

export const isAnyMamba = (mixer: MixerSpec): mixer is AnyMambaSpec => ['mamba', 'mamba2'].includes(mixer.kind)

export const innerOf = ({ kind }: AnyMambaSpec): CarriedInner => (kind === 'mamba' ? mambaInner : mamba2Inner)
