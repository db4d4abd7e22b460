/**
 * The paper's tables, all thirteen: what each shows, and its rows as printed. Our counts and runs are held against them.
 *
 * @see Ruan et al. 2024, "iDAT: inverse Distillation Adapter-Tuning", arXiv:2403.15750
 */
import {
  type PaperModel,
  type PaperSetting,
  TABLE_1,
  TABLE_2,
  TABLE_4,
  TABLE_5,
  TABLE_6,
  TABLE_7,
  TABLE_8,
  TABLE_9,
  TABLE_10,
  TABLE_11,
} from './ablations.js';
import { TABLE_13 } from './recipes.js';
import { type PaperRow, TABLE_3 } from './table-3.js';
import { type PaperTask, TASKS, type TaskName } from './tasks.js';

export { TABLE_3, TASKS };

/** A row of Table 13. */
export interface TaskRate {
  readonly task: TaskName;
  readonly lr: number;
}

interface Head {
  readonly number: number;
  readonly shows: string;
  /** What is known to be wrong or uncertain about it. */
  readonly remark?: string;
}

/** A table, by what its rows are. */
export type PaperTable = Head &
  (
    | {
        readonly of: 'methods';
        readonly student: PaperModel;
        readonly teacher: PaperModel;
        readonly rows: readonly PaperRow[];
      }
    | { readonly of: 'settings'; readonly rows: readonly PaperSetting[] }
    | { readonly of: 'tasks'; readonly rows: readonly PaperTask[] }
    | { readonly of: 'rates'; readonly rows: readonly TaskRate[] }
  );

const NUMBERING = 'the text calls both this and the other of Tables 4 and 5 "Table 5"';
const LABELS = 'the labels are lost in our copy and follow the order of the text';

export const TABLES: readonly PaperTable[] = [
  { number: 1, shows: 'models of three sizes, each trained alone', of: 'settings', rows: TABLE_1 },
  { number: 2, shows: 'ViT-B taught by models of three sizes', of: 'settings', rows: TABLE_2 },
  {
    number: 3,
    shows: 'every method on each task of VTAB-1K',
    remark: 'iDAT-PS-mse’s accuracies have the mean 74.01, not 74.00',
    of: 'methods',
    student: 'ViT-B',
    teacher: 'ViT-S',
    rows: TABLE_3,
  },
  {
    number: 4,
    shows: 'losses between the logits',
    remark: `${NUMBERING}; ${LABELS}: cosine before MAE`,
    of: 'settings',
    rows: TABLE_4,
  },
  { number: 5, shows: 'features or logits distilled', remark: NUMBERING, of: 'settings', rows: TABLE_5 },
  { number: 6, shows: 'hidden dimensions of the adapters', of: 'settings', rows: TABLE_6 },
  { number: 7, shows: 'a student deeper than its teacher', of: 'settings', rows: TABLE_7 },
  {
    number: 8,
    shows: 'Swin Transformers',
    remark: 'what Swin-S was pre-trained on is not said',
    of: 'settings',
    rows: TABLE_8,
  },
  {
    number: 9,
    shows: 'temperatures of kl',
    remark: `run at weight 0.5, as Table 10’s equal 73.62 shows; ${LABELS}`,
    of: 'settings',
    rows: TABLE_9,
  },
  { number: 10, shows: 'weights of kl', remark: LABELS, of: 'settings', rows: TABLE_10 },
  { number: 11, shows: 'weights of mse', remark: LABELS, of: 'settings', rows: TABLE_11 },
  {
    number: 12,
    shows: 'the tasks of VTAB-1K',
    remark: 'gives SmallNORB’s elevation 18 classes; it has 9',
    of: 'tasks',
    rows: TASKS,
  },
  {
    number: 13,
    shows: 'the learning rate for each task',
    of: 'rates',
    rows: TASKS.map(({ name: task }) => ({ task, lr: TABLE_13[task] })),
  },
];

/** The rows of all tables of settings, with their table's number. */
export const SETTINGS: readonly (PaperSetting & { readonly table: number })[] = TABLES.flatMap((table) =>
  table.of === 'settings' ? table.rows.map((row) => ({ table: table.number, ...row })) : [],
);
