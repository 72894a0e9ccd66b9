// The kernels of the cpu backend, in AssemblyScript. Every export works on byte addresses in the imported memory;
// a `Step` is the distance in bytes from one row to the next in reading order, negative for a reverse pass.
export { causalConv } from './conv'
export { combineRows, siluRows } from './elementwise'
export { multiply, packPanels } from './gemm'
export { normRows } from './norm'
export { maxRows, sumRows } from './reduce'
export { clear, copyRows, gatherRows, lastRows, unfoldRows } from './rows'
export { decayRates, selectiveScan } from './scan'
