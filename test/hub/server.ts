import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll } from 'vitest'

interface Stored {
  bytes: Buffer
  /** In Git LFS, which the hub leads to another host for. */
  lfs: boolean
  blobId: string
  etag: string
}

export interface Asked {
  host: 'hub' | 'cdn'
  method: string
  /** Without the query, which has the secret of a signed address. */
  path: string
  range?: string
  authorization?: string
}

/** What a test does in place of an answer; false: nothing, the usual one is given. */
export type Fault = (request: IncomingMessage, response: ServerResponse, asked: Asked) => boolean | undefined

/** A hub as longwave sees it, with a second host that large files are on: what they hold, what they were asked, and what goes wrong. */
export class HubServer {
  readonly asked: Asked[] = []
  faults: Fault[] = []
  private readonly repos = new Map<string, Map<string, Map<string, Stored>>>()
  private readonly refs = new Map<string, string>()
  private readonly servers = { hub: createServer(), cdn: createServer() }

  static async start(): Promise<HubServer> {
    const hub = new HubServer()
    for (const [host, server] of Object.entries(hub.servers)) {
      server.on('request', (request, response) => hub.answer(host as Asked['host'], request, response))
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    }
    afterAll(() => hub.stop())
    return hub
  }

  stop(): void {
    for (const server of Object.values(this.servers)) {
      server.close()
      server.closeAllConnections()
    }
  }

  get url(): string {
    return addressOf(this.servers.hub)
  }

  /** A commit of a model, and the branch that is there from now on. */
  commit(repo: string, files: Record<string, string | Buffer>, branch = 'main'): string {
    const commit = sha('sha1', randomBytes(20))
    const stored = Object.entries(files).map(([name, content]) => {
      const bytes = Buffer.from(content)
      const lfs = /\.(safetensors|bin|msgpack|h5)$/.test(name)
      const blobId = sha('sha1', `blob ${bytes.length}\0`, lfs ? `pointer to ${sha('sha256', bytes)}` : bytes)
      return [name, { bytes, lfs, blobId, etag: lfs ? sha('sha256', bytes) : blobId }] as const
    })
    const commits = this.repos.get(repo) ?? new Map()
    this.repos.set(repo, commits.set(commit, new Map(stored)))
    this.tag(repo, branch, commit)
    return commit
  }

  /** A branch or a tag is there from now on. */
  tag(repo: string, name: string, commit: string): void {
    this.refs.set(`${repo}@${name}`, commit)
  }

  etag(repo: string, commit: string, name: string): string {
    return this.repos.get(repo)!.get(commit)!.get(name)!.etag
  }

  private answer(host: Asked['host'], request: IncomingMessage, response: ServerResponse): unknown {
    const path = decodeURIComponent(request.url!.split('?')[0])
    const { range, authorization } = request.headers
    const asked = { host, method: request.method!, path, range, authorization }
    this.asked.push(asked)
    if (this.faults.some((fault) => fault(request, response, asked))) return
    if (host === 'cdn') return this.serve(this.found(path.slice(1).split('/')), request, response)
    const [, api, apiRevision] = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path) ?? []
    const [, repo = api, revision = apiRevision, file] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? []
    const commits = this.repos.get(repo)
    const commit = this.refs.get(`${repo}@${revision}`) ?? revision
    if (commits === undefined) return refuse(response, 401, 'RepoNotFound')
    if (!commits.has(commit)) return refuse(response, 404, 'RevisionNotFound')
    if (api !== undefined) return this.describe(commit, commits.get(commit)!, response)
    response.setHeader('X-Repo-Commit', commit)
    const stored = commits.get(commit)!.get(file)
    if (stored === undefined) return refuse(response, 404, 'EntryNotFound')
    if (!stored.lfs) return this.serve(stored, request, response)
    response.writeHead(302, {
      'X-Linked-Etag': `"${stored.etag}"`,
      'X-Linked-Size': stored.bytes.length,
      Location: `${addressOf(this.servers.cdn, 'localhost')}/${repo}/${commit}/${file}?Signature=secret`,
    })
    return response.end()
  }

  private found([org, name, commit, file]: string[]): Stored {
    return this.repos.get(`${org}/${name}`)!.get(commit)!.get(file)!
  }

  private describe(sha: string, files: Map<string, Stored>, response: ServerResponse): unknown {
    const siblings = [...files].map(([rfilename, { bytes, lfs, blobId, etag }]) => {
      const large = lfs ? { lfs: { sha256: etag, size: bytes.length, pointerSize: 134 } } : {}
      return { rfilename, size: bytes.length, blobId, ...large }
    })
    return response.end(JSON.stringify({ id: 'x', sha, private: false, siblings, cardData: { license: 'mit' } }))
  }

  private serve({ bytes, etag }: Stored, request: IncomingMessage, response: ServerResponse): unknown {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.setHeader('ETag', `"${etag}"`)
    if (from >= bytes.length && from > 0) return response.writeHead(416).end('no such range')
    const partial = request.headers.range !== undefined
    response.writeHead(partial ? 206 : 200, {
      'Content-Length': bytes.length - from,
      ...(partial ? { 'Content-Range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
    })
    return response.end(request.method === 'HEAD' ? undefined : bytes.subarray(from))
  }
}

/** `X-Error-Code` is how the hub says what it means. */
export function refuse(response: ServerResponse, status: number, code: string, headers = {}): boolean {
  response.writeHead(status, { 'X-Error-Code': code, ...headers }).end(code)
  return true
}

const addressOf = (server: ReturnType<typeof createServer>, host = '127.0.0.1') =>
  `http://${host}:${(server.address() as AddressInfo).port}`

const sha = (kind: string, ...parts: (string | Buffer)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash(kind)).digest('hex')
