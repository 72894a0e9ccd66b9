import { openOutput } from './output.js'

/** A finished text on standard output; a reader that is slow gets all of it, an output that is full is an error. */
export async function print(text: string): Promise<void> {
  const output = await openOutput('-')
  await output.write(text)
  await output.close()
}
