/** Confusion, scores of classes and calibration as pictures. */
import { type ChartOption, drawChart } from '../report/chart-library.js';
import type { CalibrationReport, ClassesReport, ConfusionReport } from './quality.js';
import { COLOURS, GREY, heading, INK, LINES, note, shortened, VIRIDIS_COLOURS } from './style.js';

/** On a cell's colour, which is the same on light and dark pages. */
const ON_BRIGHT = 'rgb(34,34,34)';
const ON_DARK = 'rgb(255,255,255)';

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
/** More classes than this are drawn without their numbers and, beyond the second, without names. */
const NUMBERED = 25;
const NAMED = 60;

/** The matrix as a heat map: each row's shares, so that rare classes show as common ones do. */
export function confusionChart({ classes, confusion }: ConfusionReport): string {
  const K = classes.length;
  const cell = K <= 12 ? 52 : K <= NUMBERED ? 36 : K <= NAMED ? 18 : Math.max(4, Math.floor(900 / K));
  const side = K * cell;
  const names = classes.map((name) => shortened(name, 22));
  const longest = K > NAMED ? 2 : Math.max(...names.map((name) => name.length));
  const left = 54 + longest * 7;
  const top = 100;
  const foot = 30 + (K > NAMED ? 20 : longest * 5.2);
  const cells = confusion.flatMap((row, truth) => {
    const total = row.reduce((a, b) => a + b, 0);
    return row.map((count, answer) => ({
      value: [answer, truth, total === 0 ? 0 : count / total],
      label: {
        ...{ show: K <= NUMBERED && count > 0, formatter: `${count}`, fontSize: K <= 12 ? 13 : 11 },
        color: total > 0 && count / total > 0.6 ? ON_BRIGHT : ON_DARK,
      },
    }));
  });
  const total = confusion.flat().reduce((a, b) => a + b, 0);
  const right = confusion.reduce((sum, row, k) => sum + row[k]!, 0);
  const axis = {
    ...{ type: 'category', data: names, splitArea: { show: false }, axisTick: { show: false } },
    nameTextStyle: { fontSize: 13, fontWeight: 'bold', color: INK },
  };
  const label = { show: K <= NAMED, color: INK, fontSize: K <= NUMBERED ? 12 : 10, interval: 0 };
  const width = Math.max(left + side + 120, 560);
  const height = top + side + foot + 30;
  const option = {
    title: [
      heading('Which classes are taken for which', `${right} of ${total} test images right. Numbers count images`),
      note('true class', 16, top - 20, { fontWeight: 'bold' }),
      note('answer', left + side / 2 - 20, height - 24, { fontWeight: 'bold' }),
      note('share of the', left + side + 22, top - 2, { fontSize: 11, color: GREY }),
      note('true class', left + side + 22, top + 12, { fontSize: 11, color: GREY }),
    ],
    grid: { left, top, width: side, height: side },
    xAxis: { ...axis, axisLabel: { ...label, rotate: 40 } },
    yAxis: { ...axis, inverse: true, axisLabel: label },
    visualMap: {
      ...{ min: 0, max: 1, calculable: false, orient: 'vertical', left: left + side + 22, top: top + 30 },
      ...{ itemHeight: Math.min(150, side - 70), itemWidth: 14, text: ['100 %', '0 %'], textStyle: { color: INK } },
      inRange: { color: VIRIDIS_COLOURS },
    },
    series: [{ type: 'heatmap', data: cells, itemStyle: { borderColor: '#ffffff', borderWidth: cell > 10 ? 1 : 0 } }],
  };
  return drawChart(option as ChartOption, width, height);
}

const MOST_CLASSES = 60;

