/** The report's style sheet: light and dark, readable at the width of a phone, colours that colour-blind people tell apart. */

export const REPORT_STYLE = `
:root { color-scheme: light dark; --paper:#fff; --ink:#1b1f24; --quiet:#5b6470; --line:#e3e7ec; --panel:#f6f8fa; --good:#0a7d4f; --bad:#b3261e; --mark:#dff3e7;
  --capacity:rgba(120,130,145,.16); --capacity-edge:rgba(120,130,145,.55);
  --c0:#0072b2; --c1:#d55e00; --c2:#009e73; --c3:#b8478f; --c4:#a07800; --c5:#3b9fd6; --c6:#6a51a3; --c7:#5c5c5c; }
@media (prefers-color-scheme: dark) { :root { --paper:#14171b; --ink:#e8ebef; --quiet:#9aa4b0; --line:#2b3138; --panel:#1c2026; --good:#4cc38a; --bad:#ff8a80; --mark:#173626;
  --capacity:rgba(160,172,190,.15); --capacity-edge:rgba(160,172,190,.5);
  --c0:#4ea8de; --c1:#ff8c42; --c2:#2ec4a0; --c3:#e07ab8; --c4:#e0b93a; --c5:#8ccff5; --c6:#a796e0; --c7:#b5b5b5; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--paper); color:var(--ink); font:16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width:1080px; margin:0 auto; padding:28px 20px 60px; }
h1 { font-size:28px; line-height:1.2; margin:0 0 4px; } h2 { font-size:21px; margin:44px 0 4px; padding-top:18px; border-top:1px solid var(--line); } h3 { font-size:15px; margin:18px 0 6px; }
p { margin:6px 0 12px; max-width:76ch; } .quiet { color:var(--quiet); } small, .small { font-size:13px; }
a { color:inherit; }
.terms { display:grid; grid-template-columns:repeat(auto-fit,minmax(220px,1fr)); gap:8px 24px; margin:14px 0 6px; font-size:14px; color:var(--quiet); }
.terms b { color:var(--ink); }
.key { width:14px; height:14px; margin-right:6px; vertical-align:-2px; flex:none; }
.overview { background:var(--panel); border-radius:10px; padding:6px 18px 14px; margin:14px 0; }
.overview .row { display:grid; grid-template-columns:180px 1fr 76px; align-items:center; gap:12px; min-height:26px; font-size:14px; }
.overview .name { overflow-wrap:anywhere; }
.overview .track { position:relative; height:26px; }
.overview .tick { position:absolute; top:0; bottom:0; width:1px; background:var(--line); }
.overview .bar { position:absolute; top:11px; height:4px; border-radius:2px; opacity:.45; }
.overview .dot { position:absolute; width:16px; height:16px; margin:5px 0 0 -8px; }
.overview b { position:absolute; top:2px; font-weight:600; white-space:nowrap; font-size:13px; background:var(--panel); border-radius:3px; padding:0 3px; }
.overview em { color:var(--bad); font-style:normal; }
.overview .stalled { text-align:right; font-variant-numeric:tabular-nums; }
.overview .axis { color:var(--quiet); font-size:12px; } .overview .axis span span { position:absolute; transform:translateX(-50%); white-space:nowrap; }
.good { color:var(--good); } .bad { color:var(--bad); } .narrow { display:none; }
.heads { display:grid; grid-template-columns:180px 1fr 76px; gap:12px; font-size:12px; color:var(--quiet); padding:8px 0 0; } .heads span:last-child { text-align:right; }
table { border-collapse:collapse; width:100%; margin:12px 0 4px; font-size:14px; font-variant-numeric:tabular-nums; }
th { text-align:right; font-weight:500; color:var(--quiet); font-size:12px; padding:4px 8px; vertical-align:bottom; border-bottom:1px solid var(--line); }
td { text-align:right; padding:7px 8px; border-bottom:1px solid var(--line); vertical-align:top; white-space:nowrap; } th:first-child, td:first-child { text-align:left; white-space:normal; overflow-wrap:anywhere; min-width:130px; }
td .interval { display:block; color:var(--quiet); font-size:11.5px; } td.best { background:var(--mark); } td.best b::after { content:" best"; color:var(--good); font-size:11px; font-weight:600; }
td b { font-weight:600; } .note { display:block; color:var(--bad); font-size:12px; white-space:normal; }
.charts { display:grid; grid-template-columns:1fr 1fr; gap:10px 28px; } .charts > div { min-width:0; } .wide { grid-column:1 / -1; }
.caption { font-size:13px; color:var(--quiet); margin:0 0 6px; max-width:none; }
.repeats { display:inline-flex; gap:4px; margin:2px 0 6px; } .repeats button { font:inherit; font-size:12.5px; padding:2px 10px; border:1px solid var(--line); border-radius:14px; background:none; color:inherit; cursor:pointer; }
.repeats button[aria-pressed=true] { background:var(--ink); color:var(--paper); border-color:var(--ink); }
.scatter { width:100%; max-width:520px; height:auto; display:block; } .scatter text { fill:var(--quiet); font-size:11.5px; } .scatter .label { font-size:12px; } .scatter .grid line { stroke:var(--line); }
.legend { display:flex; flex-wrap:wrap; gap:2px 16px; font-size:13px; } .legend span { display:inline-flex; align-items:center; }
.u-legend { font-size:12.5px !important; text-align:left !important; margin-top:2px; } .u-legend .u-marker { border-radius:2px; } .u-title { display:none; } .uplot, .u-wrap { max-width:100%; }
.u-legend th { font-weight:400; padding:2px 4px; border:0; color:var(--ink); font-size:12.5px; vertical-align:middle; } .u-legend td { display:table-cell; padding:2px 4px; border:0; } .u-legend tr { display:inline-block; margin-right:10px; } .u-legend { width:auto; } .u-legend td::before { display:none; }
.u-legend .u-value { min-width:58px; display:inline-block; text-align:left !important; }
.faults { font-size:13px; } .faults pre { white-space:pre-wrap; overflow-wrap:anywhere; background:var(--panel); padding:8px 10px; border-radius:6px; margin:4px 0 10px; }
.facts { display:grid; grid-template-columns:max-content 1fr; gap:2px 18px; font-size:14px; margin:8px 0; } .facts dt { color:var(--quiet); } .facts dd { margin:0; overflow-wrap:anywhere; }
.warning { border-left:3px solid var(--bad); padding:4px 12px; margin:12px 0; background:var(--panel); }
@media (max-width:760px) {
  main { padding:18px 14px 40px; } h1 { font-size:23px; } .charts { grid-template-columns:minmax(0,1fr); }
  .overview { padding:4px 12px 12px; } .overview .row { grid-template-columns:1fr auto; gap:0 10px; margin-bottom:4px; } .overview .track { grid-column:1 / -1; order:3; } .overview .axis > span:first-child, .overview .axis > span:last-child { display:none; } .heads { display:none; } .narrow { display:inline; }
  .numbers thead { display:none; } .numbers tr { display:grid; grid-template-columns:repeat(3,1fr); border-bottom:1px solid var(--line); padding:8px 0; } .numbers td { border:0; padding:3px 4px; text-align:left; white-space:normal; } .numbers td:first-child { grid-column:1 / -1; font-weight:600; }
  .numbers td[data-label]::before { content:attr(data-label); display:block; color:var(--quiet); font-size:11px; }
  .facts { grid-template-columns:1fr; } .facts dd { margin-bottom:6px; }
}
@media print { .repeats { display:none; } .charts > div { break-inside:avoid; } }
`;
