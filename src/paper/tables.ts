/**
 * The figures printed in the paper's tables, and the settings they belong to: what our counts and runs are held against.
 *
 * @see Ruan et al. 2024, "iDAT: inverse Distillation Adapter-Tuning", arXiv:2403.15750
 */

export interface PaperTask {
  /** VTAB's name. */
  readonly name: string;
  /** The head of its column in Table 3. */
  readonly column: string;
  readonly group: 'natural' | 'specialised' | 'structured';
  readonly classes: number;
}

const tasks = (group: PaperTask['group'], list: readonly (readonly [string, string, number])[]): PaperTask[] =>
  list.map(([name, column, classes]) => ({ name, column, group, classes }));

/** VTAB-1K's tasks in the order of Table 3's columns. */
export const TASKS: readonly PaperTask[] = [
  ...tasks('natural', [
    ['cifar100', 'C100', 100],
    ['caltech101', 'Cal', 102],
    ['dtd', 'DTD', 47],
    ['flowers102', 'Flo', 102],
    ['pets', 'Pet', 37],
    ['svhn', 'SVH', 10],
    ['sun397', 'Sun', 397],
  ]),
  ...tasks('specialised', [
    ['patch_camelyon', 'Cam', 2],
    ['eurosat', 'Euro', 10],
    ['resisc45', 'Res', 45],
    ['diabetic_retinopathy', 'Ret', 5],
  ]),
  ...tasks('structured', [
    ['clevr_count', 'Cnt', 8],
    ['clevr_dist', 'Dst', 6],
    ['dmlab', 'DML', 6],
    ['kitti', 'KIT', 4],
    ['dsprites_loc', 'Loc', 16],
    ['dsprites_ori', 'Ori', 16],
    ['smallnorb_azi', 'Azi', 18],
    ['smallnorb_ele', 'Ele', 9],
  ]),
];

/** Classes of a task on average: what a count "with the head" means where one number stands for all tasks. */
export const MEAN_CLASSES = TASKS.reduce((sum, { classes }) => sum + classes, 0) / TASKS.length;

export interface PaperRow {
  /** As the table names it; an asterisk marks what is presumably the authors' own run of another's method. */
  readonly row: string;
  /** Our tuning method, and its options: one set, or one for each task. */
  readonly method: string;
  readonly options?: Readonly<Record<string, unknown>> | readonly Readonly<Record<string, unknown>>[];
  /** Distillation loss where a teacher teaches. */
  readonly distill?: string;
  /** Trained parameters in millions, as printed. */
  readonly parameters: number;
  /** Top-1 in per cent, in the order of TASKS, and their printed mean. */
  readonly accuracies: readonly number[];
  readonly mean: number;
}

/** VPT-Deep's prompts for each task, as far as published; the mean gives the count printed. */
const VPT_PROMPTS = [10, 10, 10, 1, 1, 50, 5, 100, 100, 10, 1, 50, 200, 100, 50, 10, 50, 200, 200];

const percent = (text: string): number[] => text.split(' ').map(Number);

