/** Charts as SVG text, with no browser. The only file that imports the chart library. */
import { BarChart, HeatmapChart, LineChart, ScatterChart } from 'echarts/charts';
import {
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TitleComponent,
  VisualMapComponent,
} from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

export type { BarSeriesOption } from 'echarts/charts';
export type ChartOption = EChartsCoreOption;

use([
  ...[BarChart, HeatmapChart, LineChart, ScatterChart],
  ...[GridComponent, LegendComponent, MarkLineComponent, TitleComponent, VisualMapComponent],
  SVGRenderer,
]);

/** Draws a chart on white, of so many pixels. */
export function drawChart(option: ChartOption, width: number, height: number): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', ...option });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
