import { spawn } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { command } from '../run-command.js'
import { cleanEnv, longwave, temporaryFolder } from '../shell/run.js'
import { type Asked, type Fault, HubServer, refuse } from './server.js'

const folder = temporaryFolder()
const hub = await HubServer.start()
const repo = 'org/tiny'
const file = 'model.safetensors'
const golden = (name: string) => readFileSync(`test/golden/hf-mamba/${name}`)
const weights = golden(file)
const half = weights.length >> 1
const files = {
  'README.md': '---\nlicense: apache-2.0\n---\n# Tiny\n',
  'config.json': golden('config.json'),
  [file]: weights,
}
const commit = hub.commit(repo, files)
const etag = hub.etag(repo, commit, file)

let home = ''
let env: Record<string, string> = {}
beforeEach(() => {
  home = mkdtempSync(join(folder, 'home '))
  env = { HF_HOME: home, HF_ENDPOINT: hub.url, HF_HUB_OFFLINE: '', HF_HUB_DOWNLOAD_TIMEOUT: '1' }
  hub.faults = []
  hub.asked.length = 0
})

const inRepo = (...path: string[]) => join(home, 'hub/models--org--tiny', ...path)
const pull = (name = repo, more = {}) => command(['models', 'pull', name], { env: { ...env, ...more } })

/** Requests for the weights where they lie. */
const served = (): (string | undefined)[] => hub.asked.filter(({ host }) => host === 'cdn').map(({ range }) => range)

async function expectPulled(): Promise<void> {
  const { code, stdout, stderr } = await pull()
  expect(code, stderr).toBe(0)
  expect(stdout.toString()).toBe(`${inRepo('snapshots', commit)}\n`)
  expectWhole()
}

/** What was pulled is there to the byte, and nothing else is. */
function expectWhole(): void {
  expect(readFileSync(inRepo('snapshots', commit, file)).equals(weights)).toBe(true)
  const etags = Object.keys(files).map((name) => hub.etag(repo, commit, name))
  expect(readdirSync(inRepo('blobs')).sort()).toEqual(etags.sort())
}

const onCdn =
  (answer: Fault): Fault =>
  (request, response, asked) =>
    asked.host === 'cdn' && answer(request, response, asked)

/** Does it the first `times` times. */
function times(times: number, fault: Fault): Fault {
  return (request, response, asked) => {
    const done = times > 0 && fault(request, response, asked)
    if (done) times--
    return done
  }
}

function sendPart(response: ServerResponse, bytes: number, drop = false): boolean {
  response.writeHead(200, { 'Content-Length': weights.length })
  response.write(weights.subarray(0, bytes), () => drop && setTimeout(50).then(() => response.destroy()))
  return true
}

test('what is pulled lies as huggingface_hub lays it: contents by hash, links, the branch, the list of files', async () => {
  await expectPulled()
  expect(hub.asked.filter(({ path }) => path.includes('/resolve/'))).toHaveLength(3)
  for (const name of Object.keys(files))
    expect(readlinkSync(inRepo('snapshots', commit, name))).toBe(`../../blobs/${hub.etag(repo, commit, name)}`)
  expect(readFileSync(inRepo('refs/main'), 'utf8')).toBe(commit)
  const tree = JSON.parse(readFileSync(inRepo('trees', `${commit}.json`), 'utf8'))
  expect(tree.files[file]).toMatchObject({ size: weights.length, lfs_sha256: etag, lfs_size: weights.length })
  expect(tree.files['config.json']).toEqual({
    size: files['config.json'].length,
    blob_id: hub.etag(repo, commit, 'config.json'),
  })
})

test('a second pull asks for the list only, and says nothing but the folder', async () => {
  await pull()
  hub.asked.length = 0
  const { code, stdout, stderr } = await pull()
  expect([code, stdout.toString(), stderr]).toEqual([0, `${inRepo('snapshots', commit)}\n`, ''])
  expect(hub.asked.map(({ path }) => path)).toEqual(['/api/models/org/tiny/revision/main'])
})

