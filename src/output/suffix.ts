/** The format that the suffix of an output stands for (`.bed`, `.bed.gz`); the first of them where it stands for none. */
export function formatBySuffix<F extends string>(output: string, formats: readonly [F, ...F[]]): F {
  const suffix = /\.(\w+)(?:\.gz)?$/.exec(output.toLowerCase())?.[1]
  return formats.find((format) => format === suffix) ?? formats[0]
}
