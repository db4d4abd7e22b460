/** Maps of features: a point an image, a colour and symbol a class, a panel a model. */
import { type ChartOption, drawChart } from '../report/chart-library.js';
import type { Role } from '../step/roles.js';
import { COLOURS, heading, INK, LINES, note, shortened } from './style.js';

/** One model's map. */
export interface FeatureMap {
  readonly role: Role;
  readonly backbone: string;
  /** A place for each image. */
  readonly places: readonly (readonly number[])[];
}

export interface EmbeddingReport {
  /** `t-SNE` or `UMAP`. */
  readonly kind: string;
  readonly options: Readonly<Record<string, number>>;
  readonly classes: readonly string[];
  /** Of each image: its name, its class. */
  readonly images: readonly { readonly name: string; readonly label: number }[];
  /** Images that could have been shown. */
  readonly outOf: number;
  readonly maps: readonly FeatureMap[];
}

const PANEL = 560;
const SYMBOLS = ['circle', 'triangle', 'rect', 'diamond', 'pin', 'arrow'];
/** More classes than this are told apart by no legend. */
const MOST_NAMED = COLOURS.length * SYMBOLS.length;

export function embeddingChart({ kind, options, classes, images, outOf, maps }: EmbeddingReport): string {
  const width = 40 + maps.length * (PANEL + 24);
  const top = 108;
  const perRow = Math.max(1, Math.floor((width - 60) / 150));
  const legendRows = classes.length > MOST_NAMED ? 0 : Math.ceil(classes.length / perRow);
  const settings = Object.entries(options).map(([name, value]) => `${name} ${value}`);
  const share = images.length < outOf ? `${images.length} of ${outOf} test images` : `${outOf} test images`;
  const names = classes.map((name, k) => `${k + 1} ${shortened(name, 16)}`);
  const symbol = (k: number) => SYMBOLS[Math.floor(k / COLOURS.length) % SYMBOLS.length]!;
  const axis = {
    axisLabel: { show: false },
    axisTick: { show: false },
    splitLine: { show: false },
    axisLine: { show: false },
  };
  const option = {
    title: [
      heading(`${kind} of what the head reads`, `${share}, ${settings.join(', ')}. Axes have no unit`),
      ...maps.map(({ role, backbone }, i) =>
        note(`${role}  ${backbone}`, 28 + i * (PANEL + 24), top - 24, { fontWeight: 'bold', fontSize: 13 }),
      ),
    ],
    grid: maps.map((_, i) => ({
      left: 28 + i * (PANEL + 24),
      top,
      width: PANEL,
      height: PANEL,
      show: true,
      borderColor: LINES,
    })),
    xAxis: maps.map(({ places }, gridIndex) => ({ ...axis, ...reach(places, 0), type: 'value', gridIndex })),
    yAxis: maps.map(({ places }, gridIndex) => ({ ...axis, ...reach(places, 1), type: 'value', gridIndex })),
    series: maps.flatMap(({ places }, i) => [
      ...classes.map((_, k) => ({
        ...{ type: 'scatter', name: names[k], xAxisIndex: i, yAxisIndex: i, symbol: symbol(k), symbolSize: 6 },
        itemStyle: { color: COLOURS[k % COLOURS.length], opacity: 0.75 },
        data: places.filter((_, at) => images[at]!.label === k).map(([x, y]) => [x, y]),
      })),
      {
        ...{ type: 'scatter', xAxisIndex: i, yAxisIndex: i, symbolSize: 1, silent: true, z: 5 },
        itemStyle: { color: 'transparent' },
        data: centres(places, images, classes.length).map(({ label, place }) => ({
          value: place,
          label: {
            ...{ show: true, formatter: `${label + 1}`, position: 'inside', fontSize: 14, fontWeight: 'bold' },
            ...{ color: INK, textBorderColor: '#ffffff', textBorderWidth: 4 },
          },
        })),
      },
    ]),
    ...(legendRows > 0 && {
      legend: {
        ...{
          left: 24,
          top: top + PANEL + 14,
          width: width - 48,
          data: names,
          itemGap: 16,
          itemWidth: 12,
          itemHeight: 12,
        },
        textStyle: { fontSize: 12, color: INK, width: 118 },
      },
    }),
  };
  return drawChart(option as ChartOption, width, top + PANEL + 24 + 28 * legendRows);
}

/** From the first place to the last along an axis, with some air. */
function reach(places: FeatureMap['places'], axis: 0 | 1): { min: number; max: number } {
  const along = places.map((place) => place[axis]!);
  const [low, high] = [Math.min(...along), Math.max(...along)];
  const air = 0.04 * (high - low) || 1;
  return { min: low - air, max: high + air };
}

/** The median place of each class, which a few far away do not move. */
function centres(places: FeatureMap['places'], images: EmbeddingReport['images'], classes: number) {
  const middle = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
  return Array.from({ length: classes }, (_, label) => {
    const own = places.filter((_, i) => images[i]!.label === label);
    return { label, place: own.length > 0 ? [middle(own.map(([x]) => x!)), middle(own.map(([, y]) => y!))] : null };
  }).filter((centre): centre is { label: number; place: number[] } => centre.place !== null);
}
