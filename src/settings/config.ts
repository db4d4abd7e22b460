/**
 * What a fine-tuning run is asked to do: one schema for the library, the command line and the run directory.
 */

import { z } from 'zod';
import { allLosses, lossByName } from '../distill/index.js';
import { parseImageSize } from '../image-size.js';
import { methodByName } from '../methods/index.js';
import { ALL_BLOCKS, normalBlocks } from './blocks.js';
import { type FieldName, fieldRecords, type Scratch, SHAPE, SPLIT_SEED } from './fields.js';
import { checkFields, fieldError } from './issues.js';
import { type MethodSettings, resolveMethods } from './method-settings.js';
import { selfDepth } from './self-teacher.js';

/** The fields with their meaning and defaults; the command line makes its flags from them. */
export const FineTuneConfig = z.strictObject(SHAPE);

export type FineTuneInput = z.input<typeof FineTuneConfig>;
type Shorthand = 'variant' | 'adapter' | 'teacherAdapter' | 'hidden' | 'scale' | keyof MethodSettings;
/** All settings of a run, defaults included, as config.json stores them; `planOf` sorts them for those who act on them. */
export type FineTuneSettings = Omit<z.output<typeof FineTuneConfig>, Shorthand> &
  MethodSettings & { splitSeed: number; warmupEpochs: number; cooldownEpochs: number };

/**
 * Checks the input and fills in the defaults.
 * @throws IdatError `config.field`: which field, what was expected, what came
 */
export function parseConfig(input: FineTuneInput): FineTuneSettings {
  const settings = resolveConfig(input, SPLIT_SEED);
  checkLoss(settings);
  checkTaught(input, settings);
  checkBlocks(settings);
  return settings;
}

/** What a teacher is told that there is not, or that has no weights of its own: nobody means that who types it. @throws IdatError `config.field` */
function checkTaught(input: FineTuneInput, { teacher, teacherLayerNormEps }: FineTuneSettings): void {
  if (selfDepth(teacher) !== null && teacherLayerNormEps !== undefined) {
    throw fieldError('teacherLayerNormEps', 'unused', `${teacher} has the student’s norms; use studentLayerNormEps`);
  }
  if (teacher !== null) return;
  for (const [name, { schema }] of distillationFields()) {
    const value = input[name];
    if (value === undefined || canonical(value) === canonical(schema.safeParse(undefined).data)) continue;
    throw fieldError(name, 'unused', 'means something only where a teacher teaches; name a teacher as well');
  }
}

/** What is told of teaching alone. */
const distillationFields = () =>
  fieldRecords().filter(([name, { group }]) => group === 'distillation' || name === 'teacherBlocks');

/** A method that does nothing in blocks has no use for some of them. @throws IdatError `config.field` */
function checkBlocks({ method, blocks, teacherMethod, teacherBlocks = ALL_BLOCKS }: FineTuneSettings): void {
  const chosen = [
    ['blocks', method, blocks],
    ['teacherBlocks', teacherMethod, teacherBlocks],
  ] as const;
  for (const [field, name, text] of chosen) {
    if (text === ALL_BLOCKS || methodByName(name).inBlocks !== false) continue;
    throw fieldError(field, 'unused', `${name} trains nothing in blocks; leave blocks out or choose another method`);
  }
}

/** The same run with nobody beside the student. @param method what the variant's name or the default came to */
export function withoutTeacher<Input extends object>(input: Input, method: string): Input {
  const told = new Set<string>(['variant', 'teacher', ...distillationFields().map(([name]) => name)]);
  const rest = Object.fromEntries(Object.entries(input).filter(([name]) => !told.has(name)));
  return { ...(rest as Input), method, teacher: null };
}

/**
 * The same for settings that a run has stored, whose loss may be one of its maker's own and unknown here.
 * @param splitSeed default: the seed, as in runs of versions that had one for all
 */
