/**
 * The characters of PlantCaduceus and PlantCAD2, whose tokenizer is that of GPN (`tokenizer-dna-mlm`): one id per base, nothing before or
 * behind them; anything but A, C, G, T, in either case, is [UNK], N too.
 */
export const plantCaduceusVocabulary = ['[PAD]', '[MASK]', '[UNK]', 'A', 'C', 'G', 'T']

/** A, C, G, T, N are 0 to 4 as DNA codes. */
const idOfCode = [3, 4, 5, 6, 2]
export const plantCaduceusMask = 1
export const isPlantCaduceusBase = (id: number) => id >= 3 && id < 7

/** Ids of DNA codes. */
export const plantCaduceusIds = (codes: Uint8Array): Int32Array => Int32Array.from(codes, (code) => idOfCode[code])
