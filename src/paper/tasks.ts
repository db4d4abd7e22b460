/**
 * Table 12: the 19 tasks of VTAB-1K. Each has 1,000 images to train on, 800 and 200 of them for those who validate.
 *
 * @see Zhai et al. 2019, arXiv:1910.04867; Ruan et al. 2024, arXiv:2403.15750, Table 12
 */

export interface PaperTask {
  /** VTAB's name, as the authors' script calls it. */
  readonly name: TaskName;
  /** The folder that holds it in the published copies of VTAB-1K. */
  readonly folder: string;
  /** The head of its column in Table 3. */
  readonly column: string;
  readonly group: 'natural' | 'specialised' | 'structured';
  readonly classes: number;
  /** What Table 12 prints where that is not the number of classes. */
  readonly printedClasses?: number;
  readonly testImages: number;
}

type Entry = Omit<PaperTask, 'name' | 'folder'> & { readonly folder?: string };

/** In the order of Table 3's columns. A folder is named where it is not called as the task. */
const BY_NAME = {
  cifar100: { column: 'C100', group: 'natural', classes: 100, testImages: 10_000, folder: 'cifar' },
  caltech101: { column: 'Cal', group: 'natural', classes: 102, testImages: 6_084 },
  dtd: { column: 'DTD', group: 'natural', classes: 47, testImages: 1_880 },
  flowers102: { column: 'Flo', group: 'natural', classes: 102, testImages: 6_149, folder: 'oxford_flowers102' },
  pets: { column: 'Pet', group: 'natural', classes: 37, testImages: 3_669, folder: 'oxford_iiit_pet' },
  svhn: { column: 'SVH', group: 'natural', classes: 10, testImages: 26_032 },
  sun397: { column: 'Sun', group: 'natural', classes: 397, testImages: 21_750 },
  patch_camelyon: { column: 'Cam', group: 'specialised', classes: 2, testImages: 32_768 },
  eurosat: { column: 'Euro', group: 'specialised', classes: 10, testImages: 5_400 },
  resisc45: { column: 'Res', group: 'specialised', classes: 45, testImages: 6_300 },
  diabetic_retinopathy: { column: 'Ret', group: 'specialised', classes: 5, testImages: 42_670 },
  clevr_count: { column: 'Cnt', group: 'structured', classes: 8, testImages: 15_000 },
  clevr_dist: { column: 'Dst', group: 'structured', classes: 6, testImages: 15_000 },
  dmlab: { column: 'DML', group: 'structured', classes: 6, testImages: 22_735 },
  kitti: { column: 'KIT', group: 'structured', classes: 4, testImages: 711 },
  dsprites_loc: { column: 'Loc', group: 'structured', classes: 16, testImages: 73_728 },
  dsprites_ori: { column: 'Ori', group: 'structured', classes: 16, testImages: 73_728 },
  smallnorb_azi: { column: 'Azi', group: 'structured', classes: 18, testImages: 12_150 },
  // nine elevations; 18 is the number of azimuths
  smallnorb_ele: { column: 'Ele', group: 'structured', classes: 9, printedClasses: 18, testImages: 12_150 },
} as const satisfies Record<string, Entry>;

export type TaskName = keyof typeof BY_NAME;

/** VTAB-1K's tasks in the order of Table 3's columns. */
export const TASKS: readonly PaperTask[] = (Object.entries(BY_NAME) as [TaskName, Entry][]).map(([name, entry]) => ({
  name,
  folder: name,
  ...entry,
}));

/** Classes of a task on average: what a count "with the head" means where one number stands for all tasks. */
export const MEAN_CLASSES = TASKS.reduce((sum, { classes }) => sum + classes, 0) / TASKS.length;

/** The task of that name, VTAB's or its folder's, in any case; undefined where there is none. */
export function taskNamed(name: string): PaperTask | undefined {
  const wanted = name.toLowerCase();
  return TASKS.find((task) => task.name === wanted || task.folder === wanted);
}
