import { html, type Markup } from './markup.js'

/** Classes that have a row and a column of their own. */
const most = 24
const wordy = 10

/**
 * The counts [truth][called] as a table: a cell is as dark as its share of its row, and counts of what is right are
 * framed. Of very many classes the largest are shown, the others as one.
 */
export function confusionTable(labels: readonly string[], counts: readonly (readonly number[])[]): Markup {
  const { names, cells } = labels.length > most ? largest(labels, counts) : { names: labels, cells: counts }
  const rows = names.map((name, t) => {
    const support = cells[t].reduce((sum, count) => sum + count, 0)
    const row = cells[t].map((count, c) => {
      const share = support === 0 ? 0 : count / support
      const kinds = [count === 0 && 'zero', share > 0.7 && 'hot', t === c && 'right'].filter((kind) => kind !== false)
      const says = `${count} of ${support} ${name} called ${names[c]} (${(100 * share).toFixed(1)} %)`
      return html`<td class="${kinds.join(' ')}" style="--share:${share.toFixed(3)}" title="${says}">${count}</td>`
    })
    return html`<tr><th scope="row" title="${name}">${name}</th>${row}</tr>\n`
  })
  return html`<div class="wide"><table class="confusion${names.length > wordy && ' many'}">
<thead><tr><td></td><th colspan="${names.length}">called</th></tr><tr><th>truth</th>${names.map((name) => html`<th scope="col" title="${name}">${name}</th>`)}</tr></thead>
<tbody>${rows}</tbody>
</table></div>
`
}

function largest(labels: readonly string[], counts: readonly (readonly number[])[]) {
  const support = counts.map((row) => row.reduce((sum, count) => sum + count, 0))
  const bySize = labels.map((_, i) => i).sort((a, b) => support[b] - support[a])
  const shown = bySize.slice(0, most - 1).sort((a, b) => a - b)
  const group = labels.map((_, i) => (shown.includes(i) ? shown.indexOf(i) : shown.length))
  const cells = Array.from({ length: shown.length + 1 }, () => new Array<number>(shown.length + 1).fill(0))
  for (const [t, row] of counts.entries()) for (const [c, count] of row.entries()) cells[group[t]][group[c]] += count
  return { names: [...shown.map((i) => labels[i]), `${labels.length - shown.length} others`], cells }
}
