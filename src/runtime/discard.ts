import { MessageChannel } from 'node:worker_threads'

const { port1: nowhere } = new MessageChannel()
nowhere.close()

/**
 * Frees a buffer at once: it is sent to a port that is closed. V8 would let 32 MB of them pile up in every thread
 * before it looks, each in pages that were never used before: 420 instead of 70 us for making, filling and dropping 2
 * MiB. (`buffer.transfer(0)` does the same from Node 21 on.)
 */
export function discard(buffer: ArrayBuffer): void {
  nowhere.postMessage(null, [buffer])
}
