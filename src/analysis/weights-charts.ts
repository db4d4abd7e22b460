/** Weights as pictures: histograms of each block, and how their spread goes through the blocks. */
import { type ChartOption, drawChart } from '../report/chart-library.js';
import { COLOURS, GREY, heading, INK, LINES, note, ROLE_COLOURS } from './style.js';
import { type ModelWeights, picturedKinds, type TensorWeights, type WeightsReport } from './weights.js';

const WIDTH = 1240;
const LEFT = 24;
const HEAD = 84;
const ROW = 118;
const PANEL = 62;
const MOST_COLUMNS = 12;
const MOST_KINDS = 6;

/** The paper's names for the matrices of its adapter. */
const PAPER_NAMES: Readonly<Record<string, string>> = {
  'adapter.linear1.weight': 'W1',
  'adapter.linear2.weight': 'W2',
};
const titleOf = (kind: string): string => (PAPER_NAMES[kind] ? `${PAPER_NAMES[kind]}  ${kind}` : kind);

/** A row of panels: one kind of one model. */
interface Row {
  readonly model: ModelWeights;
  readonly kind: string;
  readonly tensors: readonly TensorWeights[];
}

/**
 * Small multiples, a row for each model and kind, a panel for each block; of models with more than twelve blocks every second,
 * as in the paper. Null where no block has trained numbers.
 */
export function weightHistograms(report: WeightsReport): string | null {
  const kinds = picturedKinds(report, MOST_KINDS);
  const rows = kinds.flatMap((kind) => report.models.map((model) => rowOf(model, kind)));
  const shown = rows.filter(({ tensors }) => tensors.length > 0);
  if (shown.length === 0) return null;
  const columns = Math.max(...shown.map(({ tensors }) => tensors.length));
  const width = Math.min((WIDTH - 2 * LEFT) / columns, 200);
  const grid: object[] = [];
  const titles: object[] = [];
  const [xAxis, yAxis, series]: [object[], object[], object[]] = [[], [], []];
  const highest = (kind: string) =>
    Math.max(...shown.filter((row) => row.kind === kind).flatMap(({ tensors }) => tensors.flatMap(sharesOf)));

  shown.forEach(({ model, kind, tensors }, r) => {
    const top = HEAD + r * ROW;
    const range = report.ranges[kind]!;
    titles.push(note(`${model.role}: ${titleOf(kind)}`, LEFT, top, { fontWeight: 'bold', fontSize: 13 }));
    tensors.forEach((tensor, c) => {
      const index = grid.length;
      const left = LEFT + c * width;
      grid.push({ left, top: top + 36, width: width - 14, height: PANEL - 10 });
      titles.push(note(`block ${tensor.block! + 1}`, left, top + 20, { fontSize: 11 }));
      titles.push(note(`σ ${tensor.std.toPrecision(2)}`, left + width - 62, top + 21, { fontSize: 10, color: GREY }));
      const ends = { fontSize: 9, color: GREY, showMinLabel: true, showMaxLabel: true, formatter: short };
      xAxis.push({
        ...{ type: 'value', gridIndex: index, min: -range, max: range, interval: range, splitLine: { show: false } },
        ...{ axisLabel: { ...ends, alignMinLabel: 'left', alignMaxLabel: 'right' }, axisTick: { length: 3 } },
        axisLine: { onZero: false, lineStyle: { color: GREY } },
      });
      yAxis.push({ type: 'value', gridIndex: index, show: false, min: 0, max: highest(kind) });
      const shares = sharesOf(tensor);
      const bin = (2 * range) / shares.length;
      series.push({
        ...{ type: 'line', xAxisIndex: index, yAxisIndex: index, step: 'middle', symbol: 'none' },
        lineStyle: { width: 1, color: ROLE_COLOURS[model.role] },
        areaStyle: { color: ROLE_COLOURS[model.role], opacity: 0.35 },
        data: shares.map((share, i) => [-range + (i + 0.5) * bin, share]),
      });
    });
  });
  const left = report.models.some(({ blocks }) => blocks > MOST_COLUMNS) ? ', every second block shown' : '';
  const names = report.models.map(({ role, backbone, method }) => `${role} ${backbone} (${method})`).join(', ');
  const sub = `${names}. Share of each tensor’s numbers by value${left}; σ: standard deviation`;
  const option = { title: [heading('Trained weights in each block', sub), ...titles], grid, xAxis, yAxis, series };
  return drawChart(option as ChartOption, WIDTH, HEAD + shown.length * ROW + 6);
}

