/**
 * Runs a decoder that writes what it finds wrong on the console, where no user knows what to do with it; what was lost
 * is said in words of ours. The decoder must not wait for anything: until it returns, nobody else runs.
 */
export function unprinted<T>(decode: () => T): T {
  const { error, log } = console
  console.error = console.log = () => {}
  try {
    return decode()
  } finally {
    console.error = error
    console.log = log
  }
}
