import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { exitCodes, UserError } from '../../errors.js'
import { printable, shortened } from '../../text/printable.js'
import { endpoint, patience, token } from './environment.js'
import { type HubName, hubNameText, isCommit } from './name.js'

/** What a person sees of a pull. */
export interface PullWatcher {
  /** A line to read; absent where nobody reads. */
  note?(line: string): void
  /** Called for every piece that has come. `bytes` of `total` are there, `before` of them since an earlier pull. */
  progress?(bytes: number, total: number, before: number): void
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Dispatcher.ResponseData['body']
  /** The hash of the file and its commit, as the hub says before it leads elsewhere. */
  etag?: string
  commit?: string
}

/** The network or the hub fails, not the request: what the cache has will do. Exit code 69. */
export class Unreachable extends UserError {
  constructor(what: string) {
    super(what, exitCodes.unavailable)
  }
}

/** Times in a row that nothing comes before a request is given up, and milliseconds between them, doubled each time. */
const mostTries = 5
const firstPause = 250
/** The hub counts requests over five minutes. */
const longestWait = 300
const mostRedirects = 10

/** A hub, for the files and facts of one model. */
export class HubClient {
  private readonly endpoint = endpoint()
  private readonly token = token()

  private constructor(
    private readonly name: HubName,
    private readonly watcher: PullWatcher,
    private readonly request: typeof import('undici').request,
    private readonly dispatcher: Dispatcher,
  ) {}

  static async open(name: HubName, watcher: PullWatcher): Promise<HubClient> {
    // Node's own fetch knows no proxies before Node 24.
    const { EnvHttpProxyAgent, request } = await import('undici')
    const quiet = patience()
    const dispatcher = new EnvHttpProxyAgent({ connectTimeout: quiet, headersTimeout: quiet, bodyTimeout: quiet })
    return new HubClient(name, watcher, request, dispatcher)
  }

  /** The address of a page for people. */
  get page(): string {
    return `${this.base}/${this.name.repo}`
  }

  /** What the hub says of the model's revision. Errors: 69. */
  async describe(): Promise<unknown> {
    const path = `/api/models/${this.name.repo}/revision/${encodeURIComponent(this.name.revision)}?blobs=true`
    const { body } = await this.patiently(path)
    const answer = await whole(body).catch((error) => {
      throw this.unreachable(error)
    })
    try {
      return JSON.parse(answer)
    } catch {
      throw new UserError(`${this.base}${path}: expected JSON, got ${this.excerpt(answer)}`, exitCodes.unavailable)
    }
  }

  /** The commit of the revision now, in one request that costs the hub little. Errors: 69, Unreachable for all that an answer of the cache may replace. */
  async commit(): Promise<string> {
    const answer = await this.send('HEAD', this.resolve('config.json', this.name.revision), {})
    await answer.body.dump()
    if (answer.headers['x-error-code'] === 'RevisionNotFound') throw this.refused(answer)
    const { status, commit = '' } = answer
    if (isCommit(commit)) return commit
    // A network that wants a login, for one, answers everything.
    throw new Unreachable(status < 300 ? `${this.base}: does not answer as a hub does` : this.refused(answer).message)
  }

  /** A file from its byte `from` on: 206, 416 where it has no such byte, 200 with all of it. Errors: 69. */
  file(name: string, commit: string, from: number): Promise<Answer> {
    const path = this.resolve(name, commit)
    return from === 0 ? this.patiently(path) : this.patiently(path, { range: `bytes=${from}-` }, 416)
  }

  /** Waits before the next of several tries of which `tries` gave nothing. Throws the error when there were enough of them. */
  async pause(tries: number, error: unknown): Promise<void> {
    if (tries >= mostTries) throw this.unreachable(error)
    await setTimeout(firstPause * 2 ** (tries - 1))
  }

  close(): Promise<void> {
    return this.dispatcher.destroy()
  }

