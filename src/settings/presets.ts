/**
 * Presets: several settings under one word, for who does not want to choose. Each was chosen by measuring; docs/presets.md
 * has the figures and the commands.
 */
import { IdatError, nearest, printable } from '../errors.js';
import type { SomeSettings } from './overlay.js';

export interface Preset {
  readonly name: string;
  /** What it is for, in half a sentence. */
  readonly says: string;
  readonly settings: SomeSettings;
  /** Whether a smaller model teaches, where one is known that fits the student. */
  readonly taught: boolean;
}

const preset = (name: string, says: string, settings: SomeSettings, taught: boolean): Preset => ({
  ...{ name, says, settings, taught },
});

export const PRESETS: readonly Preset[] = [
  preset(
    'quick',
    'a first answer in seconds: a head alone, started from ridge regression on the frozen features',
    { method: 'linear', head: 'ridge', epochs: 20, lr: 1e-3 },
    false,
  ),
  preset(
    'paper',
    'as the paper trains: sequential adapters taught by mse, 110 epochs',
    { method: 'sequential', distill: 'mse', epochs: 100, warmupEpochs: 10, cooldownEpochs: 10, lr: 5e-3 },
    true,
  ),
  preset(
    'best',
    'what won where images are few: as the paper trains, with training images moved by up to an eighth of their side where classes do not depend on place',
    {
      ...{ method: 'sequential', distill: 'mse', epochs: 100, warmupEpochs: 10, cooldownEpochs: 10, lr: 3e-3 },
      cropPadding: 'auto',
    },
    true,
  ),
];

/** @throws IdatError `config.preset`, offering the nearest names */
export function presetNamed(name: string): Preset {
  const found = PRESETS.find((one) => one.name === name.toLowerCase());
  if (found) return found;
  const offer = nearest(name, new Set(PRESETS.map((one) => one.name)), 2).join(' or ');
  throw new IdatError('config.preset', `preset: none is called '${printable(name)}'; did you mean ${offer}?`);
}
