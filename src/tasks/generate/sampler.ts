import { Random } from '../../runtime/random.js'

export interface Sampling {
  /** 0: always the most likely token. */
  temperature: number
  /** Of the most likely ones so many; absent: all. */
  topK?: number
  /** Of these the most likely ones that together have this probability; 1: all. */
  topP: number
  /** Above 1, tokens that are there already become less likely; 1: they do not. */
  repetitionPenalty: number
  seed: number
}

/**
 * Chooses the tokens behind one prompt. What it draws depends on the seed and on the prompt alone: not on the prompts
 * beside it, nor on when it comes. Penalty, temperature, top-k and top-p apply in this order, as in transformers.
 */
export class Sampler {
  private readonly seen: Set<number>
  private readonly random: Random

  /** `allowed`: ids that may be chosen, the first so many. */
  constructor(
    private readonly sampling: Sampling,
    prompt: Int32Array,
    private readonly allowed: number,
  ) {
    this.seen = new Set(prompt)
    this.random = new Random(sampling.seed, ...hashOf(prompt))
  }

  /** The next token, by the logits [V] from `from` on. */
  next(logits: Float32Array, from: number): number {
    const scores = Float64Array.from(logits.subarray(from, from + this.allowed))
    const { repetitionPenalty: penalty, temperature } = this.sampling
    if (penalty !== 1)
      for (const id of this.seen) if (id < this.allowed) scores[id] *= scores[id] > 0 ? 1 / penalty : penalty
    const id = temperature === 0 ? largest(scores) : this.draw(scores.map((score) => score / temperature))
    this.seen.add(id)
    return id
  }

  private draw(scores: Float64Array): number {
    const { topK = scores.length, topP } = this.sampling
    const top = scores[largest(scores)]
    let ids = Array.from(scores.keys())
    // Only where some are left out their order counts.
    if (topK < ids.length || topP < 1) ids = ids.sort((a, b) => scores[b] - scores[a] || a - b).slice(0, topK)
    const weights = ids.map((id) => Math.exp(scores[id] - top))
    const kept = topP < 1 ? enough(weights, topP) : weights.length
    let left = this.random.uniform() * sumOf(weights, kept)
    for (let i = 0; i < kept; i++) {
      left -= weights[i]
      if (left < 0) return ids[i]
    }
    return ids[kept - 1]
  }
}

/** How many of the first weights it takes to have this share of all. */
function enough(weights: readonly number[], share: number): number {
  const all = sumOf(weights, weights.length)
  let [count, sum] = [0, 0]
  while (count < weights.length && (count === 0 || sum < share * all)) sum += weights[count++]
  return count
}

function sumOf(weights: readonly number[], count: number): number {
  let sum = 0
  for (let i = 0; i < count; i++) sum += weights[i]
  return sum
}

/** The first of the largest. */
function largest(scores: Float64Array): number {
  let best = 0
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i
  return best
}

/** Two numbers that stand for a prompt (FNV-1a, over its ids from either end). */
function hashOf(ids: Int32Array): [number, number] {
  let [a, b] = [0x811c9dc5, 0x811c9dc5]
  for (let i = 0; i < ids.length; i++) {
    a = Math.imul(a ^ ids[i], 0x01000193)
    b = Math.imul(b ^ ids[ids.length - 1 - i], 0x01000193)
  }
  return [a >>> 0, b >>> 0]
}
