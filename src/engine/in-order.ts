/**
 * Results of `jobs` in their order, each as soon as it is there, with at most `depth` under way; jobs are drawn only as
 * fast as results are taken. When no more of them can be had, the results of those before come first, then the failure.
 */
export async function* inOrder<Job, Result>(
  jobs: AsyncIterable<Job> | Iterable<Job>,
  run: (job: Job) => Promise<Result>,
  depth: number,
): AsyncGenerator<Result> {
  const source = iteratorOf(jobs)
  const underWay: Promise<Result>[] = []
  let drawing: Promise<Drawn<Job>> | null = null
  let over = false
  let failure: unknown
  try {
    while (true) {
      if (!over && underWay.length < depth) drawing ??= draw(source)
      // While the next job is waited for, the first result may be there.
      if (drawing && (await isFirst(drawing, underWay))) {
        const drawn: Drawn<Job> = await drawing
        drawing = null
        if ('job' in drawn) underWay.push(started(run(drawn.job)))
        else [over, failure] = [true, drawn.failure]
      } else if (underWay.length > 0) yield await underWay.shift()!
      else break
    }
    if (failure !== undefined) throw failure
  } finally {
    // A source that is waited for may have nothing to give for hours.
    const returned = source.return?.()
    if (drawing === null) await returned
    else Promise.resolve(returned).catch(() => {})
  }
}

type Drawn<Job> = { job: Job } | { failure: unknown }

const iteratorOf = <Item>(items: AsyncIterable<Item> | Iterable<Item>): AsyncIterator<Item> | Iterator<Item> =>
  Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()

/** The next job; without one, why there are no more (undefined: they are over). */
async function draw<Job>(source: AsyncIterator<Job> | Iterator<Job>): Promise<Drawn<Job>> {
  try {
    const { done, value } = await source.next()
    return done ? { failure: undefined } : { job: value }
  } catch (failure) {
    return { failure }
  }
}

async function isFirst(drawing: Promise<unknown>, [result]: Promise<unknown>[]): Promise<boolean> {
  if (result === undefined) return true
  const ready = result.then(() => false)
  return Promise.race([drawing.then(() => true), ready.catch(() => false)])
}

/** Its failure is seen when it is awaited. */
function started<Result>(result: Promise<Result>): Promise<Result> {
  result.catch(() => {})
  return result
}