/** Table 3: VTAB-1K, student ViT-B/16, teacher ViT-S/16. */
export const TABLE_3: readonly PaperRow[] = [
  {
    row: 'FPT',
    method: 'full',
    parameters: 85.84,
    accuracies: percent(
      '68.9 87.7 64.3 97.2 86.9 87.4 38.8 79.7 95.7 84.2 73.9 56.3 58.6 41.7 65.5 57.5 46.7 25.7 29.1',
    ),
    mean: 65.57,
  },
  {
    row: 'Linear',
    method: 'linear',
    parameters: 0.04,
    accuracies: percent(
      '63.4 85.0 63.2 97.0 86.3 36.6 51.0 78.5 87.5 68.6 74.0 34.3 30.6 33.2 55.4 12.5 20.0 9.6 19.2',
    ),
    mean: 52.94,
  },
  {
    row: 'VPT-Deep',
    method: 'vpt-deep',
    options: VPT_PROMPTS.map((prompts) => ({ prompts })),
    parameters: 0.6,
    accuracies: percent(
      '78.8 90.8 65.8 98.0 88.3 78.1 49.6 81.8 96.1 83.4 68.4 68.5 60.0 46.5 72.8 73.6 47.9 32.9 37.8',
    ),
    mean: 69.43,
  },
  {
    row: 'LoRA',
    method: 'lora',
    parameters: 0.29,
    accuracies: percent(
      '65.3 87.9 69.4 98.7 90.7 82.4 53.4 82.8 94.8 82.5 75.0 77.6 64.7 45.8 79.0 73.3 44.7 26.3 38.2',
    ),
    mean: 70.13,
  },
  {
    row: 'SSF',
    method: 'ssf',
    parameters: 0.24,
    accuracies: percent(
      '69.0 92.6 75.1 99.4 91.8 90.2 52.9 87.4 95.9 87.4 75.5 75.9 62.3 53.3 80.6 77.3 54.9 29.5 37.9',
    ),
    mean: 73.1,
  },
  {
    row: 'ARC',
    method: 'arc',
    parameters: 0.13,
    accuracies: percent(
      '72.2 90.1 72.7 99.0 91.0 91.9 54.4 84.9 95.7 86.7 75.8 80.7 67.1 48.7 81.6 79.2 51.0 31.4 39.9',
    ),
    mean: 73.37,
  },
  {
    row: 'MoSA',
    method: 'mosa',
    parameters: 0.3,
    accuracies: percent(
      '79.7 91.5 66.2 98.8 89.7 79.0 53.4 83.4 95.6 82.0 75.1 71.5 58.1 40.7 70.2 57.8 43.6 26.5 34.0',
    ),
    mean: 68.25,
  },
  {
    row: 'ReAdapter',
    method: 'repadapter',
    parameters: 0.22,
    accuracies: percent(
      '72.4 91.6 71.0 99.2 91.4 90.7 55.1 85.3 95.9 84.6 75.9 82.3 68.0 50.4 79.9 80.4 49.2 38.6 41.0',
    ),
    mean: 73.84,
  },
  {
    row: 'Res-Tuning',
    method: 'res-tuning',
    parameters: 0.55,
    accuracies: percent(
      '75.2 92.7 71.9 99.3 91.9 86.7 58.5 86.7 95.6 85.0 74.6 80.2 63.6 50.6 80.2 85.4 55.7 31.9 42.0',
    ),
    mean: 74.09,
  },
  {
    row: 'Seq. adapter*',
    method: 'sequential',
    options: { hidden: 4 },
    parameters: 0.13,
    accuracies: percent(
      '70.1 93.5 74.9 99.5 91.7 87.2 51.4 86.9 96.6 87.8 76.9 84.3 34.5 53.8 80.2 72.8 54.8 22.4 40.2',
    ),
    mean: 71.55,
  },
  {
    row: 'iDAT-S-kl',
    method: 'sequential',
    options: { hidden: 4 },
    distill: 'kl',
    parameters: 0.2,
    accuracies: percent(
      '75.3 93.7 76.7 99.6 92.3 88.6 55.1 86.8 96.9 88.7 77.0 85.1 62.6 53.7 79.4 77.5 54.7 27.3 38.9',
    ),
    mean: 74.21,
  },
  {
    row: 'iDAT-S-mse',
    method: 'sequential',
    options: { hidden: 4 },
    distill: 'mse',
    parameters: 0.2,
    accuracies: percent(
      '76.0 94.7 77.2 99.6 92.3 90.0 55.5 86.7 96.6 88.4 77.0 86.4 29.0 52.8 82.3 80.3 54.5 29.3 43.5',
    ),
    mean: 73.27,
  },
  {
    row: 'Par. adapter*',
    method: 'parallel',
    options: { hidden: 4 },
    parameters: 0.13,
    accuracies: percent(
      '70.4 92.2 74.5 99.4 91.3 79.1 51.5 83.2 96.4 87.7 76.2 83.7 60.3 53.5 74.6 56.6 54.4 28.3 42.3',
    ),
    mean: 71.35,
  },
  {
    row: 'iDAT-P-kl',
    method: 'parallel',
    options: { hidden: 4 },
    distill: 'kl',
    parameters: 0.2,
    accuracies: percent(
      '73.7 92.3 76.8 99.6 92.1 83.5 55.0 84.1 96.5 88.2 76.7 82.1 60.6 53.4 76.3 67.1 53.9 29.3 40.7',
    ),
    mean: 72.73,
  },
  {
    row: 'iDAT-P-mse',
    method: 'parallel',
    options: { hidden: 4 },
    distill: 'mse',
    parameters: 0.2,
    accuracies: percent(
      '74.6 94.0 77.0 99.6 92.5 85.9 55.2 85.1 96.6 88.0 77.0 80.3 62.1 53.2 73.9 76.0 55.1 30.1 41.6',
    ),
    mean: 73.57,
  },
  {
    row: 'Par. shared adapter',
    method: 'parallel-shared',
    options: { hidden: 4 },
    parameters: 0.13,
    accuracies: percent(
      '70.2 92.6 74.6 99.4 91.2 80.4 51.4 84.1 96.3 88.0 75.6 84.2 59.6 53.2 76.3 60.7 51.9 27.8 40.2',
    ),
    mean: 71.46,
  },
  {
    row: 'iDAT-PS-kl',
    method: 'parallel-shared',
    options: { hidden: 4 },
    distill: 'kl',
    parameters: 0.2,
    accuracies: percent(
      '73.9 92.8 76.9 99.6 92.3 84.0 54.9 85.1 96.9 88.6 76.2 83.7 60.4 53.4 77.4 70.7 53.2 27.2 40.2',
    ),
    mean: 73.02,
  },
  {
    row: 'iDAT-PS-mse',
    method: 'parallel-shared',
    options: { hidden: 4 },
    distill: 'mse',
    parameters: 0.2,
    accuracies: percent(
      '74.9 94.1 77.5 99.6 92.4 87.1 55.2 85.1 96.6 88.6 76.9 83.1 62.4 54.9 73.2 79.0 54.7 29.5 41.3',
    ),
    mean: 74.0,
  },
];

