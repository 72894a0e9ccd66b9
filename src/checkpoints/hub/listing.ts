import * as v from 'valibot'
import { checked, openRecord, text, whole } from '../../text/schema.js'
import { broken, readText } from '../files.js'
import { type CachedRepo, writeWhole } from './cache.js'

export interface HubFile {
  name: string
  bytes: number
  /** Its hash, by which the cache names it: SHA-256 of what Git LFS stores, else the SHA-1 that git gives a blob. */
  etag: string
  /** What git itself has: the blob, or the pointer to what Git LFS stores. */
  blobId: string
}

/** What a commit holds, in files by name. */
export type Listing = ReadonlyMap<string, HubFile>

const sha1 = v.message(v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/)), '40 hexadecimal digits')
const sha256 = v.message(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)), '64 hexadecimal digits')
const fileName = text(1000)

/** `/api/models/ORG/NAME/revision/REVISION?blobs=true` */
const answerSchema = openRecord({
  sha: sha1,
  siblings: v.array(
    openRecord({
      rfilename: fileName,
      size: whole(0),
      blobId: sha1,
      lfs: v.nullish(openRecord({ sha256, size: whole(0) })),
    }),
    'a list',
  ),
})

/** What the hub says of a revision. `from`: its address, for the error (69) about an answer that is not understood. */
export function listingOf(answer: unknown, from: string): { commit: string; listing: Listing } {
  const { sha, siblings } = checked(answerSchema, answer, '', (what) => broken(from, what))
  const files = siblings.map(({ rfilename: name, size, blobId, lfs }) => ({
    name,
    bytes: lfs?.size ?? size,
    etag: lfs?.sha256 ?? blobId,
    blobId,
  }))
  return { commit: sha, listing: new Map(files.map((file) => [file.name, file])) }
}

/** As huggingface_hub keeps it. */
const treeSchema = openRecord({
  format_version: v.literal(1),
  files: v.record(
    v.string(),
    openRecord({ size: whole(0), blob_id: sha1, lfs_sha256: v.optional(sha256), lfs_size: v.optional(whole(0)) }),
  ),
})

/** What the cache knows that a commit holds; null: nothing, or nothing that is understood. */
export async function readListing(repo: CachedRepo, commit: string): Promise<Listing | null> {
  const json = await readText(repo.tree(commit)).catch(() => 'null')
  const tree = v.safeParse(treeSchema, parsed(json))
  if (!tree.success) return null
  const files = Object.entries(tree.output.files).map(([name, { size, blob_id, lfs_sha256, lfs_size }]) => ({
    name,
    bytes: lfs_size ?? size,
    etag: lfs_sha256 ?? blob_id,
    blobId: blob_id,
  }))
  return new Map(files.map((file) => [file.name, file]))
}

/** A commit holds the same for ever, so that whoever comes next need not ask. */
export async function writeListing(repo: CachedRepo, commit: string, listing: Listing): Promise<void> {
  const files = [...listing.values()].map(({ name, bytes, etag, blobId }) => {
    const lfs = etag === blobId ? {} : { lfs_sha256: etag, lfs_size: bytes }
    return [name, { size: bytes, blob_id: blobId, ...lfs }]
  })
  await writeWhole(repo.tree(commit), JSON.stringify({ format_version: 1, files: Object.fromEntries(files) }))
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return null
  }
}
