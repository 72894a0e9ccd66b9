import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads'

/**
 * A thread that is ended inside native code takes the process with it: the bindings of ONNX Runtime and of WebGPU throw a
 * C++ exception that nobody catches (`terminate called after throwing an instance of 'Napi::Error'`, exit code 134) when
 * their thread is torn down during a call, and a process that exits tears its threads down. So a thread marks when it is
 * inside native code, and whoever ends it waits until it is not.
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
  enter(own)
  try {
    return await call()
  } finally {
    leave(own)
  }
}

let inside = false

/** As `native`, for what has come back from native code when it returns; one may hold others. */
export function nativeNow<T>(call: () => T): T {
  if (!own || inside) return call()
  enter(own)
  inside = true
  try {
    return call()
  } finally {
    inside = false
    leave(own)
  }
}

function enter(calls: Calls): void {
  Atomics.add(calls, UNDER_WAY, 1)
  if (Atomics.load(calls, CLOSED) === 0) return
  leave(calls)
  Atomics.wait(calls, CLOSED, 1)
}

function leave(calls: Calls): void {
  Atomics.sub(calls, UNDER_WAY, 1)
  Atomics.notify(calls, UNDER_WAY)
}

/** Threads that this one has started and that live. */
const threads = new Set<Calls>()

/** Milliseconds; a call takes a few. A thread that died inside one never comes out. */
const patience = 10_000

/** Starts a thread that may call native code. Until `left` it is known to run. */
export function nativeThread<Thread>(start: () => Thread): { thread: Thread; settle: () => void; left: () => void } {
  const calls: Calls = new Int32Array(new SharedArrayBuffer(8))
  setEnvironmentData(key, calls)
  const thread = start()
  if (threads.size === 0) process.on('exit', settleAll)
  threads.add(calls)
  return {
    thread,
    /** Returns when the thread is outside native code, for good. */
    settle: () => settle(calls),
    left() {
      threads.delete(calls)
      if (threads.size === 0) process.off('exit', settleAll)
    },
  }
}

function settle(calls: Calls): void {
  Atomics.store(calls, CLOSED, 1)
  const deadline = Date.now() + patience
  for (;;) {
    const underWay = Atomics.load(calls, UNDER_WAY)
    const left = deadline - Date.now()
    if (underWay === 0 || left <= 0) return
    Atomics.wait(calls, UNDER_WAY, underWay, left)
  }
}

function settleAll(): void {
  for (const calls of threads) Atomics.store(calls, CLOSED, 1)
  for (const calls of threads) settle(calls)
}
