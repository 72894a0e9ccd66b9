/** The start of a pointer file (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md): what a clone without Git LFS has in place of a file. */
const mark = 'version https://gi'

/** Bytes that tell a pointer. */
export const pointerLength = mark.length

export const isLfsPointer = (head: Uint8Array) =>
  Buffer.from(head.subarray(0, pointerLength)).toString('latin1') === mark

export const lfsPointer = 'a pointer of Git LFS, not the file itself; fetch it: git lfs pull'
