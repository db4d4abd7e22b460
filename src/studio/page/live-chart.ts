/**
 * Curves that are looked at as they grow. The only file of the page that imports the chart library: what reports draw of it
 * (report/chart-library.ts) needs no pointer and no words that follow it.
 */
import { LineChart } from 'echarts/charts';
import { DataZoomInsideComponent, GridComponent, TooltipComponent } from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { Curve, NumberFormat } from '../../report/curves.js';
import { darkOf, GREY, INK, LINES } from '../../report/theme.js';

use([LineChart, GridComponent, TooltipComponent, DataZoomInsideComponent, SVGRenderer]);

export interface LiveChart {
  draw(curves: readonly Curve[], format: NumberFormat): void;
  close(): void;
}

const FORMATS: Readonly<Record<NumberFormat, (value: number) => string>> = {
  share: (value) => `${Number((100 * value).toPrecision(4))} %`,
  plain: (value) => `${Number(value.toPrecision(4))}`,
  points: (value) => `${value > 0 ? '+' : value < 0 ? '−' : ''}${Number(Math.abs(value).toPrecision(4))}`,
  small: (value) => `${Number(value.toPrecision(2))}`,
};

const DARK = '(prefers-color-scheme: dark)';
/** More points than this are thinned out: no screen shows them. */
const MOST_POINTS = 1500;
/** Curves told by name beside the pointer. */
const MOST_TOLD = 12;

/** A chart in an element, as wide as that is, light or dark as the reader has it; closed, it leaves nothing behind. */
export function liveChart(element: HTMLElement): LiveChart {
  const chart = init(element, null, { renderer: 'svg' });
  const scheme = window.matchMedia(DARK);
  let last: Parameters<LiveChart['draw']> | null = null;
  const draw: LiveChart['draw'] = (curves, format) => {
    last = [curves, format];
    chart.setOption(optionOf(curves, format, scheme.matches), { notMerge: true });
  };
  const again = () => last && draw(...last);
  scheme.addEventListener('change', again);
  const observer = new ResizeObserver(() => chart.resize());
  observer.observe(element);
  return {
    draw,
    close: () => {
      scheme.removeEventListener('change', again);
      observer.disconnect();
      chart.dispose();
    },
  };
}

function optionOf(curves: readonly Curve[], format: NumberFormat, dark: boolean): EChartsCoreOption {
  const colour = (hex: string) => (dark ? darkOf(hex) : hex);
  const last = Math.max(2, ...curves.flatMap(({ points }) => points.map(([epoch]) => epoch)));
  const axis = {
    type: 'value',
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: colour(LINES) } },
    axisLabel: { color: colour(GREY), fontSize: 12, hideOverlap: true },
  };
  return {
    animation: false,
    grid: { left: 54, right: 12, top: 12, bottom: 30 },
    tooltip: {
      trigger: 'axis',
      // drawn as text, never as HTML: names are anybody's
      renderMode: 'richText',
      confine: true,
      order: 'valueDesc',
      backgroundColor: colour('#ffffff'),
      borderColor: colour(LINES),
      textStyle: { color: colour(INK), fontSize: 12 },
      formatter: (shown: readonly { readonly seriesName: string; readonly value: readonly [number, number] }[]) =>
        wordsOf(shown, format),
    },
    dataZoom: [{ type: 'inside', filterMode: 'none', zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false }],
    xAxis: { ...axis, min: 1, max: last, minInterval: 1, splitLine: { show: false } },
    yAxis: { ...axis, scale: true, splitNumber: 4, axisLabel: { ...axis.axisLabel, formatter: FORMATS[format] } },
    series: curves.map(({ name, colour: own, points, dashed, thin }) => ({
      ...{ type: 'line', name, data: thinned(points), itemStyle: { color: colour(own) } },
      ...{ symbol: 'circle', symbolSize: 5, showSymbol: points.length <= 15 },
      lineStyle: {
        ...{ color: colour(own), width: thin ? 1.4 : 2 },
        type: dashed ? 'dashed' : 'solid',
      },
    })),
  };
}

function wordsOf(
  shown: Parameters<typeof Array.from>[0] & readonly { seriesName: string; value: readonly [number, number] }[],
  format: NumberFormat,
): string {
  const [first] = shown;
  if (!first) return '';
  const lines = shown
    .slice(0, MOST_TOLD)
    .map(({ seriesName, value }) => `${plain(seriesName)}  ${FORMATS[format](value[1])}`);
  const more = shown.length > MOST_TOLD ? [`and ${shown.length - MOST_TOLD} more`] : [];
  return [`epoch ${Number(first.value[0].toFixed(2))}`, ...lines, ...more].join('\n');
}

/** What the chart library would take for a style of its own, and what is too long to stand beside a pointer. */
const plain = (name: string): string => {
  const text = name.replace(/[{}|]/g, ' ');
  return text.length > 48 ? `…${text.slice(-47)}` : text;
};

function thinned(points: Curve['points']): Curve['points'] {
  const step = Math.ceil(points.length / MOST_POINTS);
  return step <= 1 ? points : points.filter((_, i) => i % step === 0 || i === points.length - 1);
}
