const units = ['', 'K', 'M', 'G', 'T']

/** Bytes of `512M`, `1.5G`, `2GiB`: units are powers of 1,024. null: that is no size. */
export function parseSize(text: string): number | null {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([KMGT])(?:i?B)?$/i.exec(text.trim()) ?? []
  if (number === undefined) return null
  return Math.floor(Number(number) * 1024 ** units.indexOf(unit.toUpperCase()))
}

/** Rounded up to whole mebibytes. */
export const mebibytesUp = (bytes: number) => Math.ceil(bytes / 2 ** 20) * 2 ** 20

/** The least size of whole mebibytes that is not below, as `--max-memory` takes it. */
export const sizeFlag = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)}M`

/** `18 KiB`, `9.5 MiB`, `512 MiB`, `45.2 GiB` */
export function sizeText(bytes: number): string {
  if (bytes < 2 ** 20) return `${Math.ceil(bytes / 2 ** 10)} KiB`
  const [size, unit] = bytes < 10 * 2 ** 30 ? [bytes / 2 ** 20, 'MiB'] : [bytes / 2 ** 30, 'GiB']
  return `${size < 10 || unit === 'GiB' ? size.toFixed(1) : Math.floor(size).toLocaleString('en')} ${unit}`
}