export function resolveConfig(input: FineTuneInput, splitSeed?: number): FineTuneSettings {
  const { variant, method, teacherMethod, options, teacherOptions, adapter, teacherAdapter, hidden, scale, ...config } =
    checkFields(FineTuneConfig, input);
  if (config.scratch) checkSizes(config.scratch);
  const named: { method?: string; distill?: string } = variant === undefined ? {} : parseVariant(variant);
  if (variant !== undefined && config.teacher === null) {
    throw fieldError('teacher', 'missing', `${variant} distils from a teacher, expected the name or file of one`);
  }
  const methods = resolveMethods({
    method: input.method ?? adapter ?? named.method ?? method,
    teacherMethod: teacherMethod ?? teacherAdapter,
    options,
    teacherOptions,
    hidden,
    scale,
  });
  // runs of before have both stored, whatever their method
  if (adapter === undefined) checkShared({ hidden, scale }, methods);
  const distill = input.distill ?? named.distill ?? config.distill;
  const warmupEpochs = config.warmupEpochs ?? Math.min(10, Math.floor(config.epochs / 10));
  const cooldownEpochs = config.cooldownEpochs ?? Math.min(10, Math.floor(config.epochs / 10));
  checkFullTokenEpochs(config, config.epochs + cooldownEpochs);
  checkEpochCounts(config, config.epochs + cooldownEpochs);
  const blocks = normalBlocks('blocks', config.blocks);
  const teacherBlocks =
    config.teacherBlocks === undefined ? undefined : normalBlocks('teacherBlocks', config.teacherBlocks);
  const ofSplits = config.splitSeed ?? splitSeed ?? config.seed;
  const { imageSize: size } = config;
  const imageSize =
    typeof size === 'string' && typeof parseImageSize(size) === 'number' ? Number.parseInt(size, 10) : size;
  const chosen = {
    ...config,
    ...(imageSize !== undefined && { imageSize }),
    ...methods,
    blocks,
    ...(teacherBlocks !== undefined && { teacherBlocks }),
  };
  return { ...chosen, splitSeed: ofSplits, distill, warmupEpochs, cooldownEpochs };
}

/** @throws IdatError `config.field` for an unknown loss, and for settings that it has no use for */
function checkLoss({ distill, squaredTemperature, teacherView, featureTokens }: FineTuneSettings): void {
  let loss: ReturnType<typeof lossByName>;
  try {
    loss = lossByName(distill);
  } catch (error) {
    throw fieldError('distill', 'unknown', (error as Error).message, error);
  }
  if (teacherView === 'flip' && loss.reads === 'features' && featureTokens === 'all') {
    const what =
      'in a mirrored image each patch lies elsewhere, and would be held against another one of the student’s';
    throw fieldError('teacherView', 'unused', `${what}; compare featureTokens class, or logits`);
  }
  if (!squaredTemperature || loss.softens) return;
  const expected = `${distill} has no temperature, expected a loss that has, such as kl`;
  throw fieldError('squaredTemperature', 'unused', expected);
}

function checkSizes({ width, heads, patchSize, imageSize }: Scratch): void {
  const expected = (field: string, what: string, got: number) =>
    fieldError(field, 'not_a_divisor', `expected ${what}, got ${got}`);
  if (width % heads !== 0) throw expected('heads', `a number that divides the width ${width}`, heads);
  if (imageSize % patchSize !== 0)
    throw expected('patchSize', `a number that divides the image size ${imageSize}`, patchSize);
}

function checkShared(
  shared: Record<string, number | undefined>,
  { method, teacherMethod, ...given }: MethodSettings,
): void {
  for (const [name, value] of Object.entries(shared)) {
    if (value === undefined || name in given.options || name in given.teacherOptions) continue;
    const methods = method === teacherMethod ? `${method} has` : `neither ${method} nor ${teacherMethod} has`;
    const what = method === teacherMethod ? `${methods} no such option` : `${methods} such an option`;
    throw fieldError(name, 'unused', `${what}; idat methods ${method} lists those there are`);
  }
}

