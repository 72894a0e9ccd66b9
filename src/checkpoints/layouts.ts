import { caduceus } from './caduceus.js'
import { falconH1 } from './falcon-h1.js'
import { falconMamba } from './falcon-mamba.js'
import { flowstateLayout } from './flowstate.js'
import { graniteHybrid } from './granite-hybrid.js'
import { hfMamba } from './hf-mamba.js'
import { hfMamba2 } from './hf-mamba2.js'
import { jamba } from './jamba.js'
import type { Layout } from './layout.js'
import { own } from './own.js'
import { qwen3Next } from './qwen3-next.js'
import { stateSpaces } from './state-spaces.js'

/** Every layout that can be read; the first that recognises a checkpoint reads it. */
export const layouts: readonly Layout[] = [
  own,
  hfMamba,
  hfMamba2,
  falconMamba,
  caduceus,
  flowstateLayout,
  stateSpaces,
  jamba,
  graniteHybrid,
  falconH1,
  qwen3Next,
]
