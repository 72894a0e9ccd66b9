import { describe, expect, it } from 'vitest'
import { thinned } from '../../../src/output/report/chart.js'
import { confusionTable } from '../../../src/output/report/confusion.js'
import { html } from '../../../src/output/report/markup.js'
import { pageText, section, table } from '../../../src/output/report/page.js'
import { reliabilityPlot } from '../../../src/output/report/reliability.js'
import { openTags } from './tags.js'

const evil = "\"><script>alert(1)</script>' onload='x"

describe('markup', () => {
  it('escapes what is put into it, in text and in attributes, and keeps markup', () => {
    const inner = html`<b title="${evil}">${evil}</b>`
    expect(inner.text).toBe(
      '<b title="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39; onload=&#39;x">&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39; onload=&#39;x</b>',
    )
    expect(html`<p>${[inner, 1, null, false, '&']}</p>`.text).toBe(`<p>${inner.text}1&amp;</p>`)
  })
})

describe('a page', () => {
  const bins = [{ from: 0.9, to: 1, records: 3, score: 0.95, accuracy: 2 / 3 }]
  const text = pageText({
    maker: 'longwave',
    title: evil,
    facts: [[evil, evil]],
    sections: [
      section(evil, evil, table([{ title: evil, cell: (row: string) => row }], [evil])),
      confusionTable([evil, 'b'], [[2, 1], [0, 3]]), // biome-ignore format: a matrix
      reliabilityPlot(bins),
      null,
    ],
  })

  it('is whole, and holds no element that its data ask for', () => {
    expect(openTags(text)).toEqual([])
    expect(text).not.toMatch(/<script|onload='/i)
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
  })

  it('needs no network and runs nothing', () => {
    expect(text).toContain('content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;"')
    expect(text).not.toMatch(/https?:|\bsrc=|\bhref=|url\(|@import/)
  })

  it('says in words what its drawings show', () => {
    expect(text).toContain('aria-label="Reliability: score 0.9 to 1: 67 % of 3 right"')
    expect(text.match(/<svg /g)!.length).toBe(text.match(/<svg role="img" aria-label="[^"]+"/g)!.length)
  })
})

describe('a confusion matrix', () => {
  it('shows counts, shares of the row and what is right', () => {
    const { text } = confusionTable(['a', 'b'], [[3, 1], [0, 5]]) // biome-ignore format: a matrix
    expect([...text.matchAll(/<td class="([^"]*)" style="--share:([\d.]+)"[^>]*>(\d+)</g)].map((m) => m.slice(1))).toEqual([
      ['hot right', '0.750', '3'],
      ['', '0.250', '1'],
      ['zero', '0.000', '0'],
      ['hot right', '1.000', '5'],
    ]) // biome-ignore format: a table
    expect(text).toContain('title="1 of 4 a called b (25.0 %)"')
  })

  it('of very many classes shows the largest, and the others as one', () => {
    const classes = 40
    const labels = Array.from({ length: classes }, (_, i) => `l${i}`)
    const counts = labels.map((_, t) => labels.map((_, c) => (t === c ? t : 0)))
    const { text } = confusionTable(labels, counts)
    const rows = [...text.matchAll(/<th scope="row"[^>]*>([^<]*)</g)].map(([, name]) => name)
    expect(rows).toEqual([...labels.slice(17), '17 others'])
    // What is right within the others is among them: 0 + 1 + ... + 16.
    expect(text).toMatch(/title="136 of 136 17 others called 17 others/)
  })
})

it('a curve through many points is thinned to what can be seen, and keeps its ends', () => {
  const points = Array.from({ length: 10_001 }, (_, i) => [i / 10_000, (i / 10_000) ** 2] as const)
  const kept = thinned(points, 0.01)
  expect(kept.length).toBeLessThan(220)
  expect([kept[0], kept.at(-1)]).toEqual([[0, 0], [1, 1]]) // biome-ignore format: points
  for (const [x, y] of kept) expect(y).toBeCloseTo(x * x, 12)
})
