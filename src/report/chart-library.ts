/**
 * ECharts, as charts need it: what they draw with is registered here, and an option becomes SVG text without a DOM.
 *
 * The only file that imports the library. `npm run build` puts what it needs of ECharts into what is made of this file
 * (tools/bundle-charts.mjs), so that the package holds 0.6 MB of it and need not install 67.
 */
import { BarChart, HeatmapChart, LineChart, ScatterChart } from 'echarts/charts';
import {
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TitleComponent,
  VisualMapComponent,
} from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

export type { BarSeriesOption, HeatmapSeriesOption, LineSeriesOption, ScatterSeriesOption } from 'echarts/charts';
/** What a chart is made of, in ECharts' words. */
export type ChartOption = EChartsCoreOption;

use([
  BarChart,
  HeatmapChart,
  LineChart,
  ScatterChart,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TitleComponent,
  VisualMapComponent,
  SVGRenderer,
]);

/** The chart on white as SVG text of so many pixels. Where there is no browser, the widths of texts are guessed. */
export function drawChart(option: ChartOption, width: number, height: number): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
