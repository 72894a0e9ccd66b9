/**
 * What is documented and cannot be run as it stands, each with its reason. A test fails for a command that is in none
 * of these lists and does not run, and for an entry that no document has any more.
 */

/** Blocks that are no command lines, by their first line. */
export const notShell: { starts: string; why: string }[] = [
  {
    starts: "import { openModel } from 'longwave'",
    why: 'JavaScript; library.test.ts runs it',
  },
  {
    starts: "import { openModel, UserError } from 'longwave'",
    why: 'JavaScript; library.test.ts runs it',
  },
  { starts: 'rule origin:', why: 'Snakemake is not installed here; its shell lines are run' },
  { starts: 'process ORIGIN {', why: 'Nextflow is not installed here; its script lines are run' },
  { starts: 'reads.fq: record r17,', why: 'an error line, not a command' },
  { starts: '{"id":"read0"', why: 'a line of output' },
]

/**
 * What stands for the wildcards of workflow engines, whose lines begin with these words (`{x}` also stands for `${x}`).
 */
export const wildcards: { starts: string; values: Record<string, string> }[] = [
  {
    starts: 'longwave classify -m origin -t {threads}',
    values: {
      '{threads}': '2',
      '{input}': 'reads.fq.gz',
      '{output.calls}': 'calls.tsv.gz',
      '{output.totals}': 'totals.tsv',
    },
  },
  {
    starts: 'longwave transcribe -m digits -t {threads}',
    values: { '{threads}': '2', '{input}': 'numbers.mp3', '{output}': 'numbers-of-one.tsv' },
  },
  {
    starts: 'longwave classify -m origin -t {task.cpus}',
    values: { '{task.cpus}': '2', '{sample}': 'one', '{reads}': 'reads.fq.gz' },
  },
  {
    starts: 'longwave transcribe -m digits -t {task.cpus}',
    values: { '{task.cpus}': '2', '{recordings}': 'recordings/*.wav' },
  },
]

/** Commands that are not run here. */
export const notRun: { starts: string; why: string }[] = [
  {
    starts: 'npm ci --ignore-scripts',
    why: 'it made the checkout that this test runs in; .ci/run runs it in a fresh one',
  },
  { starts: 'npm pack', why: 'test/install runs it' },
  { starts: 'npm run pack:gpu-bench', why: 'test/install runs its script' },
  { starts: 'npm i -g --ignore-scripts longwave-', why: 'test/install runs it' },
]

/**
 * Commands that end within seconds with these flags behind them, on one thread unless they say otherwise (test/run-command.ts). A benchmark
 * that names no model gets that of its example, as the same line runs once.
 */
export const shortened: { starts: string; flags: string; why: string }[] = [
  { starts: 'longwave bench classify -m', flags: '--rounds 1 --tokens 2000', why: 'a minute' },
  { starts: 'longwave bench classify', flags: '-m origin --rounds 1 --tokens 2000', why: 'two minutes' },
  { starts: 'longwave bench embed -m', flags: '--rounds 1 --tokens 2000', why: 'a minute' },
  { starts: 'longwave bench embed', flags: '-m origin --rounds 1 --tokens 2000', why: 'two minutes' },
  { starts: 'longwave bench transcribe -m', flags: '--rounds 1 --minutes 1 --beam 1', why: 'an hour of audio' },
  { starts: 'longwave bench transcribe', flags: '-m english --rounds 1 --minutes 1 --beam 1', why: 'an hour of audio' },
  { starts: 'longwave bench long', flags: '--tokens 4096 --reference 100 --layers 1 --d-model 8', why: 'an hour' },
  { starts: 'longwave bench train', flags: '--rounds 1 --length 50 --layers 1 --d-model 16', why: 'two minutes' },
  { starts: 'longwave bench scan', flags: '--rounds 1 --rows 64 --batch 1 --tokens 0', why: 'two minutes' },
  { starts: 'longwave bench fasta', flags: '--rounds 1 --megabytes 1', why: 'a minute' },
  { starts: 'longwave bench operations', flags: '--rounds 1 --rows 64', why: 'a minute' },
  { starts: 'longwave train', flags: '--epochs 1', why: 'up to 60 passes over the data' },
  { starts: 'zcat *.fa.gz | longwave train', flags: '--epochs 1', why: 'as many' },
]

/** Commands that rightly print nothing on this folder's data. */
export const mayPrintNothing: { starts: string; why: string }[] = [
  { starts: 'find numbers', why: 'no recording in fixtures/ says seven' },
  { starts: 'mkdir -p', why: 'it makes a folder' },
  { starts: 'longwave models remove', why: 'it says on standard error what it did' },
]
