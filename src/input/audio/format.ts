/** The first bytes of everything that the WAV walker reads: a chunk size of 4 bytes comes after them. */
export const riffIds = ['RIFF', 'RIFX', 'RF64', 'BW64']

/** Bytes from the start of a file that are enough to tell what it is, or that it is text. */
export const audioMagicLength = 4096

/** Formats that are no WAV: name, where its mark stands, the mark; the start of the file, where that is not the mark. */
const foreign: [string, number, string, string?][] = [
  ['FLAC', 0, 'fLaC'],
  ['Ogg', 0, 'OggS'],
  ['MP3', 0, 'ID3'],
  ['MP4 (M4A)', 4, 'ftyp', '\0'],
  ['QuickTime', 4, 'moov', '\0'],
  ['QuickTime', 4, 'mdat', '\0'],
  ['QuickTime', 4, 'wide', '\0'],
  ['AIFF', 8, 'AIFF', 'FORM'],
  ['AIFF', 8, 'AIFC', 'FORM'],
  ['SPHERE', 0, 'NIST_1A'],
  ['Matroska or WebM', 0, '\x1a\x45\xdf\xa3'],
  ['Core Audio', 0, 'caff'],
  ['Sun audio', 0, '.snd'],
  ['AMR', 0, '#!AMR'],
  ['Windows Media', 0, '\x30\x26\xb2\x75'],
  ['Wave64', 0, 'riff'],
  ['WavPack', 0, 'wvpk'],
  ["Monkey's Audio", 0, 'MAC '],
  ['AVI', 8, 'AVI ', 'RIFF'],
  ['Flash video', 0, 'FLV\x01'],
  ['MPEG program stream', 0, '\0\0\x01\xba'],
  ['AC-3', 0, '\x0b\x77'],
  ['True Audio', 0, 'TTA1'],
  ['Creative Voice', 0, 'Creative Voice File'],
  ['RealMedia', 0, '.RMF'],
]

export const unknownFormat =
  'no known format of audio, expected WAV or what ffmpeg reads; ' +
  'raw samples need a header: ffmpeg -f s16le -ar 16000 -ac 1 -i FILE NEW.wav'

/** What a file is by its first bytes: `wav`, the name of another format, or undefined. */
export function audioFormat(head: Uint8Array): 'wav' | (string & {}) | undefined {
  const text = Buffer.from(head).toString('latin1')
  const found = foreign.find(([, at, mark, start = '']) => text.startsWith(mark, at) && text.startsWith(start))
  if (found) return found[0]
  if (riffIds.some((id) => text.startsWith(id))) return 'wav'
  return isText(head) ? undefined : (mpegFrame(head) ?? transportStream(head))
}

/** Whether a file of a folder is a recording: a format that is known, and no picture in its container. */
export function isRecording(head: Uint8Array): boolean {
  const kind = Buffer.from(head.subarray(4, 12)).toString('latin1')
  const picture = kind.endsWith('WEBP') || /^ftyp(hei|hev|mif|msf|avi|crx)/.test(kind)
  return !picture && audioFormat(head) !== undefined
}

/** UTF-8 or UTF-16 up to the end, or a zero byte: no audio, but playlists and such, which name other files. */
export function isText(head: Uint8Array): boolean {
  if (head[0] === 0xff && head[1] === 0xfe && head[3] === 0) return true
  const zero = head.indexOf(0)
  const start = zero < 0 ? head : head.subarray(0, zero)
  if (start.length < Math.min(head.length, shortestText)) return false
  try {
    // `stream`: the last character may be cut off.
    return !/[^\P{Cc}\t\n\r\f\v]/u.test(new TextDecoder('utf-8', { fatal: true }).decode(start, { stream: true }))
  } catch {
    return false
  }
}

/** Marks of binary formats are shorter. */
const shortestText = 16

/** MPEG-TS: packets of 188 bytes that begin with 'G'. */
const transportStream = (head: Uint8Array) =>
  head.length > 376 && [0, 188, 376].every((at) => head[at] === 0x47) ? 'MPEG transport stream' : undefined

/** MPEG audio without a tag: the header of a frame (ISO 11172-3, 2.4.1.3; 13818-7 for AAC), with no reserved value. */
function mpegFrame([sync, kind, rates]: Uint8Array): string | undefined {
  if (sync !== 0xff || kind === undefined || rates === undefined) return undefined
  if ((kind & 0xf6) === 0xf0) return 'AAC'
  const [version, layer, bitRate, rate] = [(kind >> 3) & 3, (kind >> 1) & 3, rates >> 4, (rates >> 2) & 3]
  const isFrame = kind >= 0xe0 && version !== 1 && layer !== 0 && bitRate !== 0 && bitRate !== 15 && rate !== 3
  return isFrame ? 'MP3' : undefined
}
