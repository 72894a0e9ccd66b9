import type { Hash } from 'node:crypto'

/** Bytes that a hash is given at a time: it takes no 2 GiB at once. */
const mostAtOnce = 2 ** 30

/** Gives a hash all bytes of an array. */
export function addTo(hash: Pick<Hash, 'update'>, { buffer, byteOffset, byteLength }: NodeJS.ArrayBufferView): void {
  for (let at = 0; at < byteLength; at += mostAtOnce)
    hash.update(new Uint8Array(buffer, byteOffset + at, Math.min(mostAtOnce, byteLength - at)))
}
