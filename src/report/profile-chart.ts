/** A profile as a picture. */
import { type BarSeriesOption, drawChart } from './chart-library.js';
import type { StepProfile } from './profile-record.js';
import { byOp, byPart, outside, profileTitle, type Row, SPLITS } from './profile-tables.js';

const WIDTH = 960;
const ROW_HEIGHT = 24;
/** Bars begin here, so that names of both panels have the same room. */
const LEFT = 230;
const RIGHT = 130;
const HEAD = 96;
const PANEL_GAP = 76;
const FOOT = 30;
/** More kinds of op than this are shown as one bar. */
const MAX_OPS = 14;

/** One hue a model, the lighter one forward; grey for what lies outside the kernels. */
const COLOURS: Record<string, string> = {
  'student forward': '#7fb2e5',
  'student backward': '#1f5fa8',
  'teacher forward': '#f3b37a',
  'teacher backward': '#c2640f',
  'both models': '#6aa668',
  'outside the kernels': '#9aa0a6',
  'all kernels': '#5b7083',
};

interface Panel {
  readonly title: string;
  readonly rows: readonly {
    readonly name: string;
    readonly ms: number;
    readonly split: Readonly<Record<string, number>>;
  }[];
}

/** The chart as SVG text: milliseconds and share of a step by part of the models, and by kind of op. */
export function profileChart(profile: StepProfile): string {
  const single = (split: string) => (row: Row) => ({ ...row, split: { [split]: row.ms } });
  const panels: Panel[] = [
    {
      title: 'By part of the models',
      rows: [...byPart(profile), ...outside(profile).map(single('outside the kernels'))],
    },
    { title: 'By kind of op', rows: foldTail(byOp(profile)).map(single('all kernels')) },
  ];
  let top = HEAD;
  const grids = panels.map(({ rows }) => {
    const grid = { left: LEFT, right: RIGHT, top, height: rows.length * ROW_HEIGHT };
    top += grid.height + PANEL_GAP;
    return grid;
  });
  const option = {
    title: titlesOf(profile, panels, grids),
    legend: {
      data: [...SPLITS, 'outside the kernels'].filter((split) => panels[0]!.rows.some((row) => split in row.split)),
      left: 195,
      top: grids[0]!.top - 27,
      itemWidth: 11,
      itemHeight: 11,
      itemGap: 24, // without a browser, text is measured too narrow
      textStyle: { fontSize: 11 },
      selectedMode: false,
    },
    grid: grids,
    xAxis: panels.map((_, gridIndex) => ({
      type: 'value' as const,
      gridIndex,
      axisLabel: { formatter: '{value} ms', hideOverlap: true },
      splitLine: { lineStyle: { color: '#eeeeee' } },
    })),
    yAxis: panels.map(({ rows }, gridIndex) => ({
      type: 'category' as const,
      gridIndex,
      inverse: true,
      data: rows.map(({ name }) => name),
      axisTick: { show: false },
      axisLabel: { fontSize: 12, color: '#222222', interval: 0, width: LEFT - 24, overflow: 'truncate' as const },
    })),
    series: panels.flatMap((panel, i) => barsOf(panel, i, profile.stepMs)),
  };
  return drawChart(option, WIDTH, top - PANEL_GAP + FOOT + 24);
}

/** The chart's own title, and one above each panel. */
function titlesOf(profile: StepProfile, panels: readonly Panel[], grids: readonly { top: number }[]) {
  return [
    {
      text: `Where a step's ${Number(profile.stepMs.toPrecision(3)).toLocaleString('en')} ms go`,
      subtext: profileTitle(profile),
      left: 16,
      top: 10,
      textStyle: { fontSize: 17 },
      subtextStyle: { fontSize: 12, color: '#555555' },
    },
    ...panels.map(({ title }, i) => ({
      text: title,
      left: 16,
      top: grids[i]!.top - 26,
      textStyle: { fontSize: 13 },
    })),
  ];
}

/** One stacked series for each split, and an empty one that carries each row's figures. */
function barsOf({ rows }: Panel, axis: number, stepMs: number): BarSeriesOption[] {
  const common = { type: 'bar' as const, xAxisIndex: axis, yAxisIndex: axis, stack: `panel ${axis}`, barWidth: 15 };
  const splits = Object.keys(COLOURS).filter((split) => rows.some((row) => split in row.split));
  const figures = ({ ms }: { ms: number }) =>
    `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms  ${((100 * ms) / stepMs).toFixed(1)} %`;
  return [
    ...splits.map((name) => ({
      ...common,
      name,
      itemStyle: { color: COLOURS[name]! },
      data: rows.map(({ split }) => split[name] ?? 0),
    })),
    {
      ...common,
      data: rows.map((row) => ({
        value: 0,
        label: { show: true, position: 'right' as const, formatter: figures(row), fontSize: 11, color: '#333333' },
      })),
    },
  ];
}

function foldTail(rows: readonly Row[]): Row[] {
  if (rows.length <= MAX_OPS) return [...rows];
  const tail = rows.slice(MAX_OPS - 1);
  const ms = tail.reduce((sum, row) => sum + row.ms, 0);
  return [...rows.slice(0, MAX_OPS - 1), { name: `${tail.length} others`, ms }];
}
