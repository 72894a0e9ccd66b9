/** What one item gives; `null`: it is over. */
export interface Given<Item, Result> {
  item: Item
  result: Result | null
}

/** What a track found in an item, or what ended the track there. */
type Found<Item, Result> = { item: Item; result: Result } | { item: Item; failure: unknown }

/**
 * Works on items on several tracks at once and gives what they give in the order of the items, as it comes. A track draws its
 * next item when it is ready for it; it may draw ahead, and gives its results item by item in the order in which it drew. The
 * failure of an item, given as such, ends all when its turn comes, so that the first bad item is told whatever the tracks;
 * what a track throws ends all at once.
 */
export async function* inItemOrder<Item, Result>(
  items: readonly Item[],
  tracks: number,
  work: (drawn: Iterable<Item>, track: number) => AsyncGenerator<Found<Item, Result>>,
): AsyncGenerator<Given<Item, Result>> {
  const owners = new Map<Item, number>()
  const news = new News()
  let next = 0
  function* draw(track: number): Generator<Item> {
    while (next < items.length) {
      const item = items[next++]
      owners.set(item, track)
      yield item
    }
  }
  const running = Array.from({ length: tracks }, (_, t) => new Track(work(draw(t), t), news))
  const until = async <Thing>(look: () => Thing | undefined): Promise<Thing> => {
    while (true) {
      for (const { failure } of running) if (failure !== undefined) throw failure
      const thing = look()
      if (thing !== undefined) return thing
      await news.next()
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
        news.tell()
        yield found
      }
      yield { item, result: null }
    }
  } finally {
    for (const track of running) track.stop()
  }
}

/** How many results a track may be ahead of who takes them. */
const ahead = 1024

/** Draws results as they come, up to some that nobody has taken yet. */
class Track<Item, Result> {
  readonly waiting: Found<Item, Result>[] = []
  over = false
  failure: unknown

  constructor(
    private readonly results: AsyncGenerator<Found<Item, Result>>,
    private readonly news: News,
  ) {
    void this.run()
  }

  /** A track that waits for its input ends only after it: nobody waits for that. */
  stop(): void {
    this.over = true
    this.news.tell()
    this.results.return(undefined).catch(() => {})
  }

  private async run(): Promise<void> {
    try {
      for await (const result of this.results) {
        this.waiting.push(result)
        this.news.tell()
        while (this.waiting.length >= ahead && !this.over) await this.news.next()
      }
    } catch (error) {
      this.failure = error
    }
    this.over = true
    this.news.tell()
  }
}

/** Wakes all who wait for something to have changed. */
class News {
  private waiting: (() => void)[] = []

  next(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  tell(): void {
    for (const wake of this.waiting.splice(0)) wake()
  }
}
