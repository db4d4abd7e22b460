/** Whether student and teacher name the same classes: on the training images in each epoch, on the test images in the end. */
import { type ChartOption, drawChart } from '../report/chart-library.js';
import type { EpochMetrics, Phase } from '../settings/record.js';
import { type Answers, argmax } from '../statistics/index.js';
import { COLOURS, heading, INK, LINES, ROLE_COLOURS } from './style.js';

export interface AgreementReport {
  /** `agreement` is null for epochs of versions of idat that did not count it. */
  readonly epochs: readonly {
    readonly phase: Phase;
    readonly epoch: number;
    readonly agreement: number | null;
    readonly student: number;
    readonly teacher: number;
  }[];
  readonly test: TestAgreement;
}

export interface TestAgreement {
  readonly images: number;
  /** Share of images with the same answer, right or wrong. */
  readonly agreement: number;
  /** (agreement − chance)/(1 − chance), chance from how often each names each class (Cohen 1960); null where chance is 1. */
  readonly kappa: number | null;
  /** How many images, by who is right. Of those where nobody is, `sameError` have one answer. */
  readonly bothRight: number;
  readonly studentAlone: number;
  readonly teacherAlone: number;
  readonly bothWrong: number;
  readonly sameError: number;
}

/** @param student, teacher answers to the same images */
export function testAgreement(student: Answers, teacher: Answers): TestAgreement {
  const { classes: K, labels } = student;
  const N = labels.length;
  const named = { student: new Array<number>(K).fill(0), teacher: new Array<number>(K).fill(0) };
  const counts = { same: 0, bothRight: 0, studentAlone: 0, teacherAlone: 0, bothWrong: 0, sameError: 0 };
  for (let i = 0; i < N; i++) {
    const [s, t] = [argmax(student.logits, i * K, K), argmax(teacher.logits, i * K, K)];
    named.student[s]!++;
    named.teacher[t]!++;
    if (s === t) counts.same++;
    if (s === labels[i]) counts[t === labels[i] ? 'bothRight' : 'studentAlone']++;
    else if (t === labels[i]) counts.teacherAlone++;
    else {
      counts.bothWrong++;
      if (s === t) counts.sameError++;
    }
  }
  const { same, ...who } = counts;
  const agreement = same / N;
  const chance = named.student.reduce((sum, n, k) => sum + (n / N) * (named.teacher[k]! / N), 0);
  return { images: N, agreement, kappa: chance < 1 ? (agreement - chance) / (1 - chance) : null, ...who };
}

export const epochsOf = (metrics: readonly EpochMetrics[]): AgreementReport['epochs'] =>
  metrics.map(({ phase, epoch, agreement = null, trainAccuracy, teacherTrainAccuracy }) => ({
    ...{ phase, epoch, agreement },
    student: trainAccuracy,
    teacher: teacherTrainAccuracy!,
  }));

/** Over the epochs of the last phase. */
export function agreementChart({ epochs, test }: AgreementReport): string {
  const last = epochs.filter(({ phase }) => phase === epochs.at(-1)!.phase);
  const lines = [
    { name: 'same answer', colour: COLOURS[2], symbol: 'diamond', type: 'solid', of: 'agreement' },
    { name: 'student right', colour: ROLE_COLOURS.student, symbol: 'circle', type: 'solid', of: 'student' },
    { name: 'teacher right', colour: ROLE_COLOURS.teacher, symbol: 'triangle', type: 'dashed', of: 'teacher' },
  ] as const;
  const share = (value: number) => `${(100 * value).toFixed(1)} %`;
  const { agreement, kappa, images, bothRight, studentAlone, teacherAlone, bothWrong, sameError } = test;
  const chance = kappa === null ? '' : ` (κ ${kappa.toFixed(2)})`;
  const inTest = `Test: the same answer to ${share(agreement)} of ${images} images${chance}. Right: both ${bothRight}, student alone ${studentAlone},\nteacher alone ${teacherAlone}, neither ${bothWrong} (of those ${sameError} with the same wrong answer)`;
  const unknown = last.every((epoch) => epoch.agreement === null) ? '. Agreement was not counted in training' : '';
  const option = {
    title: heading('Do student and teacher agree?', `${inTest}${unknown}`),
    legend: { left: 70, top: 84, data: lines.map(({ name }) => name), itemGap: 32, textStyle: { color: INK } },
    grid: { left: 76, top: 122, width: 640, height: 330 },
    xAxis: {
      ...{ type: 'category', name: 'epoch', nameLocation: 'middle', nameGap: 30, boundaryGap: false },
      ...{ data: last.map(({ epoch }) => `${epoch + 1}`), axisLabel: { color: INK } },
      nameTextStyle: { color: INK, fontWeight: 'bold' },
    },
    yAxis: {
      ...{ type: 'value', name: 'training images', nameLocation: 'middle', nameGap: 52, scale: true },
      ...{ splitLine: { lineStyle: { color: LINES } }, nameTextStyle: { color: INK, fontWeight: 'bold' } },
      axisLabel: { color: INK, formatter: (value: number) => `${Math.round(1000 * value) / 10} %` },
    },
    series: lines.map(({ name, colour, symbol, type, of }) => ({
      ...{ type: 'line', name, symbol, symbolSize: 8, showAllSymbol: last.length <= 30 },
      ...{ lineStyle: { color: colour, type, width: 2 }, itemStyle: { color: colour } },
      data: last.map((epoch) => epoch[of]),
    })),
  };
  return drawChart(option as ChartOption, 760, 520);
}