/** A row of one of the smaller tables: one setting, one accuracy. Parallel adapters throughout. */
export interface PaperSetting {
  readonly table: number;
  /** Sizes as the paper calls them: ViT-B, Swin-S. */
  readonly student: string;
  readonly teacher?: string;
  readonly hidden: number;
  /** Distillation loss where a teacher teaches, its temperature if it has one, and its weight. */
  readonly distill?: string;
  readonly temperature?: number;
  readonly weight?: number;
  /** VTAB's names of the tasks whose mean the accuracy is. */
  readonly tasks: readonly string[];
  /** Trained parameters in millions, as printed, where the table has them, and whether those of the heads are in it. */
  readonly parameters?: number;
  readonly withHead?: boolean;
  /** Top-1 in per cent. */
  readonly accuracy: number;
}

const THREE_TASKS = ['cifar100', 'dtd', 'flowers102'];
const CIFAR = ['cifar100'];
const KL = { distill: 'kl', temperature: 5, weight: 1 };

/** Tables 1 and 2: which model is how good alone, and as the teacher of which. */
const TABLES_1_AND_2: readonly PaperSetting[] = [
  { table: 1, student: 'ViT-S', parameters: 0.05, accuracy: 80.42 },
  { table: 1, student: 'ViT-B', parameters: 0.09, accuracy: 81.42 },
  { table: 1, student: 'ViT-L', parameters: 0.25, accuracy: 81.96 },
  { table: 2, student: 'ViT-B', teacher: 'ViT-S', ...KL, parameters: 0.14, accuracy: 83.37 },
  { table: 2, student: 'ViT-B', teacher: 'ViT-B', ...KL, parameters: 0.18, accuracy: 82.11 },
  { table: 2, student: 'ViT-B', teacher: 'ViT-L', ...KL, parameters: 0.34, accuracy: 83.03 },
].map((row) => ({ hidden: 4, tasks: THREE_TASKS, withHead: false, ...row }));

