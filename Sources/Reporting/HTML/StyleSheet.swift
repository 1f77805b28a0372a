/// The one style sheet of the pages, inline in each.
enum StyleSheet {
  static let text = """
    :root{color-scheme:light dark;\(Palette.light.variables)}
    @media(prefers-color-scheme:dark){:root{\(Palette.dark.variables)}}
    *{box-sizing:border-box}
    html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
    body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",\
    Arial,sans-serif;font-variant-numeric:tabular-nums lining-nums;overflow-wrap:anywhere}
    main,header,footer{max-width:54rem;margin:0 auto;padding:0 1.25rem}
    header{padding-top:3rem}
    header .kind{margin:0;color:var(--muted);font-size:.875rem}
    h1{margin:.15rem 0 .25rem;font-size:clamp(1.6rem,4.5vw,2.25rem);line-height:1.2;font-weight:650;letter-spacing:-.015em}
    header .sub{margin:0;color:var(--muted)}
    h2{margin:3.25rem 0 .75rem;padding-top:.9rem;border-top:1px solid var(--rule);font-size:1.3rem;line-height:1.3;font-weight:620;\
    letter-spacing:-.01em}
    h3{margin:2rem 0 .5rem;font-size:1rem;font-weight:620}
    p{margin:.6rem 0;max-width:44rem}
    .lead{margin:1.6rem 0 0;font-size:1.15rem;line-height:1.6}
    .small{font-size:.875rem}
    .muted,figcaption{color:var(--muted)}
    .note{border-left:4px solid var(--caution);background:var(--panel);margin:1.5rem 0 0;padding:.75rem 1rem;border-radius:0 6px 6px 0}
    .note h2{margin:0;padding:0;border:0;font-size:1rem;color:var(--caution)}
    .note ul{margin:.35rem 0 0;padding-left:1.2rem}
    .note.bad{border-color:var(--bad)}
    .note.bad h2{color:var(--bad)}
    .cards{display:flex;flex-wrap:wrap;gap:1px;margin:1.75rem 0 0;background:var(--rule);border:1px solid var(--rule);\
    border-radius:8px;overflow:hidden}
    .cards div{background:var(--page);padding:.8rem 1rem;flex:1 1 30%}
    .cards dt{color:var(--muted);font-size:.8125rem}
    .cards dd{margin:.1rem 0 0;font-size:1.35rem;font-weight:620;line-height:1.3}
    .cards dd span{display:block;font-size:.8125rem;font-weight:400;color:var(--muted)}
    figure{margin:1.5rem 0 1.75rem}
    figcaption{margin-top:.6rem;font-size:.875rem;max-width:44rem}
    svg{display:block;width:100%;height:auto;overflow:visible}
    svg.narrow{display:none;max-width:30rem}
    @media(max-width:44rem){svg.wide{display:none}svg.narrow{display:block}main,header,footer{padding-left:1rem;padding-right:1rem}\
    header{padding-top:1.75rem}h2{margin-top:2.5rem}.cards div{flex-basis:40%}}
    .scroll{overflow-x:auto;margin:1rem 0 1.5rem;\
    background:linear-gradient(90deg,var(--page) 40%,transparent) 0 0/2.5rem 100% no-repeat local,\
    linear-gradient(270deg,var(--page) 40%,transparent) 100% 0/2.5rem 100% no-repeat local,\
    linear-gradient(90deg,var(--rule),transparent) 0 0/.8rem 100% no-repeat scroll,\
    linear-gradient(270deg,var(--rule),transparent) 100% 0/.8rem 100% no-repeat scroll}
    table{border-collapse:collapse;min-width:min(100%,36rem);font-size:.9rem;overflow-wrap:normal}
    caption{text-align:left;padding:0 0 .4rem;font-weight:620}
    caption span{display:inline-block;position:sticky;left:0;max-width:calc(100vw - 2.5rem)}
    th,td{padding:.35rem .8rem .35rem 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule);vertical-align:top}
    th:last-child,td:last-child{padding-right:0}
    thead th{color:var(--muted);font-weight:500;font-size:.8125rem}
    th:first-child,.x{text-align:left}
    td.prose{white-space:normal;min-width:9rem}
    tbody th{font-weight:450;position:sticky;left:0;background:var(--page)}
    @media(max-width:44rem){tbody th{min-width:7.5rem;max-width:42vw;white-space:normal;overflow-wrap:anywhere}}
    .code td.x,pre,code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.8125rem}
    .code td.x{white-space:normal;overflow-wrap:anywhere;min-width:9rem;width:100%}
    tr.good td:last-child{color:var(--good)}
    tr.bad td:last-child{color:var(--bad);font-weight:620}
    details{margin:1rem 0}
    summary{cursor:pointer;padding:.35rem 0;font-weight:500}
    pre{margin:.5rem 0;padding:.9rem 1rem;background:var(--panel);border-radius:6px;width:max-content;min-width:100%;white-space:pre}
    :focus-visible{outline:2px solid var(--s1);outline-offset:3px;border-radius:3px}
    a{color:var(--s1);text-underline-offset:.2em}
    .skip{position:absolute;left:1rem;top:-6rem;background:var(--panel);padding:.6rem 1rem;border-radius:0 0 6px 6px;z-index:1}
    .skip:focus{top:0}
    main:focus{outline:0}
    nav{margin:1.25rem 0 0;font-size:.9rem}
    nav ul{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;margin:0;padding:0;list-style:none}
    nav a{display:inline-block;padding:.25rem 0}
    section{scroll-margin-top:1rem}
    figure+details{margin-top:-.75rem}
    footer{margin-top:3.5rem;padding-top:1rem;padding-bottom:3rem;color:var(--muted);font-size:.875rem}
    \(plots)
    @media(prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
    @media(forced-colors:active){svg{forced-color-adjust:none;background:var(--page)}.note{border:1px solid}}
    @media print{:root{\(Palette.light.variables)}body{font-size:10pt}nav,.skip{display:none}.scroll{overflow:visible}\
    h2,h3{break-after:avoid}figure,tr,.cards{break-inside:avoid}thead{display:table-header-group}th,td{white-space:normal}}
    """

