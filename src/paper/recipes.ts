/**
 * The 19 recipes: how the authors' script trains on each task of VTAB-1K, teacher and student alike, whatever the method
 * and the loss. They are SSF's.
 *
 * What a recipe leaves open is the user's: models, method, loss, seed, and the protocol, which decides what the accuracy
 * means (the script's is `paper`). Augmentation and label smoothing are off, as by default.
 *
 * @see JCruan519/iDAT, `train_scripts/vit/train_vtab_onlinekd.sh`; Lian et al. 2022 (SSF), arXiv:2210.08823
 */
import { IdatError, nearest, printable } from '../errors.js';
import type { FineTuneInput } from '../settings/config.js';
import { TASKS, type TaskName, taskNamed } from './tasks.js';

/** Settings of a run that are the same for all tasks. */
const COMMON = {
  /** The cosine's length. The paper says 100; its script's scheduler adds the cooldown, so that 110 are trained. */
  epochs: 100,
  cooldownEpochs: 10,
  warmupEpochs: 10,
  warmupLr: 1e-7,
  minLr: 1e-8,
  /** As the paper says. The script has 32 for each of two processes and the same rates. */
  batchSize: 32,
} as const satisfies Partial<FineTuneInput>;

/** Settings of a run, to be spread into what `fineTune` is given. */
export type Recipe = Readonly<Record<keyof typeof COMMON | 'lr' | 'weightDecay' | 'dropPath', number>>;

const recipe = (lr: number, weightDecay: number, dropPath: number) =>
  ({ ...COMMON, lr, weightDecay, dropPath }) satisfies Partial<FineTuneInput>;

/** Peak learning rate, weight decay, and drop-path rate of the last block. */
export const RECIPES: Readonly<Record<TaskName, Recipe>> = {
  cifar100: recipe(5e-3, 5e-5, 0),
  caltech101: recipe(1e-3, 5e-2, 0.1),
  dtd: recipe(5e-3, 5e-5, 0),
  flowers102: recipe(5e-3, 5e-5, 0),
  pets: recipe(5e-3, 5e-5, 0),
  svhn: recipe(1e-2, 5e-5, 0),
  sun397: recipe(5e-3, 5e-5, 0),
  patch_camelyon: recipe(5e-3, 5e-5, 0),
  eurosat: recipe(3e-3, 5e-2, 0.2),
  resisc45: recipe(2e-3, 5e-5, 0.1),
  diabetic_retinopathy: recipe(5e-3, 5e-5, 0.2),
  clevr_count: recipe(2e-3, 5e-2, 0.1),
  clevr_dist: recipe(5e-2, 5e-2, 0.1),
  dmlab: recipe(5e-3, 5e-5, 0.1),
  kitti: recipe(1e-2, 5e-5, 0),
  dsprites_loc: recipe(1e-2, 5e-5, 0),
  dsprites_ori: recipe(5e-3, 5e-5, 0.2),
  smallnorb_azi: recipe(2e-2, 5e-5, 0.1),
  smallnorb_ele: recipe(5e-3, 5e-2, 0.2),
};

/**
 * The recipe of a task.
 * @param task VTAB's name or that of its folder, in any case: `cifar100` or `cifar`
 * @throws IdatError `recipe.unknown`, offering the nearest names
 */
export function recipeOf(task: string): Recipe {
  const known = taskNamed(task);
  if (known) return RECIPES[known.name];
  const names = new Set(TASKS.flatMap(({ name, folder }) => [name, folder]));
  throw new IdatError(
    'recipe.unknown',
    `no recipe for '${printable(task)}'; did you mean ${nearest(task, names).join(' or ')}? There is one for each of VTAB-1K's ${TASKS.length} tasks`,
  );
}

/** Table 13 as printed: the learning rate of each task. */
export const TABLE_13: Readonly<Record<TaskName, number>> = {
  cifar100: 5e-3,
  caltech101: 1e-3,
  dtd: 5e-3,
  flowers102: 5e-3,
  pets: 5e-3,
  svhn: 1e-2,
  sun397: 5e-3,
  patch_camelyon: 5e-3,
  eurosat: 3e-3,
  resisc45: 2e-3,
  diabetic_retinopathy: 5e-3,
  clevr_count: 2e-3,
  clevr_dist: 5e-2,
  dmlab: 5e-3,
  kitti: 1e-2,
  dsprites_loc: 1e-2,
  dsprites_ori: 5e-3,
  smallnorb_azi: 2e-2,
  smallnorb_ele: 5e-3,
};
