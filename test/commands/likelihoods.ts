import { openModel } from '../../src/tasks/model.js'

export const complement = (text: string) =>
  [...text]
    .reverse()
    .map((base) => 'TGCAN'['ACGTN'.indexOf(base)])
    .join('')

const logProbability = (row: Float32Array, id: number) =>
  row[id] - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))

/** By the logits of all rows at once: the sum of the log-probabilities in nats, and how many. */
export async function nextBases(folder: string, text: string): Promise<[nats: number, bases: number]> {
  const model = await openModel(folder)
  const ids = Int32Array.from(text, (base) => 'ACGTN'.indexOf(base))
  const { logits } = await model.forward(ids)
  await model.close()
  const V = logits!.length / ids.length
  let [nats, bases] = [0, 0]
  for (let t = 1; t < ids.length; t++) {
    if (ids[t] === 4) continue
    nats += logProbability(logits!.subarray((t - 1) * V, t * V), ids[t])
    bases++
  }
  return [nats, bases]
}

/** Of each base, by a pass for every seventh; none for N. */
export async function maskedBases(folder: string, text: string): Promise<number[]> {
  const model = await openModel(folder)
  const { input } = model.spec
  const mask = input.kind === 'tokens' && input.tokenizer === 'plantcaduceus' ? 1 : 3
  const ids = await model.tokenize(text)
  const each: number[] = []
  for (let stripe = 0; stripe < 7; stripe++) {
    const masked = ids.slice()
    const places = [...text].flatMap((base, t) => (t % 7 === stripe && base !== 'N' ? [t] : []))
    for (const t of places) masked[t] = mask
    const { logits } = await model.forward(masked)
    const V = logits!.length / ids.length
    for (const t of places) each[t] = logProbability(logits!.subarray(t * V, (t + 1) * V), ids[t])
  }
  await model.close()
  return each
}
