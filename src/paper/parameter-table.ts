/**
 * What the methods train, counted, beside what the paper prints.
 *
 * The paper's columns mix conventions. So each count is given in three: without a head, with the head of a task of mean
 * size, and all numbers that are stored, those that never train included.
 */
import { blocks as blockSizes, featureWidth } from '../backbones/architecture.js';
import type { Backbone, BackboneConfig } from '../backbones/backbone.js';
import { KNOWN_BACKBONES, knownBackbone } from '../backbones/known-backbones.js';
import { IdatError, nearest } from '../errors.js';
import { zeros } from '../graph/ops/index.js';
import type { Slot } from '../graph/pack.js';
import { size } from '../graph/tensor.js';
import { ALL_BLOCKS, chosenBlocks, normalBlocks } from '../settings/blocks.js';
import { type ModelSpec, traceModel } from '../step/model.js';
import { PAPER_MODELS } from './ablations.js';
import { type PaperRow, TABLE_3 } from './table-3.js';
import { SETTINGS } from './tables.js';
import { MEAN_CLASSES, TASKS } from './tasks.js';

/** Numbers of the models of one row, together. */
export interface Counts {
  /** Trained, heads left out. */
  readonly trained: number;
  /** Trained, with a head for each model for the mean number of classes of Table 3's tasks. */
  readonly withMeanHead: number;
  /** In all added or trained tensors, heads left out. */
  readonly stored: number;
}

export interface CountedRow extends Counts {
  readonly row: string;
  readonly method: string;
  /** A count that leaves out more, where the row's own source counts so. */
  readonly partial: { readonly without: string; readonly count: number } | null;
  /** In millions, as printed. */
  readonly printed: number;
  /** Null where the sizes are not those of the paper's table. */
  readonly verdict: string | null;
}

export interface CheckedSetting {
  readonly table: number;
  readonly models: string;
  readonly hidden: number;
  readonly withHead: boolean;
  readonly count: number;
  readonly printed: number;
  readonly agrees: boolean;
}

export interface ParameterTable {
  readonly student: string;
  readonly teacher: string;
  /** Those that methods work in; of a teacher with fewer, as many as it has. */
  readonly blocks: string;
  readonly meanClasses: number;
  readonly rows: readonly CountedRow[];
  readonly settings: readonly CheckedSetting[];
}

/** Table 3's models. */
export const PAPER_STUDENT = PAPER_MODELS['ViT-B'];
export const PAPER_TEACHER = PAPER_MODELS['ViT-S'];

/** What the source of a row's printed figure seems to leave out besides the head. */
const PARTIAL: Record<string, { without: string; count(slot: Slot): number }> = {
  // one expert's worth of second layers
  mosa: {
    without: 'its norms and the copies of the second layer',
    count: ({ name, shape, size: all }) =>
      name.includes('.experts.') ? all / shape[0]! : name.includes('.norm.') ? 0 : all,
  },
  repadapter: { without: 'biases', count: ({ name, size: all }) => (name.endsWith('bias') ? 0 : all) },
};

/** What is known of printed figures that no convention gives. */
const REMARKS: Record<string, string> = {
  'res-tuning': 'the tuners behind the printed figure are not published: near, not the same',
  sequential: '0.09 (the adapters, rounded up) and 0.04 (the head)',
  parallel: '0.09 (the adapters, rounded up) and 0.04 (the head)',
  'parallel-shared': '0.09 (the adapters, rounded up) and 0.04 (the head)',
};
const PAIR_REMARK = '0.09 + 0.05 (the adapters, rounded up) and 0.04 + 0.02 (the heads)';

/**
 * Counts every row of Table 3 for these models, and the settings of Tables 1, 2, 6, 7 and 8 for the paper's.
 * No weights are read.
 *
 * @param blocks of the backbones that methods work in (settings/blocks.ts); of the other tables, all are counted
 * @throws IdatError `backbone.unknown`; `config.field` for blocks that a model lacks; `method.family` for a model that a method is not defined on
 */
export function parameterTable(
  studentName: string = PAPER_STUDENT,
  teacherName: string = PAPER_TEACHER,
  blocks: string = ALL_BLOCKS,
): ParameterTable {
  const [student, teacher] = [studentName, teacherName].map(sizesOf) as [Sizes, Sizes];
  const choice = normalBlocks('blocks', blocks);
  const [ofStudent, ofTeacher] = [
    { ...student, blocks: blocksOf(student, choice, false) },
    { ...teacher, blocks: blocksOf(teacher, choice, true) },
  ];
  const asPrinted =
    choice === ALL_BLOCKS &&
    student.name.startsWith(`${PAPER_STUDENT}.`) &&
    teacher.name.startsWith(`${PAPER_TEACHER}.`);
  return {
    student: student.name,
    blocks: choice,
    teacher: teacher.name,
    meanClasses: MEAN_CLASSES,
    rows: TABLE_3.map((row) =>
      countRow(row, row.distill === undefined ? [ofStudent] : [ofStudent, ofTeacher], asPrinted),
    ),
    settings: printedSettings().map(checkSetting),
  };
}

