import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Sink } from './sink.js'

/** Compresses into `inner`, one gzip member, without a date: same bytes in, same bytes out. */
export function gzipSink(inner: Sink): Sink {
  const gzip = createGzip()
  const drained = pipeline(gzip, async (parts: AsyncIterable<Uint8Array>) => {
    for await (const part of parts) await inner.write(part)
  })
  drained.catch(() => {})
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => {
        // After a failure the stream only says that it was destroyed; `drained` knows why.
        gzip.write(bytes, (error) => (error ? drained.catch(reject) : resolve()))
      }),
    async finish() {
      gzip.end()
      await drained
      await inner.finish()
    },
    publish: inner.publish,
    withdraw: inner.withdraw,
    async abort() {
      gzip.destroy()
      await drained.catch(() => {})
      await inner.abort()
    },
  }
}