function checkFullTokenEpochs(
  { dropTokens, fullTokenEpochs }: { dropTokens: number; fullTokenEpochs: number },
  epochs: number,
): void {
  if (dropTokens === 0 || fullTokenEpochs < epochs) return;
  const expected = `fewer than the ${epochs} epochs there are, or dropTokens 0`;
  throw fieldError('fullTokenEpochs', 'too_big', `expected ${expected}, got ${fullTokenEpochs}`);
}

/** What a protocol has no use for, and what would never begin or end. @throws IdatError `config.field` */
function checkEpochCounts(
  {
    protocol,
    patience,
    averageEpochs,
    teacherWarmupEpochs,
  }: Pick<FineTuneSettings, 'protocol' | 'patience' | 'averageEpochs' | 'teacherWarmupEpochs'>,
  epochs: number,
): void {
  if (patience > 0 && protocol !== 'val') {
    const what = `waits for val to get better, at which protocol ${protocol} does not look`;
    throw fieldError('patience', 'unused', `${what}; choose protocol val`);
  }
  if (averageEpochs > 1 && protocol === 'paper') {
    const what = 'protocol paper keeps the parameters of one epoch, the best on test';
    throw fieldError('averageEpochs', 'unused', `${what}; choose protocol last or val`);
  }
  const tooMany = (field: string, expected: string, got: number) =>
    fieldError(field, 'too_big', `expected ${expected}, got ${got}`);
  if (averageEpochs > epochs) {
    throw tooMany('averageEpochs', `at most the ${epochs} epochs there are`, averageEpochs);
  }
  if (teacherWarmupEpochs >= epochs) {
    throw tooMany('teacherWarmupEpochs', `fewer than the ${epochs} epochs there are`, teacherWarmupEpochs);
  }
}

/** The paper's letters for where the adapter sits. */
const PLACES: Record<string, string> = { s: 'sequential', p: 'parallel', ps: 'parallel-shared' };

/**
 * `iDAT-PS-mse` and the like, in any case, taken apart.
 * @throws IdatError `config.field`
 */
export function parseVariant(name: string): { method: string; distill: string } {
  const [, place, loss] = /^idat-(s|p|ps)-(.+)$/i.exec(name) ?? [];
  const known = allLosses().find((one) => one.name.toLowerCase() === loss?.toLowerCase());
  if (place !== undefined && known) return { method: PLACES[place.toLowerCase()]!, distill: known.name };
  const losses = allLosses().map((one) => one.name);
  const expected = `expected iDAT-{S, P, PS}-{${losses.join(', ')}} such as iDAT-PS-mse, got '${name}'`;
  throw fieldError('variant', 'unknown', expected);
}

/** The paper's name where there is one: `iDAT-PS-mse`, and otherwise the tuning method's. */
export function variantName({
  method,
  teacher,
  distill,
  scratch,
}: Pick<FineTuneSettings, 'method' | 'teacher' | 'distill' | 'scratch'>): string {
  if (scratch) return 'pretraining';
  const place = Object.keys(PLACES).find((key) => PLACES[key] === method);
  if (teacher === null) return method;
  return place === undefined ? `${method}-${distill}` : `iDAT-${place.toUpperCase()}-${distill}`;
}

/** The settings that decide what comes out: with equal ones, on equal data and weights, runs give equal results. */
export function resultSettings(settings: FineTuneSettings): Partial<Record<FieldName, unknown>> {
  const decides = fieldRecords().filter(
    ([, { changes, taught, shorthand }]) =>
      changes === 'result' && !shorthand && !(taught && settings.teacher === null),
  );
  return Object.fromEntries(decides.map(([name]) => [name, settings[name as keyof FineTuneSettings]]));
}

/** Names of the settings in which the results of two runs may differ; where only one has a teacher, that says all of teaching. */
export function differingSettings(a: FineTuneSettings, b: FineTuneSettings): FieldName[] {
  const [ours, theirs] = [resultSettings(a), resultSettings(b)];
  const differs = (name: FieldName) => name in theirs && canonical(ours[name]) !== canonical(theirs[name]);
  return (Object.keys(ours) as FieldName[]).filter(differs);
}

/** The same text for equal values, in whatever order an object's fields come. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, one) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one as object).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  ) ?? 'undefined';