/** What the smaller tables print a count for, each once: which loss ties two models does not change what they train. */
const printedSettings = () => {
  const counted = SETTINGS.filter(({ parameters }) => parameters !== undefined);
  const key = ({ table, student, teacher, hidden }: (typeof SETTINGS)[number]) =>
    `${[table, student, teacher, hidden]}`;
  return counted.filter((row, i) => counted.findIndex((other) => key(other) === key(row)) === i);
};

interface Sizes {
  readonly name: string;
  readonly config: BackboneConfig;
  /** Positions; default: all. */
  readonly blocks?: readonly number[] | undefined;
}

const blocksOf = ({ name, config }: Sizes, text: string, inherited: boolean) =>
  chosenBlocks({ field: 'blocks', text, inherited }, { name, depth: blockSizes(config).length });

function sizesOf(name: string): Sizes {
  const known = knownBackbone(name);
  if (known) return known;
  const names = KNOWN_BACKBONES.map((backbone) => backbone.name.split('.')[0]!);
  const near = nearest(name, [...new Set(names)]).join(', ');
  throw new IdatError(
    'backbone.unknown',
    `unknown model '${name}'; did you mean ${near}? Only known sizes are counted`,
  );
}

function countRow(row: PaperRow, models: readonly Sizes[], asPrinted: boolean): CountedRow {
  const { method, options = {} } = row;
  const sets = Array.isArray(options) ? (options as Record<string, unknown>[]) : [options as Record<string, unknown>];
  const mean = (count: (layout: Layout) => number) =>
    sets.reduce((sum, set) => sum + models.reduce((all, sizes) => all + count(layoutOf(sizes, method, set)), 0), 0) /
    sets.length;
  const trained = mean(({ trained }) => trained);
  const heads = models.reduce((sum, { config }) => sum + (featureWidth(config) + 1) * MEAN_CLASSES, 0);
  const less = PARTIAL[method];
  const counted = {
    row: row.row,
    method,
    trained,
    withMeanHead: trained + heads,
    stored: mean(({ slots }) => slots.reduce((sum, slot) => sum + slot.size, 0)),
    partial: less
      ? { without: less.without, count: mean(({ slots }) => slots.reduce((sum, slot) => sum + less.count(slot), 0)) }
      : null,
    printed: row.parameters,
  };
  return { ...counted, verdict: asPrinted ? judge(counted, models.length > 1) : null };
}

/** Which convention gives the printed figure. */
function judge(
  { method, trained, withMeanHead, stored, partial, printed }: Omit<CountedRow, 'verdict'>,
  pair: boolean,
) {
  const matches = (count: number) => isPrintedAs(count, printed);
  const remark = REMARKS[method];
  if (matches(withMeanHead)) return method === 'res-tuning' ? remark! : 'with the mean head';
  if (matches(trained)) return 'without the head';
  if (partial && matches(partial.count)) return `without the head and ${partial.without}`;
  if (matches(stored)) return 'as stored';
  return `disagrees${pair ? `: ${PAIR_REMARK}` : remark ? `: ${remark}` : ''}`;
}

/** Whether a count is printed so in millions, with two digits behind the point. */
const isPrintedAs = (count: number, printed: number): boolean => Math.abs(count / 1e6 - printed) <= 0.005 + 1e-9;

interface Layout {
  /** The method's tensors, without the head's. */
  readonly slots: readonly Slot[];
  /** Numbers of them that train. */
  readonly trained: number;
}

/** Asks the method itself, on a backbone of these sizes without weights. */
function layoutOf(
  { config, blocks }: Omit<Sizes, 'name'>,
  method: string,
  methodOptions: Readonly<Record<string, unknown>>,
): Layout {
  const weights = {
    has: () => true,
    constant: (_: string, shape: readonly number[]) => zeros(shape),
    values: (_: string, shape: readonly number[]) => new Float32Array(size(shape)),
  };
  const backbone: Backbone = { name: 'sizes', config, weights, mean: [], std: [], path: '', sha256: '' };
  const model: ModelSpec = { backbone, method, methodOptions, blocks, classes: 1, dropPath: 0 };
  const { layout } = traceModel(model, { role: '', batch: 1, training: false, disable: [] });
  const slots = layout.slots.filter(({ name }) => !name.startsWith('head.'));
  const mask = layout.mask(0, 'student');
  const trainedOf = ({ offset, size: all }: Slot) =>
    mask ? mask.subarray(offset, offset + all).reduce((sum, value) => sum + value, 0) : all;
  return { slots, trained: slots.reduce((sum, slot) => sum + trainedOf(slot), 0) };
}

function checkSetting({
  table,
  student,
  teacher,
  hidden,
  tasks,
  parameters,
  withHead = false,
}: (typeof SETTINGS)[number]) {
  const models = teacher === undefined ? [student] : [teacher, student];
  const classes = TASKS.find(({ name }) => name === tasks[0])!.classes;
  const count = models.reduce((sum, name) => {
    const { config } = sizesOf(PAPER_MODELS[name]);
    const head = withHead ? (featureWidth(config) + 1) * classes : 0;
    return sum + layoutOf({ config }, 'parallel', { hidden }).trained + head;
  }, 0);
  const printed = parameters!;
  return { table, models: models.join(' → '), hidden, withHead, count, printed, agrees: isPrintedAs(count, printed) };
}
