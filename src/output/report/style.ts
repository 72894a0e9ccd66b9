/** Of all reports. Meaning never rests on colour alone: lines have dashes, lanes have names, cells have numbers. */
export const style = `
:root {
  color-scheme: light dark;
  --back: #ffffff; --fore: #1c2126; --muted: #59636e; --line: #d5dbe1; --grid: #e8ecf0; --panel: #f5f7f9;
  --heat: 10 92 160; --on-heat: #ffffff; --bar: #cfe2f3;
  --c0: #0a5ca0; --c1: #c2540a; --c2: #0b7a57; --c3: #a3378f; --c4: #8a6d00; --c5: #3d4f9f; --c6: #9c3131; --c7: #5b6470;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --back: #13171c; --fore: #e4e8ec; --muted: #9aa5b1; --line: #323b45; --grid: #252c34; --panel: #1a2027;
    --heat: 96 174 236; --on-heat: #0b1015; --bar: #21405c;
    --c0: #60aeec; --c1: #f0955a; --c2: #4cc39a; --c3: #dd8bcc; --c4: #d4b84a; --c5: #93a5f0; --c6: #ef8686; --c7: #9aa5b1;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; background: var(--back); color: var(--fore);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
h1 { margin: 0 0 .75rem; font-size: 1.75rem; line-height: 1.25; font-weight: 650; overflow-wrap: anywhere; }
h2 { margin: 0; font-size: 1.15rem; font-weight: 650; }
h3 { margin: 1.5rem 0 .25rem; font-size: 1rem; font-weight: 600; overflow-wrap: anywhere; }
h3 small { margin-left: .6em; color: var(--muted); font-weight: 400; }
section { margin-top: 2.75rem; }
.maker { margin: 0 0 .25rem; color: var(--muted); font-size: .85rem; letter-spacing: .02em; }
.note { margin: .15rem 0 .9rem; max-width: 46rem; color: var(--muted); }
header { padding-bottom: 1.25rem; border-bottom: 1px solid var(--line); }
header dl { display: flex; flex-wrap: wrap; gap: .35rem 2rem; margin: 0; }
header dt, .tiles dt { color: var(--muted); font-size: .8rem; }
header dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.75rem, 1fr)); gap: .75rem; margin: 1.5rem 0 0; }
.tiles > div { padding: .7rem .9rem; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
.tiles dd { margin: 0; font-size: 1.6rem; font-weight: 600; line-height: 1.3; }
.tiles small { display: block; min-height: 1.2em; color: var(--muted); font-size: .8rem; font-weight: 400; }
.tiles + .note { margin-top: .75rem; font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { position: relative; padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--grid); }
th { font-weight: 600; }
thead th { color: var(--muted); font-weight: 500; vertical-align: bottom; border-bottom-color: var(--line); }
th[scope=row], th:first-child, .text { text-align: left; overflow-wrap: anywhere; min-width: 7rem; max-width: 26rem; }
td > i { position: absolute; left: .35rem; bottom: .2rem; top: .2rem; width: calc(var(--share) * (100% - .7rem)); background: var(--bar); border-radius: 2px; }
td:has(> i) { min-width: 5.5rem; }
td > span { position: relative; }
.confusion td { min-width: 3.1rem; padding: .45rem .5rem; text-align: center; border: 2px solid var(--back); border-radius: 6px; background: rgb(var(--heat) / var(--share)); }
.confusion td.hot { color: var(--on-heat); }
.confusion td.zero { color: var(--muted); }
.confusion td.right { font-weight: 700; outline: 1.5px solid var(--fore); outline-offset: -3px; }
.confusion th { border: 0; min-width: 0; max-width: 12rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.confusion thead th { text-align: center; }
.confusion.many thead tr:last-child th:not(:first-child) { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; padding: .4rem .1rem; }
.confusion.many td { min-width: 2rem; padding: .3rem .25rem; font-size: .8rem; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .45em; border-radius: 2px; vertical-align: -.05em; }
figure { margin: 0; }
.beside { display: flex; flex-wrap: wrap; gap: 1rem 3rem; align-items: flex-start; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .25rem 0; color: var(--muted); font-size: .85rem; }
.legend span { display: inline-flex; align-items: center; gap: .5rem; }
figcaption { color: var(--muted); font-size: .85rem; max-width: 46rem; }
.grid figure { display: flex; flex-direction: column-reverse; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1.25rem 1.5rem; }
svg { display: block; max-width: 100%; height: auto; overflow: visible; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--muted); font-variant-numeric: tabular-nums; }
svg .name { fill: var(--fore); }
svg .grid-line { stroke: var(--grid); }
svg .axis { stroke: var(--line); fill: none; }
svg .ideal { stroke: var(--muted); stroke-dasharray: 2 4; fill: none; }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
details { margin-top: .75rem; }
summary { color: var(--muted); cursor: pointer; }
@media print {
  body { max-width: none; padding: 0; font-size: 12px; }
  section, figure, .tiles > div, tr { break-inside: avoid; }
  .wide { overflow: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`
