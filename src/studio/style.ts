/** The look of the studio: that of the reports, and what a page needs besides that does something. */
import { PAGE_STYLE } from '../report/page.js';

const OWN = `
:root{--good:#0b7a55;--good-soft:#0b7a5520;--bad:#b3261e;--bad-soft:#b3261e17;--wait:#8a6d00;--shade:0 1px 2px #0000000d,0 8px 24px #0000000f}
@media (prefers-color-scheme:dark){:root{--good:#4fd3a3;--good-soft:#4fd3a326;--bad:#ff8a80;--bad-soft:#ff8a8024;--wait:#e6c65a;--shade:0 1px 2px #0006,0 8px 24px #0006}}
main,footer,.bar-in{max-width:76rem;margin:0 auto;padding:0 clamp(1rem,3vw,2rem)}
header.bar{max-width:none;padding:0;position:sticky;top:0;z-index:5;background:color-mix(in srgb,var(--ground) 88%,transparent);backdrop-filter:blur(10px);border-bottom:1px solid var(--line)}
.bar-in{display:flex;align-items:center;gap:.35rem 1.25rem;min-height:3.4rem;flex-wrap:wrap}
.mark{font-weight:700;letter-spacing:-.02em;color:var(--ink);font-size:1.0625rem;white-space:nowrap}
.mark b{color:var(--accent);font-weight:700}
.where{color:var(--soft);font-size:.875rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;max-width:18rem}
.bar nav{margin-left:auto;display:flex;gap:.25rem}
.bar nav a{padding:.4rem .75rem;border-radius:8px;color:var(--soft);font-weight:500;font-size:.9375rem}
.bar nav a[aria-current]{color:var(--ink);background:var(--accent-soft)}
.bar nav a:hover{text-decoration:none;color:var(--ink)}
.lost{background:var(--bad-soft);color:var(--bad);font-size:.9rem;padding:.5rem 1rem;text-align:center}
main{padding-top:1.5rem;padding-bottom:5rem;min-height:70vh}
h1{font-size:clamp(1.6rem,4vw,2.15rem);margin:.15rem 0 .5rem}
.lede{font-size:1.02rem}
h2{margin:2.5rem 0 .9rem;scroll-margin-top:4.5rem}
section:first-of-type>h2{margin-top:2rem}
a.back{font-size:.9rem}
button,.button,input,select,textarea{font:inherit;color:inherit}
button,.button{display:inline-flex;align-items:center;justify-content:center;gap:.4rem;border:1px solid var(--line);background:var(--card);border-radius:9px;padding:.45rem .85rem;font-size:.9375rem;font-weight:500;cursor:pointer;line-height:1.3;color:var(--ink);min-height:2.3rem}
button:hover:not(:disabled),.button:hover{border-color:var(--faint);text-decoration:none}
button:disabled{opacity:.55;cursor:default}
button.primary,.button.primary{background:var(--accent);border-color:var(--accent);color:#fff}
@media (prefers-color-scheme:dark){button.primary,.button.primary{color:#0c1013}}
button.quiet{border-color:transparent;background:none;color:var(--accent);padding:.3rem .5rem;min-height:0}
button.danger{color:var(--bad)}
button:focus-visible,.button:focus-visible,input:focus-visible,select:focus-visible,textarea:focus-visible,tr:focus-visible,[tabindex]:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
input[type=text],input[type=search],input[type=number],input:not([type]),select,textarea{background:var(--card);border:1px solid var(--line);border-radius:9px;padding:.45rem .7rem;width:100%;min-width:0;font-size:.9375rem;min-height:2.3rem}
select{width:auto;max-width:100%;padding-right:1.6rem}
textarea{min-height:5rem;resize:vertical;line-height:1.45}
input[type=checkbox],input[type=radio]{accent-color:var(--accent);width:1.05rem;height:1.05rem;margin:0;flex:none}
.tools{display:flex;flex-wrap:wrap;gap:.6rem;align-items:center;margin:1rem 0 1rem}
.tools .search{flex:1 1 14rem;max-width:24rem}
.tools label{display:inline-flex;gap:.45rem;align-items:center;color:var(--soft);font-size:.875rem}
.chips{display:flex;flex-wrap:wrap;gap:.3rem}
.chips button{border-radius:99px;padding:.25rem .75rem;font-size:.875rem;min-height:1.9rem;color:var(--soft)}
.chips button[aria-pressed=true]{background:var(--accent-soft);border-color:transparent;color:var(--ink)}
.push{margin-left:auto}
.title-row{display:flex;flex-wrap:wrap;gap:.75rem 1rem;align-items:center;justify-content:space-between}
.title-row h1{margin:0}
.title-row{margin-bottom:1rem}
h1+form,h1+.card{margin-top:1rem}
.field+.drop{margin-top:1rem}
.actions{display:flex;flex-wrap:wrap;gap:.5rem}
.list{padding:0;overflow:hidden}
.list table{font-size:.9375rem}
.list th,.list td{padding:.6rem .7rem}
.list th:first-child,.list td:first-child{padding-left:1.1rem}
.list th:last-child,.list td:last-child{padding-right:1.1rem}
.list tbody tr{cursor:pointer}
.list tbody tr:hover{background:color-mix(in srgb,var(--accent) 5%,transparent)}
.list tbody tr[aria-selected=true]{background:var(--accent-soft)}
.list tr:focus-visible{outline-offset:-2px}
.list thead button{border:0;background:none;padding:0;min-height:0;font-size:.8125rem;color:var(--soft);font-weight:500}
.list thead button[aria-sort]{color:var(--ink);font-weight:650}
.list .name a{color:var(--ink);font-weight:550}
.list .name small{color:var(--faint);font-size:.8125rem;display:block}
.list tr.group{cursor:default;background:none}
.list tr.group th{background:color-mix(in srgb,var(--ground) 60%,var(--card));color:var(--soft);font-size:.8125rem;padding-top:.45rem;padding-bottom:.45rem;max-width:none;font-weight:550}
.list tr.group b{color:var(--ink);font-weight:650;margin-right:.6rem}
.list td.acc{width:13rem;min-width:9.5rem}
.list .name{max-width:none;width:34%}
.list td.meta,.list td.when{white-space:nowrap}
.list .brief{color:var(--soft);font-weight:400;font-size:.84375rem}
.acc b{font-variant-numeric:tabular-nums;font-weight:650}
.acc .strip{height:9px;margin-top:.2rem;max-width:11rem}
.soft{color:var(--soft)}.small{font-size:.875rem}
.state{display:inline-flex;align-items:center;gap:.45rem;white-space:nowrap;font-size:.875rem}
.state i{width:.55rem;height:.55rem;border-radius:50%;background:var(--faint);flex:none}
.state.finished i{background:var(--good)}.state.running i{background:var(--accent);animation:pulse 1.6s ease-in-out infinite}
.state.failed i,.state.damaged i{background:var(--bad)}.state.failed,.state.damaged{color:var(--bad)}
.state.waiting i{background:var(--wait)}
@keyframes pulse{50%{opacity:.3}}
@media (prefers-reduced-motion:reduce){.state i{animation:none!important}}
.meter{height:6px;border-radius:4px;background:var(--line);overflow:hidden;margin-top:.35rem}
.meter i{display:block;height:100%;background:var(--accent);border-radius:4px;transition:width .3s}
.meter.big-meter{height:10px;margin:1rem 0 .5rem}
.tag{display:inline-block;background:var(--accent-soft);color:var(--ink);border-radius:99px;padding:.05rem .6rem;font-size:.8125rem;margin:.1rem .3rem .1rem 0;font-weight:500}
.tag button{border:0;background:none;padding:0 0 0 .35rem;min-height:0;color:var(--soft);font-size:.9rem}
.selected{position:fixed;left:50%;bottom:1rem;transform:translateX(-50%);z-index:6;background:var(--card);border:1px solid var(--line);border-radius:13px;box-shadow:var(--shade);padding:.6rem .8rem;display:flex;gap:.5rem;align-items:center;flex-wrap:wrap;max-width:calc(100vw - 2rem)}
.toasts{position:fixed;right:1rem;bottom:1rem;z-index:7;display:grid;gap:.5rem;max-width:min(26rem,calc(100vw - 2rem))}
.toast{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--accent);border-radius:10px;box-shadow:var(--shade);padding:.6rem .6rem .6rem .9rem;display:flex;gap:.6rem;align-items:center;font-size:.9375rem}
.toast.bad{border-left-color:var(--bad)}
.toast span{flex:1;min-width:0}
.jobs{display:grid;gap:.6rem;margin:1rem 0}
.job{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:.2rem 1rem;align-items:center;padding:.8rem 1.1rem}
.job .meter{grid-column:1/-1}
.job p{font-size:.9rem;color:var(--soft)}
.job .why{grid-column:1/-1;color:var(--bad);font-size:.9rem}
.empty{text-align:center;padding:clamp(2rem,7vw,4.5rem) 1.25rem}
.empty h2{margin:0 0 .5rem}
.empty p{color:var(--soft);max-width:34rem;margin:0 auto 1.4rem}
.empty .actions{justify-content:center}
.drop{border:2px dashed var(--line);border-radius:14px;padding:1.4rem;text-align:center;color:var(--soft);background:color-mix(in srgb,var(--card) 55%,transparent)}
.drop.over{border-color:var(--accent);background:var(--accent-soft)}
.drop p{margin-bottom:.7rem}
.drop .actions{justify-content:center}
.command{position:relative}
.command pre{padding-right:5.2rem;margin:0}
.command pre span{display:inline-block;max-width:100%;white-space:pre-wrap}
.command button{position:absolute;top:.45rem;right:.45rem;padding:.2rem .6rem;min-height:1.8rem;font-size:.8125rem}
.chart{height:250px;width:100%}
.chart.tall{height:340px}
.figure h3{margin-bottom:.15rem}
.figure p{color:var(--soft);font-size:.875rem;margin-bottom:.4rem;line-height:1.4}
.legend .swatch{background:var(--l)}
@media (prefers-color-scheme:dark){.legend .swatch{background:var(--d)}}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.legend button{border:0;background:none;padding:0;min-height:0;font-size:.9rem;color:var(--soft)}
.bars{display:grid;gap:.55rem;margin-top:.9rem}
.bars li{display:grid;grid-template-columns:minmax(6rem,14rem) minmax(0,1fr) 4rem;gap:.75rem;align-items:center;font-size:.9375rem}
.bars .meter{margin:0;height:9px}
.bars b{text-align:right;font-variant-numeric:tabular-nums;font-weight:600}
.doing{list-style:none;padding:0;margin:.4rem 0 0;display:grid;gap:.45rem}
.doing li{display:grid;grid-template-columns:minmax(0,1.4fr) minmax(0,1fr) 9rem;gap:.2rem .9rem;align-items:center;font-size:.9375rem}
.doing .meter{margin:0}
.doing span{overflow-wrap:anywhere}
@media (max-width:36rem){.doing li{grid-template-columns:minmax(0,1fr)}}
.made{display:flex;flex-wrap:wrap;gap:.5rem;margin-bottom:1rem}
.try{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:1.25rem}
.try img,.try video{width:100%;max-height:20rem;object-fit:contain;border-radius:10px;background:var(--code);display:block}
@media (max-width:44rem){.try{grid-template-columns:minmax(0,1fr)}}
.form{display:grid;grid-template-columns:minmax(0,1.35fr) minmax(0,1fr);gap:1.5rem;align-items:start}
.form aside{position:sticky;top:4.4rem;display:grid;gap:1rem}
@media (max-width:56rem){.form{grid-template-columns:minmax(0,1fr)}.form aside{position:static}}
.fields{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,15rem),1fr));gap:1.1rem 1.25rem}
.field{display:grid;gap:.3rem;align-content:start;min-width:0}
.field>label,.field>.label{font-weight:550;font-size:.9375rem}
.field>label::first-letter,.field>.label::first-letter{text-transform:uppercase}
.field .says{color:var(--soft);font-size:.8125rem;line-height:1.4;overflow-wrap:break-word}
.field .wrong{color:var(--bad);font-size:.8438rem;line-height:1.4}
.field.bad input,.field.bad select,.field.bad textarea{border-color:var(--bad)}
.field.wide{grid-column:1/-1}
.field.given>label::after,.field.given>.label::after{content:" •";color:var(--accent)}
.check{display:flex;gap:.55rem;align-items:center;font-size:.9375rem}
.fold summary{font-weight:550}
.fold .card{margin-top:.8rem}
.fold h3{margin:1.4rem 0 .8rem;text-transform:capitalize}
.fold h3:first-child{margin-top:0}
.wrongs{color:var(--bad);font-size:.9375rem}
.wrongs li{margin:.2rem 0}
.notes-list li{color:var(--soft);font-size:.9rem;margin-top:.4rem}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:1rem}
.strip .pair{fill:var(--accent);stroke:var(--card);stroke-width:1.25}
td.wide .strip{height:26px}
#results+.card tbody th{max-width:20rem;min-width:9rem}
#results+.card button{padding-left:0}
#results+.card table{min-width:40rem}
.field select{width:100%}
.hero .strip{height:16px;margin:.6rem 0 0;max-width:34rem}
.vary{display:grid;grid-template-columns:minmax(7rem,12rem) minmax(0,1fr) auto;gap:.5rem;margin-top:.7rem}
.vary select{width:100%}
.sweep-fields{margin-top:1.1rem}
.tag-input{max-width:9rem}
.notes{margin-top:1rem}
.notes .tools{margin:0 0 .5rem}
.written{white-space:pre-wrap;max-width:46rem}
.notes form .actions{margin-top:.5rem}
.jumps{display:flex;flex-wrap:wrap;gap:0 .4rem;margin:.9rem 0 -.3rem -.5rem}
.two+.stack,.stack+.stack{margin-top:1rem}
.aside-title{margin-bottom:.6rem}
.removed{margin-top:2rem}
.wide-table td,.wide-table th{white-space:nowrap}
.keys{display:grid;grid-template-columns:auto 1fr;gap:.35rem 1rem;font-size:.9375rem}
kbd{font:.8125rem ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;background:var(--code);border:1px solid var(--line);border-radius:5px;padding:.1rem .4rem}
dialog{border:1px solid var(--line);border-radius:14px;background:var(--card);color:var(--ink);padding:1.5rem;max-width:min(34rem,calc(100vw - 2rem));box-shadow:var(--shade)}
dialog::backdrop{background:#0007}
dialog h2{margin:0 0 .8rem}
.hero .title-row{align-items:flex-start}
.big.small-big{font-size:clamp(2.4rem,9vw,3.6rem)}
.picture-card .scroll svg{max-width:100%}
@media (max-width:46rem){
.bar-in{min-height:3rem;padding-top:.4rem;padding-bottom:.4rem}
.where{display:none}
.bar nav a{padding:.35rem .55rem;font-size:.9rem}
.list table,.list tbody,.list tr,.list td,.list th{display:block}
.list thead{display:none}
.list tbody tr:not(.group){display:grid;grid-template-columns:1.6rem minmax(0,1fr) auto;gap:.1rem .6rem;padding:.75rem 1rem;border-bottom:1px solid var(--line)}
.list tbody tr:not(.group)>*{border:0;padding:0!important;min-width:0;max-width:none}
.list td.pick{grid-row:1/3}
.list .name{grid-column:2/3;width:auto}
.list td.acc{grid-column:2/4;min-width:0}
.list td.state-cell{grid-column:3/4;grid-row:1}
.list td.hide{display:none!important}
.list tr.group th{display:block}
.fold .fields,.fields{grid-template-columns:minmax(0,1fr)}
.bars li{grid-template-columns:minmax(4rem,8rem) minmax(0,1fr) 3.6rem}
}
@media (min-width:46.01rem){.only-phone,.tools label.only-phone,.tools button.only-phone{display:none}}
`;

export const STUDIO_STYLE: string = `${PAGE_STYLE}${OWN}`;
