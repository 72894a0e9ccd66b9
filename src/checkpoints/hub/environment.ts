import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { exitCodes, UserError } from '../../errors.js'

/**
 * What the environment says of the hub, by the names and the rules of Python's huggingface_hub, so that both find the same files.
 * Asked anew each time: a library's caller may set it late.
 */

const home = () => folder('HF_HOME') ?? join(folder('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'huggingface')

/** The folder of all cached repositories. */
export const cacheFolder = () => folder('HF_HUB_CACHE') ?? folder('HUGGINGFACE_HUB_CACHE') ?? join(home(), 'hub')

/** Nothing is asked of the network. */
export const offline = () => isTrue('HF_HUB_OFFLINE') || isTrue('TRANSFORMERS_OFFLINE')

export const symlinksDisabled = () => isTrue('HF_HUB_DISABLE_SYMLINKS')

/** Milliseconds that a connection may say nothing. */
export const patience = () => 1000 * (Number(variable('HF_HUB_DOWNLOAD_TIMEOUT')) || 10)

/** Errors: 2 for an HF_ENDPOINT that is no address. */
export function endpoint(): URL {
  const text = variable('HF_ENDPOINT') ?? 'https://huggingface.co'
  const url = URL.canParse(text) ? new URL(text) : null
  if (url !== null && /^https?:$/.test(url.protocol)) return url
  throw new UserError(`HF_ENDPOINT is ${text}, expected an address such as https://huggingface.co`, exitCodes.usage)
}

/** HF_TOKEN, or what `hf auth login` has left; undefined: nobody is logged in. Errors: 2 for one that no request can carry. */
export function token(): string | undefined {
  const text = (variable('HF_TOKEN') ?? variable('HUGGING_FACE_HUB_TOKEN') ?? tokenFile()).trim()
  if (/[^\x21-\x7e]/.test(text)) throw new UserError('HF_TOKEN holds characters that no token has', exitCodes.usage)
  return text || undefined
}

function tokenFile(): string {
  try {
    return readFileSync(folder('HF_TOKEN_PATH') ?? join(home(), 'token'), 'utf8')
  } catch {
    return ''
  }
}

/** Empty is as if it were not set. */
const variable = (name: string) => process.env[name] || undefined

/** A path, in which `~` and `$NAME` are replaced: not every place that sets a variable has a shell. */
const folder = (name: string) =>
  variable(name)
    ?.replace(/\$(?:(\w+)|\{(\w+)\})/g, (whole, bare, braced) => process.env[bare ?? braced] ?? whole)
    .replace(/^~(?=\/|$)/, homedir())

const isTrue = (name: string) => /^(1|on|yes|true)$/i.test(process.env[name] ?? '')
