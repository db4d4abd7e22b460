/** The result as people read it, and the targets it is held against. */
import { type MeasuredRow, ratio, type Summary, summarise } from './readings.js';
import type { Result } from './result.js';
import type { WatchedRun } from './train-process.js';

export const PRODUCT_TABLE = 'matrix product';
export const FORWARD_TABLE = 'inference';
export const stepTable = (adapter: string): string => `training step, ${adapter} adapters`;
const BASELINE = 'PyTorch eager float32';
const GIB = 2 ** 30;

/** A target of the project, and how far a result is. */
export interface Target {
  figure: string;
  target: string;
  measured: string;
  met: boolean;
}

export function report(result: Result): string {
  const { machine, versions, git } = result;
  const head = [
    `${machine.cpu}, ${machine.cores} cores, ${gigabytes(machine.memoryBytes)}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    git ? `commit ${git.commit.slice(0, 10)}${git.dirty ? ', with changes' : ''}` : 'not a git checkout',
  ].join('\n');
  const tables = [...new Set(result.rows.map((row) => row.table))].map((name) => speedTable(name, result.rows));
  return [
    head,
    agreementTable(result),
    triedTable(result),
    ...tables,
    memoryTable(result),
    other(result),
    targetTable(targets(result)),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function agreementTable({ agreement }: Result): string {
  const rows = agreement.map(({ name, adapter, lossDeviation, gradientDeviation, worstGradient }) => [
    `${name}, ${adapter}`,
    lossDeviation.toExponential(1),
    gradientDeviation.toExponential(1),
    worstGradient,
  ]);
  return columns([['agreement with PyTorch eager float32', 'losses', 'gradients', 'worst gradient'], ...rows]);
}

function speedTable(table: string, all: readonly MeasuredRow[]): string {
  const unit = table === PRODUCT_TABLE ? 'GFLOP/s' : 'ms/image';
  const rows = all.filter((row) => row.table === table);
  const baseline = rows.find(({ name }) => name === BASELINE);
  const lines = rows.map((row) => {
    const { median, lowest, highest } = summarise(row.readings.map(({ value }) => value));
    const range = `${lowest.toFixed(0)} to ${highest.toFixed(0)}`;
    return [row.name, row.setting, median.toFixed(0), range, baseline ? times(ratio(baseline, row)) : ''];
  });
  const heads = [table, 'setting', `${unit}, median`, 'range', baseline ? 'times as fast as eager float32' : ''];
  return columns([heads, ...lines]);
}

/** What the rows' settings were chosen from. */
function triedTable({ tried }: Result): string {
  if (tried.length === 0) return '';
  const rows = tried.map(({ mode, part, batch, threads, msPerImage }) => [
    `${mode}, ${part}`,
    `${batch}`,
    `${threads}`,
    msPerImage.toFixed(0),
  ]);
  return columns([['settings of PyTorch tried once', 'batch', 'threads', 'ms/image'], ...rows]);
}

function memoryTable({ memory }: Result): string {
  if (memory.length === 0) return '';
  const rows = memory.map(({ name, peakBytes }) => [name, gigabytes(peakBytes)]);
  return columns([['peak resident memory of a training process, batch 32', ''], ...rows]);
}

function other({ failures, watched, linearProbing, secondsToFirstStep, flopsPerImage }: Result): string {
  const lines = [
    ...Object.entries(flopsPerImage).map(
      ([name, flops]) => `matrix products of the compiled step, ${name}: ${(flops / 1e9).toFixed(1)} GFLOP an image`,
    ),
    ...Object.entries(watched).map(
      ([name, run]) => `time outside ONNX Runtime in a training run, ${name}: ${percent(outsideShare(run))}`,
    ),
    linearProbing && `linear probing, epochs: ${linearProbing.map((s) => `${s.toFixed(2)} s`).join(', ')}`,
    secondsToFirstStep && `from command to first step: ${secondsToFirstStep.map((s) => s.toFixed(1)).join(', ')} s`,
    ...failures.map(({ name, reason }) => `not measured: ${name}: ${reason}`),
  ];
  return lines.filter(Boolean).join('\n');
}

/** The targets on which this result has something to say. */
export function targets(result: Result): Target[] {
  const steps = ['parallel', 'sequential'].flatMap((adapter) => stepTargets(result, adapter));
  const forward = rowsOf(result, FORWARD_TABLE);
  const list = [
    ...steps,
    atLeast('inference, float32, against PyTorch eager float32', 1.2, forward(BASELINE), forward('idat float32')),
    atLeast('inference, int8, against PyTorch eager float32', 3, forward(BASELINE), forward('idat int8')),
    ...peakTargets(result),
    memoryTarget(result),
    ...runTargets(result),
  ];
  return list.filter((target) => target !== null);
}

function stepTargets(result: Result, adapter: string): (Target | null)[] {
  const row = rowsOf(result, stepTable(adapter));
  const peers = result.rows.filter(
    ({ table, name }) => table === stepTable(adapter) && name.startsWith('PyTorch') && name !== BASELINE,
  );
  const fastest = [row(BASELINE), ...peers].reduce((best, next) =>
    next && (!best || medianOf(next) < medianOf(best)) ? next : best,
  );
  const own = result.rows
    .filter(({ table, name }) => table === stepTable(adapter) && name.startsWith('idat'))
    .reduce<MeasuredRow | undefined>(
      (best, next) => (best && medianOf(best) <= medianOf(next) ? best : next),
      undefined,
    );
  const title = `step, ${adapter}`;
  return [
    atLeast(`${title}, float32, against PyTorch eager float32`, 1.3, row(BASELINE), row('idat float32')),
    atLeast(`${title}, ${own?.name} against ${fastest?.name}`, 1.2, fastest, own),
    atLeast(`${title}, int8, against PyTorch eager float32`, 3, row(BASELINE), row('idat int8')),
  ];
}

/** GFLOP/s of the step over GFLOP/s of the product, within each round. */
function peakTargets(result: Result): (Target | null)[] {
  const product = rowsOf(result, PRODUCT_TABLE)('ONNX Runtime');
  return Object.entries(result.flopsPerImage).map(([adapter, flops]) => {
    const step = rowsOf(result, stepTable(adapter))('idat float32');
    if (!step || !product) return null;
    const shares = step.readings.map(({ value }, i) => flops / (value / 1000) / 1e9 / product.readings[i]!.value);
    const { median } = summarise(shares);
    return target(`step, ${adapter}: share of the product peak`, '≥ 85 %', percent(median), median >= 0.85);
  });
}

function memoryTarget({ memory }: Result): Target | null {
  const peak = (wanted: string) => memory.find(({ name }) => name === wanted)?.peakBytes;
  const [own, peer] = [peak('idat float32'), peak(BASELINE)];
  if (own === undefined || peer === undefined) return null;
  return target('peak memory against PyTorch eager float32', '≤ 0.33', (own / peer).toFixed(2), own / peer <= 1 / 3);
}

function runTargets({ watched, linearProbing, secondsToFirstStep }: Result): (Target | null)[] {
  const start = secondsToFirstStep && summarise(secondsToFirstStep).median;
  // with a prefix, its runs beside the step fall into the times of other steps
  const whole = watched['float32 whole'];
  const outside = whole && outsideShare(whole);
  const speedUp = linearProbing && linearProbing[0]! / linearProbing[1]!;
  return [
    speedUp ? target('linear probing, second epoch', '≥ 100 ×', `${speedUp.toFixed(1)} ×`, speedUp >= 100) : null,
    start ? target('from command to first step', '≤ 5 s', `${start.toFixed(1)} s`, start <= 5) : null,
    outside !== undefined ? target('overhead outside the runtime', '≤ 3 %', percent(outside), outside <= 0.03) : null,
  ];
}

function atLeast(figure: string, factor: number, slow?: MeasuredRow, fast?: MeasuredRow): Target | null {
  if (!slow || !fast) return null;
  const found = ratio(slow, fast);
  return target(figure, `≥ ${factor} ×`, times(found), found.median >= factor);
}

const target = (figure: string, wanted: string, measured: string, met: boolean): Target => ({
  figure,
  target: wanted,
  measured,
  met,
});

function targetTable(list: readonly Target[]): string {
  const rows = list.map(({ figure, target, measured, met }) => [figure, target, measured, met ? 'met' : 'not met']);
  return columns([['targets', 'wanted', 'measured', ''], ...rows]);
}

const rowsOf = (result: Result, table: string) => (name: string) =>
  result.rows.find((row) => row.table === table && row.name === name);

const medianOf = ({ readings }: MeasuredRow) => summarise(readings.map(({ value }) => value)).median;

const outsideShare = ({ steps }: WatchedRun) => {
  const sum = (key: 'seconds' | 'runSeconds') => steps.reduce((total, step) => total + step[key], 0);
  return 1 - sum('runSeconds') / sum('seconds');
};

const times = ({ median, lowest, highest }: Summary) =>
  `${median.toFixed(2)} × (${lowest.toFixed(2)} to ${highest.toFixed(2)})`;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const gigabytes = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;

/** Columns as wide as their longest cell, two spaces between. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
