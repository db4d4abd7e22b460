/** From the command line of `idat train` to a run: its flags over a recipe's settings, or over those of a run that is repeated. */
import { Option } from 'commander';
import { IdatError } from '../errors.js';
import { type FineTuneControl, type FineTuneInput, type FineTuneResult, fineTune, repeatRun } from '../index.js';
import { recipeNamed } from '../paper/named-recipes.js';
import { withPreset } from '../runs/choose-preset.js';
import { withRecipe } from '../runs/choose-recipe.js';
import { FineTuneConfig } from '../settings/config.js';
import { overlaid, type SomeSettings } from '../settings/overlay.js';
import { PRESETS } from '../settings/presets.js';
import { givenFields } from './config-flags.js';

/** Heading of flags that stand for many others. */
const SOURCES = 'Settings from elsewhere:';

export interface TrainSources {
  /** A run's config.json, whose settings are the defaults. */
  readonly config?: string;
  /** A recipe's name, `auto` or `none`. */
  readonly recipe?: string;
  readonly preset?: string;
}

export const RECIPE = (): Option =>
  new Option(
    '--recipe <name>',
    'settings of the paper or idat for a data set, such as vtab/cifar (idat recipes lists them); flags beside it win (default: auto, that of a data set of VTAB-1K or VTAB-mini recognised as such; or none)',
  ).helpGroup(SOURCES);

export const PRESET = (): Option =>
  new Option(
    '--preset <name>',
    `several settings under one word: ${PRESETS.map(({ name }) => name).join(' or ')} (docs/presets.md); flags beside it win`,
  ).helpGroup(SOURCES);

export const CONFIG_FILE = (): Option =>
  new Option(
    '--config <file>',
    'repeat a run by its config.json: its data and settings, but for what flags beside it say',
  ).helpGroup(SOURCES);

/** Trains as the flags say. @param data may be left out where a run is repeated, which has its own */
export async function trainAsAsked(
  data: string | undefined,
  { config, recipe, preset, ...flags }: TrainSources & Record<string, unknown>,
  control: FineTuneControl,
): Promise<FineTuneResult> {
  const given = givenFields(FineTuneConfig, flags) as SomeSettings;
  if (preset !== undefined && config !== undefined) {
    throw new IdatError(
      'config.preset',
      'preset: a run that is repeated has settings of its own; leave one of them out',
    );
  }
  if (config === undefined) {
    const wanted = preset === undefined ? given : withPreset(preset, given, control);
    const settings = await withRecipe(recipe ?? (preset === undefined ? 'auto' : 'none'), data!, wanted, control);
    return fineTune({ ...settings, data } as FineTuneInput, control);
  }
  // a run has settings of its own, so that only a recipe that is named comes between them and the flags
  const named = recipe === undefined || recipe === 'auto' || recipe === 'none' ? {} : recipeNamed(recipe).settings;
  return repeatRun(config, { ...overlaid(named, given), ...(data !== undefined && { data }) }, control);
}