test.each([
  [
    'one safetensors file',
    ['model.safetensors', 'pytorch_model.bin', 'flax_model.msgpack', 'tf_model.h5', 'onnx/model.onnx', 'a.gguf'],
    ['model.safetensors'],
  ],
  ['one file of torch.save', ['pytorch_model.bin', 'optimizer.pt', 'tf_model.h5'], ['pytorch_model.bin']],
  [
    'shards, which the index names',
    ['m-1.safetensors', 'm-2.safetensors', 'm-3.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin'],
    ['m-1.safetensors', 'm-2.safetensors', 'model.safetensors.index.json'],
  ],
])('of %s what is read is pulled, with config, card and tokenizer', async (_, names, expected) => {
  const index = JSON.stringify({ weight_map: { a: 'm-1.safetensors', b: 'm-2.safetensors' } })
  const content = (name: string) => (name.endsWith('.index.json') ? index : name)
  const others = ['.gitattributes', 'LICENSE', 'vocab.txt', 'modeling.py', 'training_args.bin']
  const always = ['README.md', 'config.json', 'tokenizer.json', 'tokenizer_config.json']
  const all = [...names, ...others, ...always].map((name) => [name, content(name)])
  const at = hub.commit('org/many', Object.fromEntries(all))
  expect((await pull('org/many')).code).toBe(0)
  expect(readdirSync(join(home, 'hub/models--org--many/snapshots', at)).sort()).toEqual([...always, ...expected].sort())
})

describe('what goes wrong on the way is made good', () => {
  test.each<[string, Fault, string[]]>([
    [
      'a connection that drops',
      times(
        1,
        onCdn((_, response) => sendPart(response, half, true)),
      ),
      ['', `bytes=${half}-`],
    ],
    [
      'one that drops before the first byte',
      times(
        1,
        onCdn((_, response) => !!response.destroy()),
      ),
      ['', ''],
    ],
    [
      'one that says nothing more',
      times(
        1,
        onCdn((_, response) => sendPart(response, half)),
      ),
      ['', `bytes=${half}-`],
    ],
    [
      'an end that comes early',
      times(
        1,
        onCdn((_, response) => !!response.writeHead(200).end(weights.subarray(0, half))),
      ),
      ['', `bytes=${half}-`],
    ],
    ['more than there is', onCdn((_, response) => !!response.end(Buffer.concat([weights, weights]))), ['']],
    ['a hub that is busy', times(2, (_, response) => refuse(response, 503, '')), ['']],
  ])('%s', async (_, fault, ranges) => {
    hub.faults = [fault]
    await expectPulled()
    expect(served().map((range) => range ?? '')).toEqual(ranges)
  })

  test('damage on the way: fetched once more from the start', async () => {
    const damaged = Buffer.from(weights)
    damaged[half] ^= 1
    hub.faults = [
      times(
        1,
        onCdn((_, response) => !!response.end(damaged)),
      ),
    ]
    await expectPulled()
    expect(served()).toEqual([undefined, undefined])
  })

  test.each<[string, Record<string, string>, () => number]>([
    ['seconds', { 'Retry-After': '1' }, () => 1],
    ['a date', { 'Retry-After': 'in a second' }, () => 1],
    ['the count of requests', { RateLimit: '"api";r=0;t=1' }, () => 1],
  ])('429 waits as long as the hub asks: %s', async (_, headers) => {
    const date = new Date(Date.now() + 1500).toUTCString()
    const said = headers['Retry-After']?.startsWith('in') ? { 'Retry-After': date } : headers
    hub.faults = [times(1, (_, response) => refuse(response, 429, '', said))]
    const began = Date.now()
    const { code, stderr } = await pull()
    expect([code, stderr.split('\n')[0]]).toEqual([
      0,
      expect.stringMatching(/^longwave: http:\/\/127\.0\.0\.1:\d+ asks to wait [12] s$/),
    ])
    expect(Date.now() - began).toBeGreaterThan(900)
  })
})

