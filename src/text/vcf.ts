/** A line of a VCF: the alleles at a place. */
export interface Site {
  /** In the file, from 1. */
  line: number
  /** All of it, without the line feed. */
  bytes: Buffer
  chrom: string
  /** From 1: that of the first base of `ref`. */
  position: number
  id: string
  ref: string
  alts: string[]
  /** Where its INFO stands in `bytes`. */
  info: { start: number; end: number }
}
