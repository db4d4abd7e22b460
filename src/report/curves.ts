/** Charts small enough for a phone, to be read without enlarging: curves over epochs, and points. */
import { type ChartOption, drawChart } from './chart-library.js';
import { GREY, INK, LINES } from './theme.js';

const WIDTH = 340;
const HEIGHT = 230;

export type NumberFormat = 'share' | 'plain' | 'points' | 'small';

export interface Curve {
  readonly name: string;
  readonly colour: string;
  /** Epochs, counted from 1, and values. */
  readonly points: readonly (readonly [epoch: number, value: number])[];
  readonly dashed?: boolean;
  /** One of many that lie over each other. */
  readonly thin?: boolean;
}

const FORMATS: Readonly<Record<NumberFormat, (value: number) => string>> = {
  share: (value) => `${Number((100 * value).toPrecision(4))} %`,
  plain: (value) => `${Number(value.toPrecision(4))}`,
  points: (value) => `${value > 0 ? '+' : value < 0 ? '−' : ''}${Number(Math.abs(value).toPrecision(4))}`,
  small: (value) => `${Number(value.toPrecision(2))}`,
};

const axisOf = (format: NumberFormat) => ({
  type: 'value',
  scale: true,
  splitNumber: 4,
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: { lineStyle: { color: LINES } },
  axisLabel: { color: GREY, fontSize: 12, formatter: FORMATS[format], hideOverlap: true },
});

const nameBelow = (name: string) => ({
  name,
  nameLocation: 'middle',
  nameGap: 26,
  nameTextStyle: { color: GREY, fontSize: 12 },
});

/** SVG text. @param legend whether the chart itself names its curves */
export function curveChart(curves: readonly Curve[], format: NumberFormat, legend = true): string {
  const last = Math.max(...curves.flatMap(({ points }) => points.map(([epoch]) => epoch)));
  const named = legend && curves.length > 1;
  const option = {
    ...(named && {
      legend: {
        ...{ left: 4, top: 0, itemWidth: 20, itemHeight: 8, itemGap: 26, selectedMode: false },
        data: curves.map(({ name }) => ({ name })),
        textStyle: { color: INK, fontSize: 12 },
      },
    }),
    grid: { left: 52, right: 14, top: named ? 38 : 14, bottom: 44 },
    xAxis: {
      ...axisOf('plain'),
      ...nameBelow('epoch'),
      ...{ scale: false, min: 1, max: Math.max(last, 2), minInterval: 1, splitLine: { show: false } },
      axisLine: { show: true, lineStyle: { color: LINES } },
    },
    yAxis: axisOf(format),
    series: curves.map(({ name, colour, points, dashed, thin }) => ({
      ...{ type: 'line', name, data: points, itemStyle: { color: colour } },
      ...{ symbol: 'circle', symbolSize: 5, showSymbol: !thin && points.length <= 15 },
      lineStyle: { color: colour, width: thin ? 1.25 : 2, opacity: thin ? 0.75 : 1, type: dashed ? 'dashed' : 'solid' },
    })),
  };
  return drawChart(option as ChartOption, WIDTH, HEIGHT);
}

export interface Cloud {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface PointAxis {
  readonly name: string;
  readonly format: NumberFormat;
}

/** Points of several kinds. @param zero whether a line marks where y is 0 */
export function pointChart(clouds: readonly Cloud[], x: PointAxis, y: PointAxis, zero = false): string {
  const option = {
    title: { text: y.name, left: 0, top: 0, textStyle: { color: GREY, fontSize: 12, fontWeight: 'normal' } },
    grid: { left: 52, right: 22, top: 34, bottom: 44 },
    xAxis: {
      ...axisOf(x.format),
      ...reachOf(x.format, clouds),
      ...nameBelow(x.name),
      axisLine: { show: true, lineStyle: { color: LINES }, onZero: false },
    },
    yAxis: axisOf(y.format),
    series: clouds.map(({ name, colour, points }, i) => ({
      ...{ type: 'scatter', name, data: points, symbolSize: 9, itemStyle: { color: colour, opacity: 0.85 } },
      ...(zero &&
        i === 0 && {
          markLine: {
            ...{ silent: true, symbol: 'none', label: { show: false }, data: [{ yAxis: 0 }] },
            lineStyle: { color: GREY, type: 'solid', width: 1 },
          },
        }),
    })),
  };
  return drawChart(option as ChartOption, WIDTH, HEIGHT);
}

/** What was measured at several sizes, several times each. */
export interface SizeCurve {
  readonly name: string;
  readonly colour: string;
  /** By size. */
  readonly points: readonly { readonly size: number; readonly mean: number; readonly values: readonly number[] }[];
}

/** Lines of means with the values that they are of, over sizes that grow by factors; a line marks no difference. SVG text. */
export function sizeChart(curves: readonly SizeCurve[]): string {
  const sizes = curves.flatMap(({ points }) => points.map(({ size }) => size));
  const option = {
    grid: { left: 52, right: 22, top: 14, bottom: 44 },
    xAxis: {
      ...axisOf('plain'),
      ...nameBelow('images a class'),
      ...{ type: 'log', logBase: 2, min: Math.min(...sizes) / 1.2, max: Math.max(...sizes) * 1.2 },
      axisLabel: { color: GREY, fontSize: 12, customValues: [...new Set(sizes)], formatter: FORMATS.plain },
      ...{ splitLine: { show: false }, axisLine: { show: true, lineStyle: { color: LINES }, onZero: false } },
    },
    yAxis: axisOf('points'),
    series: curves.flatMap(({ name, colour, points }, i) => [
      {
        ...{ type: 'line', name, data: points.map(({ size, mean }) => [size, mean]), showSymbol: false },
        ...{ itemStyle: { color: colour }, lineStyle: { color: colour, width: 2 } },
        ...(i === 0 && {
          markLine: {
            ...{ silent: true, symbol: 'none', label: { show: false }, data: [{ yAxis: 0 }] },
            lineStyle: { color: GREY, type: 'solid', width: 1 },
          },
        }),
      },
      {
        ...{ type: 'scatter', name, symbolSize: 7, itemStyle: { color: colour, opacity: 0.7 } },
        data: points.flatMap(({ size, values }) => values.map((value) => [size, value])),
      },
    ]),
  };
  return drawChart(option as ChartOption, WIDTH, HEIGHT);
}

/** Nothing is more than all: shares end at 1, and points that stand on one line have some room beside it. */
function reachOf(format: NumberFormat, clouds: readonly Cloud[]): { min?: number; max?: number } {
  if (format !== 'share') return {};
  const values = clouds.flatMap(({ points }) => points.map(([x]) => x));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const step = high - low > 0.4 ? 0.2 : high - low > 0.1 ? 0.1 : 0.05;
  const down = Math.max(0, Math.floor((low - 0.02) / step) * step);
  const up = Math.min(1, Math.ceil((high + 0.02) / step) * step);
  return { min: Number(down.toFixed(2)), max: Number(up.toFixed(2)) };
}
