/** What one item gives; `null`: it is over. */
export interface Given<Item, Result> {
  item: Item
  result: Result | null
}

/** What a lane found in an item, or what ended the lane there. */
type Found<Item, Result> = { item: Item; result: Result } | { item: Item; failure: unknown }

/**
 * Works on items on several lanes at once and gives what they give in the order of the items, as it comes. A lane draws
 * its next item when it is ready for it; it may draw ahead, and gives its results item by item in the order in which it
 * drew. The failure of an item, given as such, ends all when its turn comes, so that the first bad item is reported
 * whatever the lanes; what a lane throws ends all at once. `ahead`: results that a lane may be ahead of who takes them.
 */
export async function* inItemOrder<Item, Result>(
  items: readonly Item[],
  lanes: number,
  work: (drawn: Iterable<Item>, lane: number) => AsyncGenerator<Found<Item, Result>>,
  ahead = 1024,
): AsyncGenerator<Given<Item, Result>> {
  const owners = new Map<Item, number>()
  const signal = new Signal()
  let next = 0
  function* draw(lane: number): Generator<Item> {
    while (next < items.length) {
      const item = items[next++]
      owners.set(item, lane)
      yield item
    }
  }
  const running = Array.from({ length: lanes }, (_, t) => new Lane(work(draw(t), t), signal, ahead))
  const until = async <Thing>(look: () => Thing | undefined): Promise<Thing> => {
    while (true) {
      for (const { failure } of running) if (failure !== undefined) throw failure
      const thing = look()
      if (thing !== undefined) return thing
      await signal.next()
    }
  }
  try {
    for (const item of items) {
      const owner = running[await until(() => owners.get(item))]
      while (true) {
        const found = await until(() => owner.waiting[0] ?? (owner.over ? null : undefined))
        if (found?.item !== item) break
        if ('failure' in found) throw found.failure
        owner.waiting.shift()
        signal.send()
        yield found
      }
      yield { item, result: null }
    }
  } finally {
    for (const lane of running) lane.stop()
  }
}

/** Draws results as they come, up to some that nobody has taken yet. */
class Lane<Item, Result> {
  readonly waiting: Found<Item, Result>[] = []
  over = false
  failure: unknown

  constructor(
    private readonly results: AsyncGenerator<Found<Item, Result>>,
    private readonly signal: Signal,
    private readonly ahead: number,
  ) {
    void this.run()
  }

  /** A lane that waits for its input ends only after it: nobody waits for that. */
  stop(): void {
    this.over = true
    this.signal.send()
    this.results.return(undefined).catch(() => {})
  }

  private async run(): Promise<void> {
    try {
      for await (const result of this.results) {
        this.waiting.push(result)
        this.signal.send()
        while (this.waiting.length >= this.ahead && !this.over) await this.signal.next()
      }
    } catch (error) {
      this.failure = error
    }
    this.over = true
    this.signal.send()
  }
}

/** Wakes all who wait for a change. */
class Signal {
  private waiting: (() => void)[] = []

  next(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  send(): void {
    for (const wake of this.waiting.splice(0)) wake()
  }
}
