/** The form of a training: the settings' own records as fields, and what is asked for as a run or a sweep. */
import { mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import { KNOWN_BACKBONES } from '../backbones/known-backbones.js';
import { LOSSES } from '../distill/index.js';
import { IdatError, type Issue, inWords } from '../errors.js';
import { expandPlan } from '../experiments/expand.js';
import { checkPlan, type SweepPlan } from '../experiments/plan.js';
import { METHODS } from '../methods/index.js';
import { NAMED_RECIPES } from '../paper/named-recipes.js';
import { shellWord, trainCommand } from '../report/repeat-command.js';
import { withPreset } from '../runs/choose-preset.js';
import { withRecipe } from '../runs/choose-recipe.js';
import { nameOfData } from '../runs/data-source.js';
import { type FineTuneRequest, storedSettingsOf } from '../runs/request.js';
import { FineTuneConfig, variantName } from '../settings/config.js';
import { FIELDS, type FieldName, flagOf, GROUPS } from '../settings/fields.js';
import { checkFields } from '../settings/issues.js';
import type { SomeSettings } from '../settings/overlay.js';
import { PRESETS } from '../settings/presets.js';
import { schemaFields } from '../settings/schema-fields.js';
import type { FormAnswer, FormFacts, FormField, ShownIssue, TrainForm } from './page/api.js';
import { BUNDLED_DATA, isFolder, type StudioFolder } from './studio-folder.js';

/** Of pretraining, of older names, and of where the studio itself decides. */
const LEFT = new Set<string>(['data', 'scratch', 'adapter', 'teacherAdapter', 'hidden', 'scale', 'out', 'cacheDir']);

/** Where a flag's name is no word. */
const LABELS: Readonly<Record<string, string>> = {
  lr: 'learning rate',
  distill: 'distillation loss',
  minLr: 'last learning rate',
  warmupLr: 'first learning rate',
  lrPerStep: 'learning rate per step',
};

const OFFERS: Readonly<Record<string, readonly string[]>> = {
  student: KNOWN_BACKBONES.map(({ name }) => name),
  teacher: [...KNOWN_BACKBONES.map(({ name }) => name), 'self:6'],
  method: METHODS.map(({ name }) => name),
  teacherMethod: METHODS.map(({ name }) => name),
  distill: LOSSES.map(({ name }) => name),
};

/** The fields as the page draws them. */
export function formFacts(folder: StudioFolder): FormFacts {
  const fields = schemaFields(FineTuneConfig).flatMap((field): FormField[] => {
    const { name, type, nullable, description } = field;
    if (LEFT.has(name)) return [];
    const record = FIELDS[name as FieldName] as (typeof FIELDS)[FieldName] & { common?: true; taught?: true };
    return [
      {
        ...{ name, type, nullable, says: description, label: LABELS[name] ?? flagOf(name).replaceAll('-', ' ') },
        group: record.group,
        common: record.common === true || name === 'distill',
        taught: record.taught === true,
        preset: field.default ?? null,
        offers: OFFERS[name] ?? [],
      },
    ];
  });
  const used = [...folder.runs.values()].flatMap(({ data }) => (data === null || data.startsWith('(') ? [] : [data]));
  const paths = [...new Set([BUNDLED_DATA, ...used])];
  return {
    groups: GROUPS,
    fields: fields.sort((a, b) => Object.keys(FIELDS).indexOf(a.name) - Object.keys(FIELDS).indexOf(b.name)),
    data: paths.map((path) => ({
      path: folder.typed(path),
      label: path === BUNDLED_DATA ? 'EuroSAT, 100 bundled pictures of land use' : nameOfData(path),
    })),
    presets: PRESETS.map(({ name, says }) => ({ name, says })),
    recipes: NAMED_RECIPES.map(({ name }) => name),
  };
}

const Text = z.string().max(4096);
const TrainFormSchema = z.strictObject({
  data: Text,
  preset: Text.exactOptional(),
  recipe: Text.exactOptional(),
  settings: z.record(z.string().max(100), z.unknown()),
  sweep: z
    .strictObject({
      name: z
        .string()
        .regex(/^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,60}$/u, 'expected letters, digits, spaces, points and dashes'),
      seeds: z.array(z.int()).min(1).max(100),
      alone: z.boolean(),
      vary: z.record(z.string().max(100), z.array(z.unknown()).min(1).max(50)),
    })
    .exactOptional(),
});