function rowOf(model: ModelWeights, kind: string): Row {
  const own = model.tensors.filter((tensor) => tensor.kind === kind && tensor.block !== null);
  // the paper's choice for ViT-L: blocks 2, 4, 6 and so on
  const tensors = own.length > MOST_COLUMNS ? own.filter(({ block }) => block! % 2 === 1).slice(0, 12) : own;
  return { model, kind, tensors };
}

const sharesOf = ({ histogram, n }: TensorWeights): number[] => histogram.map((count) => count / n);
const short = (value: number): string => Number(value.toPrecision(2)).toString();

const MEASURES = [
  { title: 'Standard deviation', of: ({ std }: TensorWeights) => std },
  { title: 'Excess kurtosis (0: normal)', of: ({ excessKurtosis }: TensorWeights) => excessKurtosis },
  { title: 'Share near 0', of: ({ nearZero }: TensorWeights) => nearZero },
] as const;
const SYMBOLS = ['circle', 'triangle', 'rect', 'diamond', 'emptyCircle', 'emptyRect'];

/** How spread, tails and sparsity go through the blocks: colour tells the model, symbol and dashes the kind. */
export function weightDispersion(report: WeightsReport): string | null {
  const kinds = picturedKinds(report, MOST_KINDS);
  if (kinds.length === 0) return null;
  const lines = kinds.flatMap((kind, k) =>
    report.models.map((model) => ({
      name: `${model.role}: ${titleOf(kind)}`,
      k,
      colour: ROLE_COLOURS[model.role],
      tensors: model.tensors.filter((tensor) => tensor.kind === kind && tensor.block !== null),
    })),
  );
  const depth = Math.max(...report.models.map(({ blocks }) => blocks));
  const panel = (WIDTH - 3 * 70) / 3;
  const height = 260;
  const legendRows = Math.ceil(lines.length / 3);
  const axis = { nameTextStyle: { color: INK }, axisLabel: { color: INK }, splitLine: { lineStyle: { color: LINES } } };
  const option = {
    title: [
      heading('Spread of the trained weights through the blocks', `Near 0: |w| ≤ ${report.bound}`),
      ...MEASURES.map(({ title }, i) => note(title, 60 + i * (panel + 70), 72, { fontWeight: 'bold', fontSize: 13 })),
    ],
    legend: {
      bottom: 8,
      left: 40,
      right: 40,
      itemGap: 40,
      data: lines.map(({ name }) => name),
      textStyle: { color: INK },
    },
    grid: MEASURES.map((_, i) => ({ left: 60 + i * (panel + 70), top: 98, width: panel, height })),
    xAxis: MEASURES.map((_, gridIndex) => ({
      ...{ ...axis, type: 'category', gridIndex, name: 'block', nameLocation: 'middle', nameGap: 26 },
      data: Array.from({ length: depth }, (_, b) => `${b + 1}`),
    })),
    yAxis: MEASURES.map((_, gridIndex) => ({ ...axis, type: 'value', gridIndex, scale: gridIndex === 0 })),
    series: MEASURES.flatMap(({ of }, i) =>
      lines.map(({ name, k, colour, tensors }) => ({
        ...{ type: 'line', name, xAxisIndex: i, yAxisIndex: i, symbol: SYMBOLS[k % SYMBOLS.length], symbolSize: 7 },
        lineStyle: { color: colour, type: (['solid', 'dashed', 'dotted'] as const)[k % 3] },
        itemStyle: { color: colour },
        data: tensors.map((tensor) => [tensor.block!, of(tensor)]),
      })),
    ),
    color: COLOURS,
  };
  return drawChart(option as ChartOption, WIDTH, 98 + height + 50 + 26 * legendRows);
}