/** Tables 4 and 5 as far as they concern distillation losses on logits. */
const LOSSES_ON_LOGITS: readonly PaperSetting[] = [
  { student: 'ViT-B', accuracy: 70.37 },
  { student: 'ViT-B', teacher: 'ViT-S', distill: 'cosine', weight: 1, accuracy: 74.89 },
  { student: 'ViT-B', teacher: 'ViT-S', distill: 'mae', weight: 1, accuracy: 73.1 },
  { student: 'ViT-B', teacher: 'ViT-S', ...KL, accuracy: 73.73 },
].map((row) => ({ table: 4, hidden: 4, tasks: CIFAR, ...row }));

/** Table 6: the hidden dimension, of student and teacher alike. */
const TABLE_6: readonly PaperSetting[] = [8, 16, 32, 64].flatMap((hidden, i) => {
  const setting = { table: 6, hidden, tasks: CIFAR, withHead: true };
  const pair = { ...setting, student: 'ViT-B', teacher: 'ViT-S', weight: 1, parameters: [0.35, 0.57, 1.01, 1.9][i]! };
  return [
    {
      ...setting,
      student: 'ViT-B',
      parameters: [0.23, 0.38, 0.68, 1.27][i]!,
      accuracy: [70.8, 70.08, 71.84, 70.87][i]!,
    },
    {
      ...setting,
      student: 'ViT-L',
      parameters: [0.52, 0.91, 1.7, 3.27][i]!,
      accuracy: [73.15, 73.86, 73.48, 73.4][i]!,
    },
    { ...pair, distill: 'kl', temperature: 5, accuracy: [74.2, 74.03, 75.14, 75.2][i]! },
    { ...pair, distill: 'mse', accuracy: [75.05, 75.76, 76.47, 77.44][i]! },
  ];
});

/** Tables 7 and 8: a deeper student, and another family of backbones. */
const TABLES_7_AND_8: readonly PaperSetting[] = [
  { table: 7, student: 'ViT-S', parameters: 0.08, accuracy: 68.26 },
  { table: 7, student: 'ViT-L', parameters: 0.32, accuracy: 72.45 },
  { table: 7, student: 'ViT-L', teacher: 'ViT-L', ...KL, parameters: 0.64, accuracy: 74.89 },
  { table: 7, student: 'ViT-L', teacher: 'ViT-S', ...KL, parameters: 0.4, accuracy: 75.74 },
  { table: 8, student: 'Swin-S', parameters: 0.16, accuracy: 68.49 },
  { table: 8, student: 'Swin-B', parameters: 0.21, accuracy: 69.86 },
  { table: 8, student: 'Swin-B', teacher: 'Swin-S', ...KL, parameters: 0.37, accuracy: 71.72 },
].map((row) => ({ hidden: 4, tasks: CIFAR, withHead: true, ...row }));

const pair = { student: 'ViT-B', teacher: 'ViT-S', hidden: 4, tasks: CIFAR };
const accuracies = (list: readonly (readonly [number, number])[]) => list;

/** Tables 9, 10 and 11: temperature (at weight 0.5, as the shared value 73.62 shows), and the weight under kl and mse. */
const TABLES_9_TO_11: readonly PaperSetting[] = [
  ...accuracies([
    [1, 66.66],
    [5, 73.62],
    [10, 72.65],
    [20, 71.15],
  ]).map(([temperature, accuracy]) => ({ ...pair, ...KL, table: 9, temperature, weight: 0.5, accuracy })),
  ...accuracies([
    [0.1, 72.02],
    [0.2, 72.8],
    [0.5, 73.62],
    [1, 73.73],
  ]).map(([weight, accuracy]) => ({ ...pair, ...KL, table: 10, weight, accuracy })),
  ...accuracies([
    [0.1, 74.24],
    [0.2, 74.34],
    [0.5, 74.57],
    [1, 74.61],
  ]).map(([weight, accuracy]) => ({ ...pair, table: 11, distill: 'mse', weight, accuracy })),
];

/** The settings of all tables but Table 3. The feature-based variant (66.21) is none of logits and stands in no row. */
export const SETTINGS: readonly PaperSetting[] = [
  ...TABLES_1_AND_2,
  ...LOSSES_ON_LOGITS,
  ...TABLE_6,
  ...TABLES_7_AND_8,
  ...TABLES_9_TO_11,
];
