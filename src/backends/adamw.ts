import type { AdamWSettings } from './backend.js'

/** The numbers by which kernels take a step of AdamW (arXiv 1711.05101): what is the same for all parameters is computed once, in float64. */
export const adamwNumbers = ({ lr, beta1, beta2, eps, weightDecay, step, scale }: AdamWSettings) => ({
  lr,
  beta1,
  rest1: 1 - beta1,
  beta2,
  rest2: 1 - beta2,
  eps,
  decay: lr * weightDecay,
  meanFactor: 1 / (1 - beta1 ** step),
  squareFactor: 1 / (1 - beta2 ** step),
  scale,
})
