// The kernels of the cpu backend, in AssemblyScript. Every export works on byte addresses in the imported memory;
// a `Step` is the distance in bytes from one row to the next in reading order, negative for a reverse pass.
export { adamw } from './adamw'
export { causalConv } from './conv'
export { convGrad, convGradScratch } from './conv-grad'
export { combineRows, geluRows, siluRows } from './elementwise'
export { multiply, packPanels } from './gemm'
export { normRows } from './norm'
export { normGrad } from './norm-grad'
export { maxRows, sumRows } from './reduce'
export { clear, clearRows, copyRows, gatherRows, lastRows, unfoldRows } from './rows'
export { accumulate, foldRows, foldWindows, scatterRows, spreadRow, spreadToMax } from './rows-grad'
export { decayRates, keptStates, selectiveScan } from './scan'
export { scanGrad, scanGradScratch } from './scan-grad'