describe('what an earlier pull has left', () => {
  const left = () => inRepo('blobs', `${etag}.longwave.incomplete`)
  const taken = () => inRepo('blobs', `${etag}.0123abcd.longwave.incomplete`)
  beforeEach(() => mkdirSync(inRepo('blobs'), { recursive: true }))

  test('is gone on with', async () => {
    writeFileSync(left(), weights.subarray(0, half))
    await expectPulled()
    expect(served()).toEqual([`bytes=${half}-`])
  })

  test.each<[string, () => Buffer, (string | undefined)[]]>([
    [
      'longer than it may be (416)',
      () => Buffer.concat([weights, weights]),
      [`bytes=${2 * weights.length}-`, undefined],
    ],
    ['damaged', () => Buffer.alloc(half, 1), [`bytes=${half}-`, undefined]],
    ['whole and damaged', () => Buffer.alloc(weights.length, 1), [undefined]],
    ['whole', () => weights, []],
  ])('%s', async (_, content, ranges) => {
    writeFileSync(left(), content())
    await expectPulled()
    expect(served()).toEqual(ranges)
  })

  test('is fetched afresh from a server that knows no ranges', async () => {
    writeFileSync(left(), weights.subarray(0, half))
    hub.faults = [onCdn((_, response) => !!response.end(weights))]
    await expectPulled()
    expect(served()).toEqual([`bytes=${half}-`])
  })

  test('is fetched afresh where the hub has another file by that name now', async () => {
    writeFileSync(left(), weights.subarray(0, half))
    const other: Fault = ({ headers }, response, { host, path }) => {
      if (host !== 'hub' || !path.endsWith(file) || headers.range === undefined) return false
      response.writeHead(206, { 'X-Repo-Commit': commit, ETag: '"another"', 'Content-Range': `bytes ${half}-` })
      return !!response.end(weights.subarray(half))
    }
    hub.faults = [other]
    await expectPulled()
    expect(served()).toEqual([undefined])
  })

  test('by a process that was killed is gone on with when nobody has touched it for a minute', async () => {
    writeFileSync(taken(), weights.subarray(0, half))
    utimesSync(taken(), new Date(), new Date(Date.now() - 61_000))
    await expectPulled()
    expect(served()).toEqual([`bytes=${half}-`])
  })

  test('is let alone while another process is at it', async () => {
    writeFileSync(taken(), weights.subarray(0, half))
    expect((await pull()).code).toBe(0)
    expect(served()).toEqual([undefined])
    expect(statSync(taken()).size).toBe(half)
  })
})

describe('processes', () => {
  const program = () => longwave(['models', 'pull', repo], { env })

  /** A weight file of several pieces, slowly. */
  const slow: Fault = onCdn((request, response) => {
    const from = Number(/\d+/.exec(request.headers.range ?? '0')![0])
    response.writeHead(from > 0 ? 206 : 200, {
      'Content-Length': weights.length - from,
      'Content-Range': `bytes ${from}-${weights.length - 1}/${weights.length}`,
    })
    const step = weights.length >> 3
    const send = async () => {
      for (let at = from; at < weights.length; at += step) {
        response.write(weights.subarray(at, at + step))
        await setTimeout(100)
      }
      response.end()
    }
    void send()
    return true
  })

  test('three at once get it without harm to each other', async () => {
    hub.faults = [slow]
    const ended = await Promise.all([program(), program(), program()])
    expect(ended.map(({ code, stdout }) => [code, stdout.toString()])).toEqual(
      Array(3).fill([0, `${inRepo('snapshots', commit)}\n`]),
    )
    expectWhole()
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s leaves what has come, and the next one goes on from there', async (signal, exitCode) => {
    hub.faults = [
      times(
        1,
        onCdn((_, response) => sendPart(response, half)),
      ),
    ]
    const child = spawn(process.execPath, ['bin/run.js', 'models', 'pull', repo], {
      env: { ...cleanEnv(), ...env, HF_HUB_DOWNLOAD_TIMEOUT: '100' },
      stdio: 'ignore',
    })
    const closed = new Promise((resolve) => child.on('close', resolve))
    const sizes = () =>
      readdirSync(inRepo('blobs')).map((name) => statSync(inRepo('blobs', name), { throwIfNoEntry: false })?.size)
    while (!existsSync(inRepo('blobs')) || !sizes().includes(half)) await setTimeout(20)
    child.kill(signal)
    expect(await closed).toBe(exitCode)
    expect(existsSync(inRepo('refs/main'))).toBe(false)
    await expectPulled()
    expect(served()).toEqual([undefined, `bytes=${half}-`])
  })
})