/** Precision, recall and F1 of each class, the worst recognised first. */
export function classesChart(report: ClassesReport): string {
  const sorted = [...report.classes].sort((a, b) => (a.recall ?? 2) - (b.recall ?? 2)).slice(0, MOST_CLASSES);
  const names = sorted.map(({ name, support }) => `${shortened(name, 24)} (${support})`);
  const left = 30 + 7 * Math.max(...names.map((name) => name.length));
  const height = sorted.length * 26;
  const measures = [
    { name: 'precision', symbol: 'triangle', colour: COLOURS[1], of: 'precision' },
    { name: 'recall', symbol: 'circle', colour: COLOURS[0], of: 'recall' },
    { name: 'F1', symbol: 'diamond', colour: COLOURS[2], of: 'f1' },
  ] as const;
  const { accuracy, balancedAccuracy, macroF1, top5, images } = report;
  const overall = [
    `accuracy ${percent(accuracy)}`,
    `balanced ${percent(balancedAccuracy)}`,
    `macro F1 ${percent(macroF1)}`,
    ...(top5 === null ? [] : [`top-5 ${percent(top5)}`]),
  ];
  const less = sorted.length < report.classes.length ? `; the ${sorted.length} worst of ${report.classes.length}` : '';
  const option = {
    title: heading('Classes, the worst recognised first', `${images} test images: ${overall.join(', ')}${less}`),
    legend: {
      left: left - 6,
      top: 66,
      data: measures.map(({ name }) => name),
      itemGap: 28,
      itemWidth: 12,
      itemHeight: 12,
      textStyle: { color: INK },
    },
    grid: { left, top: 98, width: 560, height },
    xAxis: {
      ...{ type: 'value', min: 0, max: 1, interval: 0.2, splitLine: { lineStyle: { color: LINES } } },
      axisLabel: { color: INK, formatter: (value: number) => `${Math.round(100 * value)} %` },
    },
    yAxis: {
      ...{ type: 'category', inverse: true, data: names, axisTick: { show: false } },
      ...{ axisLabel: { color: INK, interval: 0 }, splitLine: { show: true, lineStyle: { color: LINES } } },
    },
    series: measures.map(({ name, symbol, colour, of }) => ({
      ...{ type: 'scatter', name, symbol, symbolSize: 11, itemStyle: { color: colour, opacity: 0.9 } },
      data: sorted.flatMap((score, i) => (score[of] === null ? [] : [[score[of], i]])),
    })),
  };
  return drawChart(option as ChartOption, left + 600, 98 + height + 40);
}

/** The reliability diagram: how often answers of about a probability are right, and below how many there are. */
export function reliabilityChart({ bins, ece, mce, images, accuracy }: CalibrationReport): string {
  const side = 420;
  const width = 1 / bins.length;
  const middle = ({ from, to }: { from: number; to: number }) => (from + to) / 2;
  const filled = bins.filter(({ count }) => count > 0);
  const asPercent = (value: number) => `${Math.round(100 * value)} %`;
  const x = { type: 'value', containShape: false, min: 0, max: 1, interval: 0.2, splitLine: { show: false } };
  const bar = side * width - 3;
  const mean = filled.reduce((sum, { count, confidence }) => sum + count * confidence!, 0) / images;
  const option = {
    title: [
      heading(
        'Do probabilities mean what they say?',
        `${images} test images. Expected calibration error (ECE) ${percent(ece)}, largest of a bin ${percent(mce)}\nmean probability ${percent(mean)}, accuracy ${percent(accuracy)}: ${mean > accuracy ? 'too sure' : 'not sure enough'}`,
      ),
      note('answers that are right', 14, 94, { fontWeight: 'bold' }),
      note('images', 14, 128 + side + 14, { fontWeight: 'bold' }),
      note('probability of the answer', 70 + side / 2 - 70, 128 + side + 170, { fontWeight: 'bold' }),
    ],
    legend: {
      ...{ left: 250, top: 90, data: ['right', 'mean probability'], itemGap: 28, textStyle: { color: INK } },
      selectedMode: false,
    },
    grid: [
      { left: 70, top: 120, width: side, height: side },
      { left: 70, top: 128 + side + 34, width: side, height: 100 },
    ],
    xAxis: [
      { ...x, gridIndex: 0, axisLabel: { color: INK, formatter: asPercent } },
      { ...x, gridIndex: 1, axisLabel: { color: INK, formatter: asPercent } },
    ],
    yAxis: [
      {
        ...x,
        gridIndex: 0,
        axisLabel: { color: INK, formatter: asPercent },
        splitLine: { lineStyle: { color: LINES } },
      },
      {
        type: 'value',
        gridIndex: 1,
        axisLabel: { color: INK },
        splitNumber: 3,
        splitLine: { lineStyle: { color: LINES } },
      },
    ],
    series: [
      {
        ...{
          type: 'bar',
          name: 'right',
          xAxisIndex: 0,
          yAxisIndex: 0,
          barWidth: bar,
          itemStyle: { color: COLOURS[5] },
        },
        data: filled.map((bin) => [middle(bin), bin.accuracy]),
        markLine: {
          ...{ silent: true, symbol: 'none', lineStyle: { color: GREY, type: 'dashed', width: 1.5 } },
          label: { show: false },
          data: [[{ coord: [0, 0] }, { coord: [1, 1] }]],
        },
      },
      {
        ...{ type: 'scatter', name: 'mean probability', xAxisIndex: 0, yAxisIndex: 0, symbol: 'rect', z: 5 },
        ...{ symbolSize: [bar, 4], itemStyle: { color: COLOURS[1] } },
        data: filled.map((bin) => [middle(bin), bin.confidence]),
      },
      {
        ...{ type: 'bar', xAxisIndex: 1, yAxisIndex: 1, barWidth: bar, itemStyle: { color: GREY } },
        data: filled.map((bin) => [middle(bin), bin.count]),
      },
    ],
  };
  return drawChart(option as ChartOption, 70 + side + 60, 128 + side + 200);
}
