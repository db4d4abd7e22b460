/** Which recipe a data set is trained by. */
import { IdatError } from '../errors.js';
import { type NamedRecipe, recipeFor, recipeNamed, recipesCalled } from '../paper/named-recipes.js';
import { SPLIT_SEED } from '../settings/fields.js';
import { overlaid, type SomeSettings } from '../settings/overlay.js';
import type { RunControl } from '../train/progress.js';
import { type DataSource, nameOfData, openData } from './data-source.js';

/**
 * The recipe of a data set of VTAB-1K or VTAB-mini, recognised by name, lists, classes and counts; null for all others. Only what
 * is called as one of them is opened; what cannot be opened has no recipe.
 */
export async function recogniseRecipe(data: DataSource): Promise<NamedRecipe | null> {
  const name = nameOfData(data);
  if (recipesCalled(name).length === 0) return null;
  try {
    const { kind, classes, trainval, test, close } = await openData(data, { seed: SPLIT_SEED });
    await close();
    const counts = { classes: classes.length, trainImages: trainval.length, testImages: test.length };
    return recipeFor({ name, listed: kind === 'vtab', ...counts });
  } catch (error) {
    if (error instanceof IdatError) return null; // who opens it to train says what is wrong
    throw error;
  }
}

/**
 * Settings with those of a recipe below them, and a sentence that says so.
 * @param asked a recipe's name, `none`, or `auto`: the one that the data set is recognised to be meant for, or none
 * @throws IdatError `config.recipe` for a name that no recipe has
 */
export async function withRecipe<Given extends SomeSettings>(
  asked: string,
  data: DataSource,
  given: Given,
  { onProgress }: RunControl = {},
): Promise<Given> {
  if (asked === 'none') return given;
  const recipe = asked === 'auto' ? await recogniseRecipe(data) : recipeNamed(asked);
  if (!recipe) return given;
  const own = Object.keys(recipe.settings).filter((name) => given[name as keyof Given] !== undefined);
  const { lr, weightDecay, dropPath } = recipe.settings;
  const why = asked === 'auto' ? ', by the data set’s name, lists and counts' : '';
  const but = own.length > 0 ? ` but for what was given (${own.join(', ')})` : '';
  const text = `recipe ${recipe.name}${why}: lr ${lr}, weightDecay ${weightDecay}, dropPath ${dropPath}${but}`;
  onProgress?.({ kind: 'note', text, ...(asked === 'auto' && { code: 'recipe.recognised' as const }) });
  return overlaid(recipe.settings, given) as Given;
}
