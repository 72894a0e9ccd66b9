// A worker that answers every job with the number of its thread.

import { parentPort, threadId } from 'node:worker_threads'
import { serve } from '../../build/src/engine/workers.js'

serve(
  parentPort,
  async () => threadId,
  async (id) => ({ result: id }),
)
