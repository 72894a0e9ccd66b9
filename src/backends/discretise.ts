/** A complex number. */
export type Complex = readonly [re: number, im: number]

export const times = ([a, b]: Complex, [c, d]: Complex): Complex => [a * c - b * d, a * d + b * c]
export const conjugate = ([a, b]: Complex): Complex => [a, -b]
const scaled = ([a, b]: Complex, by: number): Complex => [a * by, b * by]
const minus = ([a, b]: Complex, [c, d]: Complex): Complex => [a - c, b - d]
function over(x: Complex, [c, d]: Complex): Complex {
  const [re, im] = times(x, [c, -d])
  const size = c * c + d * d
  return [re / size, im / size]
}

/** How x'(t) = A x + u becomes x = w x + held u in steps of dt. */
export type Discretisation = 'zoh' | 'bilinear'

/** One mode in steps of dt, with its derivatives. */
export interface Step {
  w: Complex
  /** What one row of input adds to the state. */
  held: Complex
  /** dw / d(dt A) */
  dw: Complex
  /** d held / d dt, d held / dA */
  held_dt: Complex
  held_A: Complex
}

/**
 * Zero-order hold takes the input as constant over a step: w = e^(dt A), held = (w - 1) / A. Bilinear (Tustin) takes the trapezium:
 * w = (1 + dt A / 2) / (1 - dt A / 2), held = dt / (1 - dt A / 2). (arXiv 2206.11893, section 3.)
 */
export function discretise(A: Complex, dt: number, how: Discretisation): Step {
  if (how === 'zoh') {
    const size = Math.exp(dt * A[0])
    const w: Complex = [size * Math.cos(dt * A[1]), size * Math.sin(dt * A[1])]
    const held = over(minus(w, [1, 0]), A)
    return { w, held, dw: w, held_dt: w, held_A: over(minus(scaled(w, dt), held), A) }
  }
  const below: Complex = [1 - (dt * A[0]) / 2, (-dt * A[1]) / 2]
  const once = over([1, 0], below)
  const twice = times(once, once)
  return {
    w: over([1 + (dt * A[0]) / 2, (dt * A[1]) / 2], below),
    held: scaled(once, dt),
    dw: twice,
    held_dt: twice,
    held_A: scaled(twice, (dt * dt) / 2),
  }
}

/**
 * Gradients of A and dt from those of w and held, whose parts are the derivatives by the real and by the imaginary part: for f
 * holomorphic, that of z is that of f(z) times the conjugate of f'(z).
 */
export function discretiseGradient(A: Complex, dt: number, step: Step, ofW: Complex, ofHeld: Complex) {
  const throughW = times(ofW, conjugate(step.dw))
  const throughHeld = times(ofHeld, conjugate(step.held_A))
  return {
    A: [dt * throughW[0] + throughHeld[0], dt * throughW[1] + throughHeld[1]] as Complex,
    dt: times(throughW, conjugate(A))[0] + times(ofHeld, conjugate(step.held_dt))[0],
  }
}
