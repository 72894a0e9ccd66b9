import { rmSync } from 'node:fs'

const temporaries = new Set<string>()

/** Removes the file or folder when the process ends, on every path it can catch, unless it is forgotten before. */
export function rememberTemporary(path: string): void {
  if (temporaries.size === 0) process.on('exit', removeAll)
  temporaries.add(path)
}

export function forgetTemporary(path: string): void {
  temporaries.delete(path)
  if (temporaries.size === 0) process.off('exit', removeAll)
}

function removeAll(): void {
  for (const path of temporaries) rmSync(path, { force: true, recursive: true })
}