  /// Classes of the drawings: f filled, r ring, l line, d dots, w faint range, c shade of the heat map.
  private static var plots: String {
    var text = """
      svg text{font-size:12px;fill:var(--ink)}
      svg .tk,svg .lb{fill:var(--muted);font-size:11px}
      svg .vl{font-weight:500}
      svg .b{font-weight:620}
      svg .h{paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}
      svg .g{stroke:var(--rule);stroke-width:1;fill:none}
      svg .ax{stroke:var(--muted);stroke-width:1;fill:none}
      svg .mk{stroke:var(--ink);stroke-width:1.2;stroke-dasharray:4 3;fill:none}

      """
    let dashes = ["", "7 3", "2 3", "9 3 2 3", "5 2", "12 4"]
    for index in 0...Palette.light.series.count {
      let dash = index > 1 ? ";stroke-dasharray:\(dashes[(index - 1) % dashes.count])" : ""
      text += "svg .f\(index){fill:var(--s\(index))}"
      text += "svg .r\(index){fill:var(--page);stroke:var(--s\(index));stroke-width:1.8}"
      text += "svg .l\(index){fill:none;stroke:var(--s\(index));stroke-width:2\(dash)}"
      let (width, cap) = index == 2 ? ("4.6", "square") : ("5", "round")
      text += "svg .d\(index){fill:none;stroke:var(--s\(index));stroke-width:\(width);stroke-linecap:\(cap)}"
      text += "svg .w\(index){fill:none;stroke:var(--s\(index));stroke-width:2;opacity:.45}\n"
    }
    for index in Palette.light.shades.indices { text += "svg .c\(index){fill:var(--c\(index))}" }
    // The pale shades need an edge to be told from no cell at all.
    text += "svg .c0,svg .c1,svg .c2{stroke:var(--s0);stroke-width:.6}"
    return text
  }
}