describe('what cannot be had is one line and 69', () => {
  const gated =
    (status: number): Fault =>
    (_, response) =>
      refuse(response, status, 'GatedRepo')

  test.each<[string, string, Fault[], Record<string, string>, RegExp]>([
    [
      'no such model',
      'org/none',
      [],
      {},
      /^org\/none: no such model on http:.*, or a private one, which needs HF_TOKEN \(401\)$/,
    ],
    ['no such revision', 'org/tiny@v9', [], {}, /^org\/tiny@v9: no revision v9 on http:.* \(404\)$/],
    [
      'a gated model',
      repo,
      [gated(401)],
      {},
      /^org\/tiny: is gated: accept its licence on http:.*\/org\/tiny, then set HF_TOKEN \(401\)$/,
    ],
    [
      'a gated model for a token without access',
      repo,
      [gated(403)],
      { HF_TOKEN: 'hf_secret' },
      /is gated: accept its licence on .*, then use a token of the account that did \(HF_TOKEN\) \(403\)$/,
    ],
    [
      'a token that is none',
      repo,
      [
        (_, response) =>
          refuse(response, 401, '', { 'X-Error-Message': 'Invalid credentials in Authorization header' }),
      ],
      { HF_TOKEN: 'hf_secret' },
      /does not know the token of HF_TOKEN \(401: Invalid credentials/,
    ],
    [
      'a wait that is too long',
      repo,
      [(_, response) => refuse(response, 429, '', { 'Retry-After': '3600' })],
      {},
      /^org\/tiny: http:.* is busy \(429\)$/,
    ],
    ['a hub that is away', repo, [(_, response) => !!response.destroy()], {}, /^http:.*: cannot be reached: /],
    [
      'a server that is no hub',
      repo,
      [(_, response) => !!response.end('<html>Log in to the network</html>')],
      {},
      /: expected JSON, got "<html>/,
    ],
    [
      'a list that is none',
      repo,
      [(_, response) => !!response.end('{"sha":"../..","siblings":[]}')],
      {},
      /its list of files\): sha is "\.\.\/\.\.", expected 40 hexadecimal digits$/,
    ],
    [
      'a redirect in a circle',
      repo,
      [({ url }, response) => !!response.writeHead(302, { Location: url }).end()],
      {},
      /is led on to nowhere$/,
    ],
    [
      'a redirect to a file of this machine',
      repo,
      [(_, response) => !!response.writeHead(302, { Location: 'file:///etc/passwd' }).end()],
      {},
      /is led on to nowhere$/,
    ],
  ])('%s', async (_, name, faults, more, line) => {
    hub.faults = faults
    const { code, stdout, stderr } = await pull(name, more)
    expect(stderr).toMatch(/^longwave: .*\n$/)
    expect(stderr.slice('longwave: '.length, -1)).toMatch(line)
    expect([code, stdout.length]).toEqual([69, 0])
    expect(stderr).not.toContain('hf_secret')
    expect(existsSync(join(home, 'hub'))).toBe(false)
  })

  test('damage that comes again: nothing of it stays', async () => {
    const damaged = Buffer.from(weights)
    damaged[half] ^= 1
    hub.faults = [onCdn((_, response) => !!response.end(damaged))]
    const { code, stderr } = await pull()
    expect([code, stderr.trimEnd().split('\n').at(-1)]).toEqual([
      69,
      expect.stringMatching(/^longwave: .*: model\.safetensors came damaged twice: its hash is not [0-9a-f]{64}$/),
    ])
    expect(readdirSync(inRepo('blobs')).filter((name) => name.startsWith(etag))).toEqual([])
    expect(existsSync(inRepo('refs/main'))).toBe(false)
  })

  test('a connection that drops again and again: what has come stays for the next one', async () => {
    hub.faults = [
      onCdn((request, response) =>
        request.headers.range === undefined ? sendPart(response, half, true) : !!response.destroy(),
      ),
    ]
    const { code, stderr } = await pull()
    expect([code, stderr]).toEqual([69, expect.stringMatching(/\nlongwave: http:.*: cannot be reached: .*\n$/)])
    expect(statSync(inRepo('blobs', `${etag}.longwave.incomplete`)).size).toBe(half)
  })

  test.each([
    ['config.json', { 'model.safetensors': weights }],
    ['model.safetensors or pytorch_model.bin', { 'config.json': '{}', 'tf_model.h5': 'x' }],
    [
      'gone.safetensors',
      { 'config.json': '{}', 'model.safetensors.index.json': '{"weight_map":{"a":"gone.safetensors"}}' },
    ],
    ['..', { 'config.json': '{}', 'model.safetensors.index.json': '{"weight_map":{"a":".."}}', '..': 'x' }],
  ])('a repository without %s', async (name, content) => {
    hub.commit('org/part', content)
    const { code, stderr } = await pull('org/part')
    expect([code, stderr.trimEnd().split('\n').at(-1)]).toEqual([
      69,
      `longwave: org/part: ${hub.url}/org/part has no ${name}`,
    ])
  })
})

