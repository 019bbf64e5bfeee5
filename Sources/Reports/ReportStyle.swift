// SPDX-License-Identifier: Apache-2.0

/// The style sheet of a report.
enum ReportStyle {
  private static let darkVariables = """
    --page:#14171b; --card:#1b1f25; --text:#e6e8eb; --quiet:#a0a7b0; --line:#2e343d; --accent:#6cb6ff;
    --tip:#262b33; --rule:#6b737d;
    """

  static let css = """
    :root { --page:#fbfbfa; --card:#ffffff; --text:#1b1f24; --quiet:#57606a; --line:#e1e4e8; --accent:#0a5cad;
      --tip:#ffffff; --rule:#8c959f; color-scheme: light; }
    :root[data-theme=dark] { \(darkVariables) color-scheme: dark; }
    @media (prefers-color-scheme: dark) { :root:not([data-theme=light]) { \(darkVariables) color-scheme: dark; } }
    * { box-sizing: border-box; }
    body { margin: 0 auto; padding: 32px clamp(14px, 3vw, 40px) 48px; max-width: 1480px; background: var(--page);
      color: var(--text); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
      sans-serif; font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%; }
    .eyebrow { margin: 0; color: var(--quiet); font-size: 13px; letter-spacing: .02em; }
    h1 { margin: 2px 0 18px; font-size: clamp(22px, 3vw, 30px); line-height: 1.2; font-weight: 650; }
    h2 { margin: 36px 0 12px; font-size: 17px; font-weight: 650; }
    .finding { padding: 16px 20px; background: var(--card); border: 1px solid var(--line);
      border-left: 3px solid var(--accent); border-radius: 6px; }
    .headline { margin: 0 0 6px; font-size: 18px; font-weight: 600; }
    .finding ul { display: grid; grid-template-columns: max-content 1fr; gap: 5px 18px; margin: 0; padding: 0;
      list-style: none; }
    .finding li { display: contents; }
    .run { white-space: nowrap; font-weight: 600; }
    .swatch { display: inline-block; width: 18px; height: 3px; margin-right: 8px; vertical-align: middle;
      border-radius: 2px; background: var(--light); }
    :root[data-theme=dark] .swatch { background: var(--dark); }
    @media (prefers-color-scheme: dark) { :root:not([data-theme=light]) .swatch { background: var(--dark); } }
    .toolbar { position: sticky; top: 0; z-index: 3; display: flex; flex-wrap: wrap; justify-content: space-between;
      gap: 6px 16px; margin: 22px 0 0; padding: 8px 0; background: var(--page); border-bottom: 1px solid var(--line); }
    .keys, .switches { display: flex; flex-wrap: wrap; gap: 6px; }
    button { font: inherit; font-size: 13px; padding: 3px 10px; color: var(--text); background: var(--card);
      border: 1px solid var(--line); border-radius: 5px; cursor: pointer; }
    button:hover { border-color: var(--rule); }
    button:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
    .key[aria-pressed=false] { opacity: .45; text-decoration: line-through; }
    #log[aria-pressed=true], #full[aria-pressed=true] { color: var(--card); background: var(--accent); border-color: var(--accent); }
    .grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 16px; }
    figure { position: relative; margin: 0; padding: 12px 14px 10px; min-width: 0; background: var(--card);
      border: 1px solid var(--line); border-radius: 6px; display: flex; flex-direction: column; }
    .chart { position: relative; width: 100%; min-height: 250px; touch-action: pan-y; }
    .chart svg { display: block; max-width: 100%; }
    figcaption { margin-top: 4px; color: var(--quiet); font-size: 13px; line-height: 1.45; }
    .save { white-space: nowrap; }
    .save button { padding: 0 3px; border: 0; background: none; color: var(--accent); font-size: 12px; }
    .zoomable { cursor: crosshair; user-select: none; -webkit-user-select: none; }
    .box { position: absolute; background: var(--accent); opacity: .18; border: 1px solid var(--text); pointer-events: none; }
    .hint { align-self: center; color: var(--quiet); font-size: 12px; } [hidden] { display: none; }
    .rule { position: absolute; width: 1px; background: var(--rule); pointer-events: none; display: none; }
    .dot { position: absolute; width: 8px; height: 8px; margin: -4px 0 0 -4px; border-radius: 50%;
      border: 1.5px solid var(--card); pointer-events: none; }
    #tip { position: fixed; z-index: 5; display: none; padding: 7px 10px; max-width: 320px; background: var(--tip);
      border: 1px solid var(--line); border-radius: 5px; box-shadow: 0 3px 14px rgb(0 0 0 / .18); font-size: 13px;
      line-height: 1.5; pointer-events: none; }
    #tip table { width: auto; } #tip td { padding: 0 0 0 10px; border: 0; } #tip td:first-child { padding-left: 0; }
    #vg-tooltip-element { background: var(--tip) !important; color: var(--text) !important;
      border: 1px solid var(--line) !important; border-radius: 5px !important; font: inherit !important;
      font-size: 13px !important; }
    #vg-tooltip-element td.key { color: var(--quiet) !important; }
    .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--card); }
    table { width: 100%; border-collapse: collapse; font-size: 13.5px; }
    th, td { padding: 8px 10px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
      white-space: nowrap; }
    tbody tr:last-child > * { border-bottom: 0; }
    thead th { color: var(--quiet); font-weight: 500; white-space: normal; vertical-align: bottom; } tbody th { font-weight: 600; }
    .n { text-align: right; }
    .quiet { color: var(--quiet); font-size: 13px; }
    a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
    dl { margin: 0; } dt { font-weight: 600; font-size: 13.5px; } dd { margin: 2px 0 12px; }
    code { display: block; padding: 8px 12px; overflow-x: auto; background: var(--card); border: 1px solid var(--line);
      border-radius: 5px; font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
    footer { margin-top: 40px; border-top: 1px solid var(--line); } footer h2 { margin-top: 18px; font-size: 14px; }
    .facts { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; color: var(--quiet); font-size: 13px; }
    .facts dt { font-size: 13px; font-weight: 500; } .facts dd { margin: 0; overflow-wrap: anywhere; }
    @media (max-width: 600px) { .finding ul { grid-template-columns: 1fr; } .facts { grid-template-columns: 1fr; }
      .facts dd { margin-bottom: 6px; } }
    @media print { .toolbar .switches, .save { display: none; } figure { break-inside: avoid; } }
    """
}
