import type { MixerSpec } from '../../spec.js'
import type { Inner } from './inner.js'
import { type MambaSpec, mambaInner } from './mamba.js'
import { type Mamba2Spec, mamba2Inner } from './mamba2.js'

export type AnyMambaSpec = MambaSpec | Mamba2Spec

export const isAnyMamba = (mixer: MixerSpec): mixer is AnyMambaSpec => ['mamba', 'mamba2'].includes(mixer.kind)

export const innerOf = ({ kind }: AnyMambaSpec): Inner => (kind === 'mamba' ? mambaInner : mamba2Inner)