test('a disk without room is an error before anything comes', async () => {
  const siblings = ['config.json', file].map((rfilename) => ({ rfilename, size: 2 ** 52, blobId: 'a'.repeat(40) }))
  hub.faults = [(_, response) => !!response.end(JSON.stringify({ sha: commit, siblings }))]
  const { code, stderr } = await pull()
  expect([code, stderr]).toEqual([
    73,
    expect.stringMatching(
      /^longwave: org\/tiny: takes 4,?194,?304.* GiB, and .* has room for .* GiB; HF_HOME names another place\n$/,
    ),
  ])
  expect(hub.asked).toHaveLength(1)
})

test('a cache that cannot be written to is an error', async () => {
  writeFileSync(join(home, 'hub'), 'a file')
  const { code, stderr } = await pull()
  expect([code, stderr]).toEqual([
    73,
    expect.stringMatching(/^longwave: .*hub: cannot be written to: not a directory\n$/),
  ])
})

describe('the token', () => {
  const seen = (host: Asked['host']) =>
    new Set(hub.asked.filter((asked) => asked.host === host).map((a) => a.authorization))

  test.each<[string, Record<string, string>, string?]>([
    ['HF_TOKEN', { HF_TOKEN: ' hf_secret\n' }],
    ['a login', {}, 'token'],
    ['HF_TOKEN_PATH', { HF_TOKEN_PATH: '$HF_HOME/mine' }, 'mine'],
  ])('of %s goes to the hub, and not on to where the files are', async (_, more, name) => {
    if (name !== undefined) writeFileSync(join(home, name), 'hf_secret\n')
    expect((await pull(repo, more)).code).toBe(0)
    expect([seen('hub'), seen('cdn')]).toEqual([new Set(['Bearer hf_secret']), new Set([undefined])])
  })

  test('with a line feed in it is refused', async () => {
    const { code, stderr } = await pull(repo, { HF_TOKEN: 'hf_\nHost: x' })
    expect([code, stderr]).toEqual([2, 'longwave: HF_TOKEN holds characters that no token has\n'])
  })
})

test('a proxy is used', async () => {
  let tunnels = 0
  const proxy = createServer()
  proxy.on('connect', (request, client) => {
    tunnels++
    const [host, port] = request.url!.split(':')
    const server = connect(Number(port), host, () => client.write('HTTP/1.1 200 OK\r\n\r\n'))
    server.pipe(client).pipe(server)
  })
  await new Promise<void>((done) => proxy.listen(0, done))
  const http_proxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  expect((await pull(repo, { http_proxy })).code).toBe(0)
  expect(tunnels).toBeGreaterThan(0)
  proxy.close()
})

test('without links the files themselves lie in the snapshot', async () => {
  const { code } = await pull(repo, { HF_HUB_DISABLE_SYMLINKS: '1' })
  expect(code).toBe(0)
  for (const name of Object.keys(files)) expect(lstatSync(inRepo('snapshots', commit, name)).isFile()).toBe(true)
  expect(readdirSync(inRepo('blobs'))).toEqual([])
  const verified = await command(['models', 'verify', repo], { env })
  expect([verified.code, verified.stdout.toString().match(/^ok /gm)?.length]).toEqual([0, 3])
})
