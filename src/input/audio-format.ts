/** The first bytes of everything that the WAV walker reads: a chunk size of 4 bytes comes after them. */
export const riffIds = ['RIFF', 'RIFX', 'RF64', 'BW64']

/** Bytes from the start of a file that are enough to tell what it is. */
export const audioMagicLength = 12

/** Formats that are left to ffmpeg: name, where its mark stands, the mark. */
const foreign: [string, number, string][] = [
  ['FLAC', 0, 'fLaC'],
  ['Ogg', 0, 'OggS'],
  ['MP3', 0, 'ID3'],
  ['MP4 (M4A)', 4, 'ftyp'],
  ['AIFF', 8, 'AIFF'],
  ['AIFF', 8, 'AIFC'],
  ['SPHERE', 0, 'NIST_1A'],
  ['Matroska or WebM', 0, '\x1a\x45\xdf\xa3'],
  ['Core Audio', 0, 'caff'],
  ['Sun audio', 0, '.snd'],
  ['AMR', 0, '#!AMR'],
  ['Windows Media', 0, '\x30\x26\xb2\x75'],
  ['Wave64', 0, 'riff'],
  ['WavPack', 0, 'wvpk'],
  ["Monkey's Audio", 0, 'MAC '],
]

/** What a file is by its first bytes: `wav`, the name of a format for ffmpeg, or undefined. */
export function audioFormat(head: Uint8Array): 'wav' | (string & {}) | undefined {
  const text = Buffer.from(head).toString('latin1')
  if (riffIds.some((id) => text.startsWith(id))) return 'wav'
  const found = foreign.find(([, at, mark]) => text.startsWith(mark, at))
  return found?.[0] ?? mpegFrame(head)
}

/** MPEG audio without a tag: the header of a frame (ISO 11172-3, 2.4.1.3; 13818-7 for AAC), with no reserved value. */
function mpegFrame([sync, kind, rates]: Uint8Array): string | undefined {
  if (sync !== 0xff || kind === undefined || rates === undefined) return undefined
  if ((kind & 0xf6) === 0xf0) return 'AAC'
  const [version, layer, bitRate, rate] = [(kind >> 3) & 3, (kind >> 1) & 3, rates >> 4, (rates >> 2) & 3]
  const isFrame = kind >= 0xe0 && version !== 1 && layer !== 0 && bitRate !== 0 && bitRate !== 15 && rate !== 3
  return isFrame ? 'MP3' : undefined
}
