import type * as v from 'valibot'
import { expectTypeOf, test } from 'vitest'
import type { specSchema } from '../../src/checkpoints/spec-schema.js'
import type { BidirectionalSpec, bidirectionalSchema } from '../../src/layers/mixers/bidirectional.js'
import type { MambaSpec, mambaSchema } from '../../src/layers/mixers/mamba.js'
import type { Mamba2Spec, mamba2Schema } from '../../src/layers/mixers/mamba2.js'
import type { LogMelSpec, ModelSpec } from '../../src/spec.js'
import type { logMelSchema } from '../../src/tokens/log-mel-schema.js'

/** Held by the compiler, in `npm run lint`. */
test('schemas give what src/spec.ts documents', () => {
  expectTypeOf<v.InferOutput<typeof mambaSchema>>().toEqualTypeOf<MambaSpec>()
  expectTypeOf<v.InferOutput<typeof mamba2Schema>>().toEqualTypeOf<Mamba2Spec>()
  expectTypeOf<v.InferOutput<typeof bidirectionalSchema>>().toEqualTypeOf<BidirectionalSpec>()
  expectTypeOf<v.InferOutput<typeof logMelSchema>>().toEqualTypeOf<LogMelSpec>()
  expectTypeOf<v.InferOutput<typeof specSchema>>().toEqualTypeOf<ModelSpec>()
})
