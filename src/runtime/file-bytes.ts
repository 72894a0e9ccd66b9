import type { FileHandle } from 'node:fs/promises'

/** Bytes that one system call takes. */
const mostAtOnce = 2 ** 30

/** Writes all bytes, at a position or (null) where the file stands: a call of the system may take only some. Errors are the system's. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number | null): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const at = position === null ? null : position + done
    done += (await handle.write(bytes, done, Math.min(bytes.length - done, mostAtOnce), at)).bytesWritten
  }
}

/** Fills `bytes` from a position on. Errors: those of the system, and one for a file that ends before. */
export async function readAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(bytes.length - done, mostAtOnce), position + done)
    if (bytesRead === 0) throw new Error(`the file ends after ${position + done} bytes`)
    done += bytesRead
  }
}

/** 'ENOSPC: no space left on device, write' -> 'no space left on device'. */
export const reason = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).replace(/^[A-Z0-9]+: /, '').replace(/, \w+( '.*)?$/, '')
