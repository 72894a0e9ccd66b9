import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads'

/**
 * A thread that is ended inside native code takes the process with it: the bindings of ONNX Runtime and of WebGPU throw a
 * C++ exception that nobody catches (`terminate called after throwing an instance of 'Napi::Error'`, exit code 134) when
 * their thread is torn down during a call, and a process that exits tears its threads down. So a thread marks when it is
 * inside native code, and whoever ends it waits until it is not. A call that gives a promise is under way until that is
 * settled, which takes the event loop of its thread: a thread must not block while one is.
 */

/** [calls under way, 1: no further call may begin] of one thread, in shared memory. */
type Calls = Int32Array<SharedArrayBuffer>

const UNDER_WAY = 0
const CLOSED = 1

const key = 'longwave: native calls'
/** Of this thread, if another one may end it. */
const own = isMainThread ? null : ((getEnvironmentData(key) as Calls | undefined) ?? null)

/**
 * Runs `call`, which goes into native code. Where this thread is about to be ended, it does not begin and nothing comes
 * after it.
 */
export async function native<T>(call: () => Promise<T>): Promise<T> {
  if (!own) return call()
  if (!enter(own)) return new Promise<T>(() => {})
  try {
    return await call()
  } finally {
    leave(own)
  }
}

let inside = false

/**
 * As `native`, for what has come back from native code when it returns; one may hold others. Where this thread is about to
 * be ended, it throws if other calls are under way.
 */
export function nativeNow<T>(call: () => T): T {
  if (!own || inside) return call()
  if (!enter(own)) throw new Error('this thread is about to be ended')
  inside = true
  try {
    return call()
  } finally {
    inside = false
    leave(own)
  }
}

/** Whether a call may begin. */
function enter(calls: Calls): boolean {
  Atomics.add(calls, UNDER_WAY, 1)
  if (Atomics.load(calls, CLOSED) === 0) return true
  leave(calls)
  return false
}

/** Where no call may begin any more, the thread stops with the last one. */
function leave(calls: Calls): void {
  const before = Atomics.sub(calls, UNDER_WAY, 1)
  Atomics.notify(calls, UNDER_WAY)
  if (before === 1 && Atomics.load(calls, CLOSED) === 1) Atomics.wait(calls, CLOSED, 1)
}

/** Threads that this one has started and that live. */
const threads = new Set<Calls>()

/** Milliseconds. A call takes a few, and what a GPU has still to do a second or two: it is for a driver that hangs. */
const patience = 60_000

/** Starts a thread that may call native code. Until `left` it is known to run; one that died inside never comes out. */
export function nativeThread<Thread>(start: () => Thread): { thread: Thread; settle: () => void; left: () => void } {
  const calls: Calls = new Int32Array(new SharedArrayBuffer(8))
  setEnvironmentData(key, calls)
  const thread = start()
  if (threads.size === 0) process.on('exit', onExit)
  threads.add(calls)
  return {
    thread,
    /** Returns when the thread is outside native code, for good. */
    settle: () => settle(calls, Date.now() + patience),
    left() {
      Atomics.store(calls, UNDER_WAY, 0)
      threads.delete(calls)
      if (threads.size === 0) process.off('exit', onExit)
    },
  }
}

const onExit = () => settleAll(patience)

/**
 * Waits so many milliseconds at most until all threads are outside native code, for good; whether they are. The process is to end: nobody
 * waits for them again.
 */
export function settleAll(milliseconds: number): boolean {
  const deadline = Date.now() + milliseconds
  for (const calls of threads) Atomics.store(calls, CLOSED, 1)
  const outside = [...threads].map((calls) => settle(calls, deadline))
  threads.clear()
  return outside.every(Boolean)
}

function settle(calls: Calls, deadline: number): boolean {
  Atomics.store(calls, CLOSED, 1)
  for (;;) {
    const underWay = Atomics.load(calls, UNDER_WAY)
    if (underWay === 0) return true
    const left = deadline - Date.now()
    if (left <= 0) return false
    Atomics.wait(calls, UNDER_WAY, underWay, left)
  }
}
