/** idat recipes: settings for the data sets of VTAB-1K and VTAB-mini. */
import { Command } from 'commander';
import { NAMED_RECIPES, type NamedRecipe } from '../../paper/named-recipes.js';
import { parseConfig } from '../../settings/config.js';
import { wrapped } from '../fit-table.js';
import { table } from '../format.js';
import { print } from '../terminal.js';

export const recipes = new Command('recipes')
  .description('list the recipes: settings for the data sets of VTAB-1K and VTAB-mini')
  .option('--json', 'print the list as one JSON object')
  .action((flags: { json?: true }) => {
    print(flags.json ? `${JSON.stringify({ recipes: NAMED_RECIPES })}\n` : describe());
  });

function describe(): string {
  const rows = NAMED_RECIPES.map((recipe) => [
    recipe.name,
    recipe.settings.lr.toFixed(3),
    `${recipe.settings.weightDecay}`,
    `${recipe.settings.dropPath}`,
    `${recipe.classes}`,
    recipe.testImages.toLocaleString('en'),
  ]);
  const byFolder = NAMED_RECIPES.filter(({ name, folder }) => !name.endsWith(folder)).map(
    ({ name, folder }) => `${name.slice(0, name.indexOf('/'))}/${folder}`,
  );
  const head = ['recipe', 'lr', 'weight decay', 'drop path', 'classes', 'tested on'];
  const text =
    `Also by their folders’ names: ${byFolder.join(', ')}. All: ${lengthsOf(NAMED_RECIPES[0]!)}. vtab/… are the paper's; mini/… are idat's own, for the bundled student.\n` +
    'idat train DATA --recipe vtab/cifar applies one, flags beside it win. Without --recipe, data in VTAB-1K’s lists with the name, classes and counts of a recipe (1,000 images to train on) are trained by it, which is said in a line; --recipe none turns that off.';
  return `${table([head, ...rows], [0])}\n\n${text
    .split('\n')
    .map((line) => wrapped(line))
    .join('\n')}\n`;
}

/** What all recipes share, for those who have it by default and those who say so. */
function lengthsOf({ settings }: NamedRecipe): string {
  const { epochs, warmupEpochs, cooldownEpochs, batchSize } = parseConfig({ ...settings, data: 'any' });
  return `${epochs} epochs of cosine, ${warmupEpochs} of them warm-up, ${cooldownEpochs} more at the lowest rate, batches of ${batchSize}`;
}
