import { html, Markup, type Part } from './markup.js'
import { style } from './style.js'

/** The top of a report. */
export interface PageHead {
  /** What made it, such as `longwave 0.1.0 evaluate`. */
  maker: string
  title: string
  /** What it was made from. */
  facts: readonly (readonly [name: string, value: Part])[]
}

/** A report: one file that needs no network and no scripts, light or dark as the reader's system is, and on paper. */
export interface Page extends PageHead {
  sections: readonly (Markup | null)[]
}

/** Nothing is loaded and nothing runs, whatever the page says. */
const policy = "default-src 'none'; style-src 'unsafe-inline'"

export function pageText({ maker, title, facts, sections }: Page): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="${maker}">
<title>${title}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<header>
<p class="maker">${maker}</p>
<h1>${title}</h1>
<dl>${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>
<main>
${sections}
</main>
</body>
</html>
`
  return page.text
}

/** A part of the page under its own heading; `note` says how to read it. */
export const section = (title: string, note: Part, content: Part): Markup => html`<section>
<h2>${title}</h2>
<p class="note">${note}</p>
${content}
</section>
`

/** Large figures side by side, each with what stands below it; `note` is on all of them. */
export const tiles = (figures: readonly (readonly [name: string, value: string, below: Part])[], note: Part): Markup =>
  html`<dl class="tiles">${figures.map(
    ([name, value, below]) => html`<div><dt>${name}</dt><dd>${value}<small>${below}</small></dd></div>`,
  )}</dl>
<p class="note">${note}</p>
`

export interface Column<Row> {
  title: Part
  cell(row: Row): Part
  /** A number from 0 to 1, drawn as a bar behind the cell. */
  bar?(row: Row): number
  text?: boolean
}

/** A table whose first column names its rows; numbers to the right. */
export const table = <Row>(columns: readonly Column<Row>[], rows: readonly Row[]): Markup => {
  const kind = ({ text }: Column<Row>) => (text ? html` class="text"` : null)
  const cell = (column: Column<Row>, row: Row, first: boolean) => {
    const bar = column.bar && html`<i style="--share:${column.bar(row).toFixed(3)}"></i>`
    const content = html`${bar ?? null}<span>${column.cell(row)}</span>`
    return first ? html`<th scope="row">${content}</th>` : html`<td${kind(column)}>${content}</td>`
  }
  return html`<div class="wide"><table>
<thead><tr>${columns.map((column) => html`<th scope="col"${kind(column)}>${column.title}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${columns.map((column, i) => cell(column, row, i === 0))}</tr>\n`)}</tbody>
</table></div>
`
}

/** What is long, folded away until it is asked for. */
export const folded = (title: string, content: Part): Markup =>
  html`<details><summary>${title}</summary>${content}</details>
`

/** A drawing and what it shows in words. */
export const figure = (drawing: Part, caption: Part): Markup =>
  html`<figure>${drawing}<figcaption>${caption}</figcaption></figure>
`
