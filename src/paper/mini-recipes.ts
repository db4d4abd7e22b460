/**
 * The eight tasks of VTAB-mini and what they are trained with: small sets in the form of VTAB-1K, some of VTAB's names, with
 * fewer pixels and test images. The bundled student is another model than the paper's, so they have rates of their own: those
 * that caltech101 and eurosat were first tried with, eurosat's for all others. They were not searched.
 */

export interface MiniTask {
  readonly classes: number;
  readonly testImages: number;
  /** Peak learning rate. */
  readonly lr: number;
  readonly weightDecay: number;
  /** Rate of the last block. */
  readonly dropPath: number;
}

const task = (classes: number, testImages: number, lr: number, weightDecay = 5e-5, dropPath = 0): MiniTask => ({
  classes,
  testImages,
  lr,
  weightDecay,
  dropPath,
});

/** By name, which is that of the folder or zip as well. */
export const MINI_TASKS = {
  caltech101: task(102, 2_000, 1e-3),
  flowers5: task(5, 1_500, 3e-3),
  sign_digits: task(10, 1_062, 3e-3),
  eurosat: task(10, 1_500, 3e-3),
  elpv: task(2, 642, 3e-3),
  bloodcells: task(3, 429, 3e-3),
  dsprites_loc: task(16, 2_000, 3e-3),
  dsprites_ori: task(16, 2_000, 3e-3),
} as const satisfies Record<string, MiniTask>;
