/**
 * For a terminal: names and ids come from files, and control characters in them (escape sequences, line feeds) must not
 * act on it. Each becomes a question mark.
 */
export const printable = (text: string) => text.replace(/\p{Cc}/gu, '?')

/** For an error line: what a file says may be as long as the file. */
export const shortened = (text: string, longest: number) =>
  text.length <= longest ? text : `${text.slice(0, longest)}...`
