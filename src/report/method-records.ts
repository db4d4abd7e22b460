/** Tuning methods as data: what each is, what it trains, and its options. */
import type { BackboneConfig } from '../backbones/backbone.js';
import { KNOWN_BACKBONES, knownBackbone, withoutTag } from '../backbones/known-backbones.js';
import { regionOf } from '../backbones/region.js';
import { IdatError, nearest } from '../errors.js';
import { type AnyMethod, allMethods, methodByName } from '../methods/index.js';
import type { Family } from '../methods/method.js';
import { schemaFields, valueText } from '../settings/schema-fields.js';

export interface OptionRecord {
  readonly name: string;
  /** What may be given, in words: `whole from 1 to 64`. */
  readonly range: string;
  /** Null where there is none. */
  readonly default: unknown;
  readonly description: string;
}

export interface MethodRecord {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  readonly equation: string;
  readonly families: readonly Family[];
  /** Whether the logits at the start are those of the backbone and head alone, with the default options. */
  readonly identityAtStart: boolean;
  /** Whether a tuned model can be written as a plain checkpoint. */
  readonly merges: boolean;
  /** The backbone on which `count` counts, with its tag. */
  readonly backbone: string;
  /** Numbers trained besides the head with the defaults; null where the method is not defined on the backbone. */
  readonly count: number | null;
  readonly options: readonly OptionRecord[];
}

/** The sizes that the papers of most methods count on. */
export const PRESET_BACKBONE = 'vit_base_patch16_224';

/**
 * All tuning methods, those registered besides idat's included.
 * @param backbone name of a known one; no weights are needed
 * @throws IdatError `backbone.unknown`, offering the nearest names
 */
export function methodRecords(backbone: string = PRESET_BACKBONE): MethodRecord[] {
  const known = knownSizes(backbone);
  return allMethods().map((method) => recordOf(method, known));
}

/** A single one. @throws IdatError `method.unknown`, `backbone.unknown`, offering the nearest names */
export const methodRecord = (name: string, backbone: string = PRESET_BACKBONE): MethodRecord =>
  recordOf(methodByName(name), knownSizes(backbone));

function knownSizes(backbone: string): { name: string; config: BackboneConfig } {
  const known = knownBackbone(backbone);
  if (known) return known;
  const near = nearest(backbone, new Set(KNOWN_BACKBONES.map(({ name }) => withoutTag(name))));
  throw new IdatError('backbone.unknown', `unknown model '${backbone}'; did you mean ${near.join(', ')}?`);
}

function recordOf(method: AnyMethod, backbone: { name: string; config: BackboneConfig }): MethodRecord {
  const { name, title, paper, equation, families } = method;
  const preset = method.options.parse({});
  return {
    name,
    title,
    paper,
    equation,
    families,
    identityAtStart: method.identityAtStart(preset),
    merges: method.merge !== undefined,
    backbone: backbone.name,
    count: families.includes(backbone.config.family)
      ? method.count(backbone.config, preset, regionOf(backbone.config))
      : null,
    options: schemaFields(method.options).map((option) => ({
      name: option.name,
      range: valueText(option.type),
      default: option.default ?? null,
      description: option.description,
    })),
  };
}
