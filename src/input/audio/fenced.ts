/**
 * Runs a decoder of others, or undefined where it throws: damage can be too long for its buffers, or more than its
 * memory. What it writes on the console meanwhile is let go: no user knows what to do with it, and what was lost is said
 * in words of ours. It must do its work before it returns, promise or not: until then nobody else runs.
 */
export async function fenced<T>(decode: () => T | Promise<T>): Promise<T | undefined> {
  const { error, log } = console
  console.error = console.log = () => {}
  let running: T | Promise<T>
  try {
    running = decode()
  } catch {
    return undefined
  } finally {
    console.error = error
    console.log = log
  }
  return Promise.resolve(running).catch(() => undefined)
}
