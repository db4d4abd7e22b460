/** A profile as tables: by kind of op, by part of the models, and what lies outside the runtime's kernels. */
import type { KernelShare, OutsideKernels, StepProfile } from './profile-record.js';

/** One row of a table: a name and milliseconds a step, split as its table splits them. */
export interface Row {
  readonly name: string;
  readonly ms: number;
}

/** Milliseconds a step of one part of the models. */
export interface PartRow extends Row {
  /** By role and direction, such as `student forward`; what belongs to no model alone stands under `both models`. */
  readonly split: Readonly<Record<string, number>>;
}

export const SPLITS = [
  'student forward',
  'student backward',
  'teacher forward',
  'teacher backward',
  'both models',
] as const;

const OUTSIDE: Record<keyof OutsideKernels, string> = {
  scheduling: 'runtime, between kernels',
  copying: 'copying to the worker and back',
  summing: 'adding up and checking',
  optimizer: 'optimiser',
  waiting: 'waiting for images',
};

/** Kernels by ONNX operator type, the longest first. */
export const byOp = ({ kernels }: StepProfile): Row[] =>
  grouped(kernels, ({ op }) => op).map(([name, group]) => ({ name, ms: total(group) }));

/** Kernels by room and part, the longest first. */
export const byPart = ({ kernels }: StepProfile): PartRow[] =>
  grouped(kernels, ({ part }) => part ?? 'unattributed').map(([name, group]) => ({
    name,
    ms: total(group),
    split: Object.fromEntries(grouped(group, splitOf).map(([split, members]) => [split, total(members)])),
  }));

export const outside = (profile: StepProfile): Row[] =>
  Object.entries(OUTSIDE).map(([key, name]) => ({ name, ms: profile.outside[key as keyof OutsideKernels] }));

const splitOf = ({ role, backward }: KernelShare): string =>
  role === null ? 'both models' : `${role} ${backward ? 'backward' : 'forward'}`;

const total = (rows: readonly { ms: number }[]): number => rows.reduce((sum, { ms }) => sum + ms, 0);

function grouped<T extends { ms: number }>(rows: readonly T[], key: (row: T) => string): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
  return [...groups].sort(([, a], [, b]) => total(b) - total(a));
}

/** What the profile is of, in one line. */
export function profileTitle({ models, variant, batchSize, microBatch, device, threads, prefix }: StepProfile): string {
  const call = microBatch === batchSize ? '' : ` in calls of ${microBatch}`;
  return `${variant} (${models}), ${batchSize} images a step${call}, ${device}, ${threads} ${threads === 1 ? 'thread' : 'threads'}${prefix ? ', frozen prefixes at hand' : ''}`;
}

/** profile.md */
export function profileMarkdown(profile: StepProfile): string {
  const { stepMs, steps, readingMs, prefix } = profile;
  const cells = (ms: number) => [ms.toFixed(2), `${((100 * ms) / stepMs).toFixed(1)} %`];
  const rows = (list: readonly Row[]) => list.map(({ name, ms }) => [name, ...cells(ms)]);
  const splits = SPLITS.filter((split) => byPart(profile).some((row) => split in row.split));
  const parts = byPart(profile).map(({ name, ms, split }) => [
    name,
    ...cells(ms),
    ...splits.map((key) => split[key]?.toFixed(2) ?? ''),
  ]);
  return [
    `# Where the time of a step goes`,
    `${profileTitle(profile)}.`,
    `A step took ${stepMs.toFixed(1)} ms (mean of ${steps} under the profiler, which slows small models down); shares are of that. Reading and normalising a batch took ${readingMs.toFixed(2)} ms beside it.${prefix ? ' What the models’ frozen prefixes compute was at hand, as it is from the second epoch on.' : ''}`,
    '## By part of the models, in milliseconds a step',
    table(['part', 'ms', 'share', ...splits], parts),
    '## By kind of op',
    table(['op', 'ms', 'share'], rows(byOp(profile))),
    '## Outside the kernels',
    table(['', 'ms', 'share'], rows(outside(profile))),
    '',
  ].join('\n\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}
