"""The style sheet of the status page: light and dark, from a phone to a wide screen."""

STYLE = """
:root { color-scheme: light dark; --line: #8883; --warn: #b45309 }
@media (prefers-color-scheme: dark) { :root { --warn: #fbbf24 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 88rem; font: 15px/1.45 system-ui, sans-serif }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; margin-bottom: 1rem }
h1 { font-size: 1.35rem; margin: 0 }
h2 { font-size: 1.02rem; margin: 0; display: flex; gap: .5rem; align-items: baseline }
h2 .dim { font-weight: 400; font-size: .9rem }
h2 .id { font-variant-numeric: tabular-nums }
.dim, .id, .question, .number + .number, footer { color: color-mix(in srgb, currentColor 62%, transparent) }
.question { margin: .1rem 0 .5rem; font-size: .88rem }
main { columns: 24rem; column-gap: .8rem; margin-bottom: .8rem }
section { border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .8rem; margin-bottom: .8rem }
main section { break-inside: avoid }
section > p:last-child { margin-bottom: 0 }
.now { font-size: 1.6rem; line-height: 1.2; font-weight: 600; font-variant-numeric: tabular-nums }
.now .of { font-size: .88rem; font-weight: 400 }
.targets .number + .number { color: inherit }
meter { width: 100%; height: .9rem }
table { border-collapse: collapse; width: 100%; font-size: .86rem }
td, th { padding: .16rem .35rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line) }
.why { overflow-wrap: anywhere }
th { font-weight: 500; overflow-wrap: break-word }
tr.of > * { border-top: 0; padding-top: 0 }
tr.of > th { font-weight: 400; padding-left: 1rem }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.unknown { color: var(--warn); font-weight: 600 }
.why { font-size: .84rem }
code, .log { font: .82rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
.log { margin: 0; padding: 0; list-style: none; max-height: 18rem; overflow: auto }
summary { cursor: pointer; font-size: .84rem }
footer { margin-top: 1rem; font-size: .85rem }
@media (max-width: 40rem) {
  .now .of { display: block; line-height: 1.45 }
  .targets tr { display: grid; grid-template-columns: 1fr auto 4.6rem; border-top: 1px solid var(--line) }
  .targets tr > * { border: 0; min-width: 0; overflow-wrap: anywhere }
  .targets tr > :nth-child(2) { grid-row: 2; grid-column: 1 / -1; padding-top: 0 }
  .targets .why { display: inline; margin-left: .4rem }
  td:not(.number) { overflow-wrap: anywhere }
  .targets tr:first-child > :nth-child(2) { display: none }
}
"""
