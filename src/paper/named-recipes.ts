/** Recipes by name, such as `vtab/cifar` and `mini/eurosat`, and the data sets they are for. */
import { IdatError, nearest, printable } from '../errors.js';
import type { FineTuneInput } from '../settings/config.js';
import { MINI_TASKS } from './mini-recipes.js';
import { RECIPES } from './recipes.js';
import { TASKS } from './tasks.js';

export interface NamedRecipe {
  /** `vtab/cifar100` */
  readonly name: string;
  /** What the data set's folder is called. */
  readonly folder: string;
  readonly classes: number;
  readonly testImages: number;
  /** Of a run; all others stay the user's. */
  readonly settings: Readonly<Partial<Omit<FineTuneInput, 'data'>> & Record<'lr' | 'weightDecay' | 'dropPath', number>>;
}

/** Images to train on, in every task of both suites. */
export const SUITE_IMAGES = 1_000;

/** What stands in front of the names of recipes. */
export const SUITES: readonly string[] = ['vtab', 'mini'];

/** VTAB-1K's nineteen in the order of Table 3, then VTAB-mini's. */
export const NAMED_RECIPES: readonly NamedRecipe[] = [
  ...TASKS.map(({ name, folder, classes, testImages }) => ({
    name: `vtab/${name}`,
    folder,
    classes,
    testImages,
    settings: RECIPES[name],
  })),
  ...Object.entries(MINI_TASKS).map(([name, { classes, testImages, ...settings }]) => ({
    name: `mini/${name}`,
    folder: name,
    classes,
    testImages,
    settings,
  })),
];

/**
 * @param name `vtab/cifar100`, or with the folder's name, `vtab/cifar`; in any case
 * @throws IdatError `config.recipe`, offering the nearest names
 */
export function recipeNamed(name: string): NamedRecipe {
  const wanted = name.toLowerCase();
  const found = NAMED_RECIPES.find((one) => one.name === wanted || `${suiteOf(one)}/${one.folder}` === wanted);
  if (found) return found;
  const names = new Set(NAMED_RECIPES.flatMap((one) => [one.name, `${suiteOf(one)}/${one.folder}`]));
  const offer = nearest(name, names, 2).join(' or ');
  throw new IdatError('config.recipe', `recipe: none is called '${printable(name)}'; did you mean ${offer}?`);
}

const suiteOf = ({ name }: NamedRecipe): string => name.slice(0, name.indexOf('/'));

/** What a recipe is recognised by. */
export interface SuiteData {
  /** What the data set is called. */
  readonly name: string;
  /** Whether lists say what is what. */
  readonly listed: boolean;
  readonly classes: number;
  readonly trainImages: number;
  readonly testImages: number;
}

/**
 * The recipe that a data set is meant for: named as its folder, in lists, with as many classes and images. The name alone tells
 * nothing: anybody's folder may be called `pets`, and both suites have a `eurosat`.
 */
export function recipeFor(data: SuiteData): NamedRecipe | null {
  if (!data.listed || data.trainImages !== SUITE_IMAGES) return null;
  const fits = ({ classes, testImages }: NamedRecipe) => classes === data.classes && testImages === data.testImages;
  return recipesCalled(data.name).find(fits) ?? null;
}

/** Recipes whose data set is called so, by its folder's name or its own. */
export function recipesCalled(data: string): NamedRecipe[] {
  const name = data.toLowerCase();
  return NAMED_RECIPES.filter((one) => one.folder === name || one.name.endsWith(`/${name}`));
}