  /** As often as it takes, while the hub is busy or the network fails. */
  private async patiently(path: string, headers: Record<string, string> = {}, also?: number): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      const answer = await this.send('GET', path, headers).catch((error) => {
        if (error instanceof Unreachable) return error
        throw error
      })
      if (answer instanceof Unreachable) {
        await this.pause(tries, answer)
        continue
      }
      const { status } = answer
      if (status < 300 || status === also) return answer
      await answer.body.dump()
      if (status !== 429 && status < 500) throw this.refused(answer)
      const seconds = status === 429 ? waitAsked(answer.headers) : null
      if (seconds === null || tries >= mostTries) await this.pause(tries, this.refused(answer))
      else if (seconds > longestWait) throw this.refused(answer)
      else {
        this.watcher.note?.(`${this.base} asks to wait ${seconds} s`)
        await setTimeout(1000 * seconds)
      }
    }
  }

  /** One request, led on to where the file is. The token goes to the hub alone. */
  private async send(method: 'GET' | 'HEAD', path: string, headers: Record<string, string>): Promise<Answer> {
    let url = new URL(`${this.base}${path}`)
    let linked: Pick<Answer, 'etag' | 'commit'> = {}
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      const own = url.origin === this.endpoint.origin && this.token !== undefined
      const answer = await this.request(url, {
        method,
        dispatcher: this.dispatcher,
        headers: {
          ...headers,
          'user-agent': 'longwave',
          'accept-encoding': 'identity',
          ...(own ? { authorization: `Bearer ${this.token}` } : {}),
        },
      }).catch((error) => {
        throw this.unreachable(error)
      })
      const { statusCode: status, headers: said, body } = answer
      const [etag, commit] = [said['x-linked-etag'] ?? said.etag, said['x-repo-commit']].map(one)
      if (commit !== undefined && linked.commit === undefined) linked = { commit, etag: etag?.replace(/^W\/|"/g, '') }
      const led = status >= 300 && status < 400 ? one(said.location) : undefined
      // A HEAD request asks the hub, not where the file is.
      if (led === undefined || (method === 'HEAD' && commit !== undefined))
        return { status, headers: said, body, ...linked }
      await body.dump()
      if (!URL.canParse(led, url.href)) break
      const next = new URL(led, url)
      if (next.protocol !== 'https:' && next.protocol !== this.endpoint.protocol) break
      url = next
    }
    throw new UserError(`${this.base}${path}: is led on to nowhere`, exitCodes.unavailable)
  }

  private resolve(file: string, revision: string): string {
    return `/${this.name.repo}/resolve/${encodeURIComponent(revision)}/${encodeURIComponent(file)}`
  }

  /** Without what may be secret in it. */
  private get base(): string {
    return `${this.endpoint.origin}${this.endpoint.pathname.replace(/\/+$/, '')}`
  }

  private unreachable(error: unknown): Unreachable {
    if (error instanceof Unreachable) return error
    const { message, code } = error as NodeJS.ErrnoException
    return new Unreachable(`${this.base}: cannot be reached: ${shortened(message || code || '', 200)}`)
  }

  /** What the hub means by a status. */
  private refused({ status, headers }: Pick<Answer, 'status' | 'headers'>): UserError {
    const code = one(headers['x-error-code'])
    const message = one(headers['x-error-message']) ?? ''
    const said = `(${status}${message ? `: ${printable(shortened(message, 200))}` : ''})`
    const unavailable = (what: string) =>
      new UserError(`${hubNameText(this.name)}: ${what} ${said}`, exitCodes.unavailable)
    if (code === 'RevisionNotFound') return unavailable(`no revision ${this.name.revision} on ${this.base}`)
    if (/invalid credentials/i.test(message)) return unavailable(`${this.base} does not know the token of HF_TOKEN`)
    if (code === 'GatedRepo' || status === 403) {
      const then = this.token === undefined ? 'set HF_TOKEN' : 'use a token of the account that did (HF_TOKEN)'
      return unavailable(`is gated: accept its licence on ${this.page}, then ${then}`)
    }
    if (status === 401 || status === 404)
      return unavailable(`no such model on ${this.base}, or a private one, which needs HF_TOKEN`)
    if (status === 429 || status >= 500) return new Unreachable(unavailable(`${this.base} is busy`).message)
    return unavailable(`${this.base} refuses`)
  }

  private excerpt = (text: string) => printable(JSON.stringify(shortened(text, 60)))
}

/** A list of ten thousand files takes 3 MB. */
const mostText = 2 ** 26

async function whole(body: Answer['body']): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of body) {
    pieces.push(piece)
    bytes += piece.length
    if (bytes > mostText) throw new Error(`it answers more than ${mostText} bytes`)
  }
  return Buffer.concat(pieces).toString()
}

const one = (header: string | string[] | undefined) => (Array.isArray(header) ? header[0] : header)

/** Seconds that the hub asks to wait, in Retry-After (seconds or a date) or in its own count of requests; null: it does not say. */
function waitAsked(headers: IncomingHttpHeaders): number | null {
  const after = headers['retry-after']
  const counted = /;\s*t=(\d+)/.exec(one(headers.ratelimit) ?? '')
  const seconds = after === undefined ? Number(counted?.[1]) : Number(after)
  if (seconds >= 0) return Math.ceil(seconds)
  const date = Date.parse(after ?? '')
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - Date.now()) / 1000))
}