/** A page's words as a form. @throws IdatError `config.field` */
export const trainFormOf = (body: unknown): TrainForm => checkFields(TrainFormSchema, body);

/** What comes of a form. */
export type Asked =
  | { readonly kind: 'run'; readonly request: FineTuneRequest; readonly base: string; command(out: string): string }
  | {
      readonly kind: 'sweep';
      readonly plan: SweepPlan;
      readonly out: string;
      readonly runs: number;
      readonly text: string;
    };

/**
 * The request that the command line would make of the same words.
 * @param onNote told which recipe is taken, and the like
 * @throws IdatError `config.field` and the like, with an issue for each field that is wrong
 */
export async function askedBy(form: TrainForm, folder: StudioFolder, onNote: (text: string) => void): Promise<Asked> {
  const given = Object.fromEntries(Object.entries(form.settings).filter(([, value]) => value !== undefined));
  refuseUnknown(given, form);
  if (form.data.trim() === '')
    throw wrong([{ path: ['data'], code: 'missing', message: 'choose pictures to learn from' }]);
  const varied = Object.entries(form.sweep?.vary ?? {}).flatMap(([field, values]) =>
    values.map((value) => ({ [field]: value })),
  );
  const issues: Issue[] = [];
  for (const named of [{ ...given, data: form.data }, ...varied]) issues.push(...(await folder.pathIssues(named)));
  if (issues.length > 0) throw wrong(issues);
  const data = await folder.readable(form.data);
  if (form.sweep) return askedSweep(form, data, given, folder);
  const control = { onProgress: (event: { kind: string; text?: string }) => event.text && onNote(event.text) };
  const { preset, recipe } = form;
  const wanted = preset === undefined ? given : withPreset(preset, given as SomeSettings, control);
  const chosen = recipe ?? (preset === undefined ? 'auto' : 'none');
  const settings = await withRecipe(chosen, data, wanted as SomeSettings, control);
  const request = { ...settings, data } as FineTuneRequest;
  const stored = storedSettingsOf(request);
  const others = { ...(preset !== undefined && { preset }), ...(recipe !== undefined && { recipe }) };
  return {
    kind: 'run',
    request,
    base: `${nameOfData(data).replace(/[^\p{L}\p{N}._-]+/gu, '-')}-${variantName(stored)}`,
    command: (out) => trainCommand(data, { ...given, out }, (path) => folder.typed(path), others),
  };
}

const wrong = (issues: readonly Issue[]): IdatError => new IdatError('config.field', inWords(issues), { issues });

/** What the form has no field for is nobody's wish. */
function refuseUnknown(given: Readonly<Record<string, unknown>>, { sweep }: TrainForm): void {
  const names = [...Object.keys(given), ...Object.keys(sweep?.vary ?? {})];
  const unknown = names.filter((name) => !Object.hasOwn(FIELDS, name) || LEFT.has(name));
  const issues = unknown.map((name) => ({ path: [name], code: 'unrecognized_keys', message: 'no such field here' }));
  if (issues.length > 0) throw wrong(issues);
}

