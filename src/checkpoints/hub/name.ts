import { exitCodes, UserError } from '../../errors.js'

/** A model on a hub of Hugging Face, at a branch, a tag or a commit. */
export interface HubName {
  /** `ORG/NAME` */
  repo: string
  revision: string
}

const most = 96

/**
 * `ORG/NAME` or `ORG/NAME@REVISION`, by the rules that the hub has for names; null for anything else, such as a path. Without a
 * revision it is the branch `main`. Neither part can leave the folder that it names in the cache.
 */
export function parseHubName(text: string): HubName | null {
  const [, repo, revision = 'main'] = /^(\w[\w.-]*\/\w[\w.-]*)(?:@(\w[\w./-]*))?$/.exec(text) ?? []
  if (repo === undefined || repo.length > most || /--|\.\.|[.-](\/|$)|\.git$/.test(repo)) return null
  return /\.\.|\/\/|\/$/.test(revision) ? null : { repo, revision }
}

/** Errors: 2 for anything else than the name of a model on a hub. */
export function hubName(text: string): HubName {
  const name = parseHubName(text)
  if (name !== null) return name
  throw new UserError(`${text}: expected a model of the hub: ORG/NAME or ORG/NAME@REVISION`, exitCodes.usage)
}

/** As `-m` takes it. */
export const hubNameText = ({ repo, revision }: HubName) => (revision === 'main' ? repo : `${repo}@${revision}`)

/** Whether a revision is a commit, which is the same for ever. */
export const isCommit = (revision: string) => /^[0-9a-f]{40}$/.test(revision)
