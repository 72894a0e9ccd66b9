const alone = new Set(['meta', 'br'])

/** The elements of a document that are left open, or closed out of order: of a whole one none. */
export function openTags(text: string): string[] {
  const open: string[] = []
  for (const [, end, name, attributes] of text.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*)>/gi)) {
    if (attributes.endsWith('/') || alone.has(name)) continue
    if (end === '') open.push(name)
    else if (open.at(-1) === name) open.pop()
    else return [...open, `/${name}`]
  }
  return open
}