async function askedSweep(
  { sweep, preset, recipe }: TrainForm,
  data: string,
  given: Readonly<Record<string, unknown>>,
  folder: StudioFolder,
): Promise<Asked> {
  const { name, seeds, alone, vary } = sweep!;
  if (preset !== undefined) {
    throw wrong([
      { path: ['preset'], code: 'unused', message: 'a sweep has no presets; choose the settings themselves' },
    ]);
  }
  // one run of it, so that what is wrong shows at its field
  const first = Object.fromEntries(Object.entries(vary).map(([field, values]) => [field, values[0]]));
  const whole = { ...given, ...first, data } as FineTuneRequest;
  const { teacher } = storedSettingsOf(whole);
  if (alone && teacher === null) {
    throw wrong([
      { path: ['teacher'], code: 'missing', message: 'nobody teaches: name a teacher to compare with and without' },
    ]);
  }
  const out = await folder.writable(join(folder.root, name));
  const { seed: _, ...base } = given;
  const ofTeaching = Object.keys(base).filter((field) => field === 'teacher' || isTaught(field));
  const taught = Object.fromEntries(ofTeaching.map((field) => [field, base[field]]));
  const shared = Object.fromEntries(Object.entries(base).filter(([field]) => !ofTeaching.includes(field)));
  const plan: SweepPlan = {
    out,
    says: `Made in the studio: ${nameOfData(data)}.`,
    base: { ...(alone ? shared : base), ...(recipe !== undefined && { recipe }) },
    tasks: [{ name: nameOfData(data), data }],
    ...(alone && { rows: [{ name: 'alone' }, { name: 'taught', ...taught }], against: 'alone' }),
    grid: { ...vary, seed: seeds },
  };
  const text = stringify(plan);
  const before = await readFile(planPath(out), 'utf8').catch(() => text);
  if (before !== text) {
    const message = 'a sweep of this name has another plan; choose another name, or go on with it as it is';
    throw wrong([{ path: ['sweep', 'name'], code: 'taken', message }]);
  }
  return { kind: 'sweep', plan, out, runs: expandPlan(checkPlan(plan)).length, text };
}

const isTaught = (name: string): boolean => {
  const { group, taught } = FIELDS[name as FieldName] as { group: string; taught?: true };
  return group === 'distillation' || taught === true;
};

/** What a form that is being filled in would do; errors stand at their fields. */
export async function answerOf(form: TrainForm, folder: StudioFolder): Promise<FormAnswer> {
  const notes: string[] = [];
  try {
    const asked = await askedBy(form, folder, (text) => notes.push(text));
    if (asked.kind === 'sweep') {
      const taken = (await isFolder(asked.out))
        ? [`${folder.typed(asked.out)} is there already: runs in it that are the same are not made again.`]
        : [];
      const command = `idat sweep ${shellWord(folder.typed(planPath(asked.out)))}`;
      return { issues: [], command, notes: [...notes, ...taken], runs: asked.runs, plan: asked.text };
    }
    const out = await freePlace(folder, asked.base);
    return { issues: [], command: asked.command(folder.typed(out)), notes, runs: 1, plan: null };
  } catch (error) {
    return { issues: issuesOfError(error), command: '', notes, runs: 0, plan: null };
  }
}

/** Each at its field. @throws what is no IdatError */
export function issuesOfError(error: unknown): ShownIssue[] {
  if (!(error instanceof IdatError)) throw error;
  if (error.issues.length === 0) return [{ field: fieldOfCode(error.code), message: error.message }];
  return error.issues.map(({ path, message }) => ({ field: fieldOfPath(path), message }));
}

/** In a plan the field stands below its layer. */
function fieldOfPath(path: readonly (string | number)[]): string | null {
  const known = path.find((step) => typeof step === 'string' && (Object.hasOwn(FIELDS, step) || step === 'sweep'));
  if (known === 'sweep') return `sweep.${String(path[path.indexOf('sweep') + 1] ?? '')}`;
  return known === undefined ? (path.length > 0 ? String(path[0]) : null) : String(known);
}

function fieldOfCode(code: string): string | null {
  if (code.startsWith('data.') || code === 'studio.path') return 'data';
  return code === 'config.preset' ? 'preset' : code === 'config.recipe' ? 'recipe' : null;
}

export const planPath = (out: string): string => join(out, 'plan.yaml');

/** Makes the first folder of the kind that is not there. */
export async function takePlace(folder: StudioFolder, base: string): Promise<string> {
  for (;;) {
    const out = await freePlace(folder, base);
    try {
      await mkdir(out);
      return out;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') continue; // somebody else was faster
      throw new IdatError('run.directory', `${out}: cannot make this folder (${code}); check its access rights`);
    }
  }
}

/** The first folder of the kind that is not there. */
export async function freePlace(folder: StudioFolder, base: string): Promise<string> {
  for (let n = 1; ; n++) {
    const out = join(folder.root, `${basename(base)}-${n}`);
    if (!(await isFolder(out))) return out;
  }
}
