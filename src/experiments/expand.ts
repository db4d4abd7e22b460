/** From a plan to its runs: what each is asked to do, and where it will lie. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { IdatError, nearest, printable } from '../errors.js';
import { sha256 } from '../files/node/sha256.js';
import { recipeNamed, SUITES } from '../paper/named-recipes.js';
import { taskNamed } from '../paper/tasks.js';
import { nameOfData } from '../runs/data-source.js';
import { type FineTuneRequest, storedSettingsOf } from '../runs/request.js';
import {
  canonical,
  type FineTuneInput,
  type FineTuneSettings,
  parseVariant,
  resultSettings,
  variantName,
  withoutTeacher,
} from '../settings/config.js';
import { fieldRecords, flagOf } from '../settings/fields.js';
import { type CheckedPlan, isListOfValues, optionOf, type Place, type PlanSettings, planError } from './plan.js';

/** A run that a plan asks for. */
export interface PlannedRun {
  /** Where it lies below the sweep's folder, such as `eurosat/kl_beta-0.5/seed-1`. */
  readonly name: string;
  readonly task: string;
  /** Its row's name, or that of the entry of `include`; null without rows. */
  readonly row: string | null;
  /** Which row of the paper's table it repeats, counted from 1; null where none. */
  readonly paperRow: number | null;
  readonly seed: number;
  /** Its values of what varies in the plan, beside task, row and seed. */
  readonly varies: Readonly<Record<string, unknown>>;
  readonly request: FineTuneRequest;
  /** All of its settings. */
  readonly settings: FineTuneSettings;
}

export interface ExpandOptions {
  /** Where tasks are looked for by name; default: ./data */
  readonly dataRoot?: string;
  /** Settings that stand above all others. */
  readonly set?: PlanSettings;
  readonly place?: Place;
}

type Path = readonly (string | number)[];

/** Settings that somebody wrote down together. */
interface Layer {
  readonly path: Path;
  readonly settings: PlanSettings;
}

/** One combination, before its settings are put together. */
interface Draft {
  readonly task: { readonly name: string; readonly data: string };
  readonly row: string | null;
  readonly paperRow: number | null;
  readonly axes: Readonly<Record<string, unknown>>;
  readonly layers: readonly Layer[];
}

/**
 * All runs of a plan, each once, in the order in which they are made.
 * @throws IdatError `config.plan` for settings that cannot go together, naming the run and the line
 */
export function expandPlan(
  plan: CheckedPlan,
  { dataRoot = 'data', set = {}, place }: ExpandOptions = {},
): PlannedRun[] {
  const drafts = [...gridDrafts(plan, dataRoot), ...includedDrafts(plan, dataRoot)].map((draft) => ({
    ...draft,
    layers: [...draft.layers, { path: [], settings: set }],
  }));
  const kept = drafts.map((draft) => runOf(draft, place)).filter(({ run }) => !isExcluded(run, plan.exclude ?? []));
  const runs = withNames(withoutRepeats(kept));
  if (runs.length === 0) throw planError([{ path: ['exclude'], code: 'empty', message: 'no run is left' }], place);
  checkAgainst(runs, plan, place);
  return ordered(runs, plan.order ?? 'seeds');
}

function checkAgainst(runs: readonly PlannedRun[], { against = {} }: CheckedPlan, place?: Place): void {
  const known = new Set(runs.flatMap(({ row, name }) => [...(row === null ? [] : [row]), name.split('/')[1]!]));
  const pairs = typeof against === 'string' ? [['', against] as const] : Object.entries(against);
  for (const [of, other] of pairs) {
    const unknown = [of, other].find((name) => name !== '' && !known.has(name));
    if (unknown === undefined) continue;
    const message = `no row is called '${printable(unknown)}'; did you mean ${nearest(unknown, known, 2).join(' or ')}?`;
    throw planError([{ path: of === '' ? ['against'] : ['against', of], code: 'unknown', message }], place);
  }
}

function gridDrafts(plan: CheckedPlan, dataRoot: string): Draft[] {
  if (plan.include !== undefined && plan.grid === undefined && plan.rows === undefined) return [];
  const rows = plan.rows ?? [undefined];
  return tasksOf(plan, dataRoot).flatMap(({ task, layer }) =>
    rows.flatMap((row, i) => {
      const { name, on, paperRow, ...settings } = row ?? {};
      const layers = [
        { path: ['base'], settings: plan.base ?? {} },
        layer,
        { path: ['rows', i], settings },
        { path: ['rows', i, 'on', task.name], settings: (on as Record<string, PlanSettings>)?.[task.name] ?? {} },
      ];
      const place = { task, row: (name as string) ?? null, paperRow: row ? ((paperRow as number) ?? i + 1) : null };
      return combinations(plan.grid ?? {}).map((axes) => draftOf(place, axes, layers, ['grid'], dataRoot));
    }),
  );
}

function includedDrafts(plan: CheckedPlan, dataRoot: string): Draft[] {
  return (plan.include ?? []).flatMap((entry, i) => {
    const { task: only, name, paperRow, ...settings } = entry;
    const wanted = only === undefined ? null : Array.isArray(only) ? only : [only];
    const seeds = 'seed' in settings || plan.grid?.seed === undefined ? {} : { seed: plan.grid.seed };
    const data = 'data' in settings || plan.grid?.data === undefined ? {} : { data: plan.grid.data };
    return tasksOf(plan, dataRoot)
      .filter(({ task }) => wanted === null || wanted.includes(task.name))
      .flatMap(({ task, layer }) => {
        const layers = [{ path: ['base'], settings: plan.base ?? {} }, layer];
        const place = { task, row: (name as string) ?? null, paperRow: (paperRow as number) ?? null };
        return combinations({ ...data, ...seeds, ...settings }).map((axes) =>
          draftOf(place, axes, layers, ['include', i], dataRoot),
        );
      });
  });
}

/** What a grid chooses comes last; a data set that it chooses is the task. */
function draftOf(
  place: Pick<Draft, 'task' | 'row' | 'paperRow'>,
  axes: Readonly<Record<string, unknown>>,
  layers: readonly Layer[],
  path: Path,
  dataRoot: string,
): Draft {
  const { data, ...rest } = axes;
  const base = layers[0]!.settings.data;
  const given = typeof data === 'string' ? data : place.task.data === '' && typeof base === 'string' ? base : null;
  const found = given === null ? place.task : { name: nameOfData(given), data: findData(given, dataRoot, false) };
  return { ...place, task: found, axes: rest, layers: [...layers, { path, settings: rest }] };
}

function tasksOf({ tasks, base }: CheckedPlan, dataRoot: string): { task: Draft['task']; layer: Layer }[] {
  if (!tasks) return [{ task: { name: '', data: '' }, layer: { path: ['base'], settings: base ?? {} } }];
  return tasks.map(({ name, data, ...settings }, i) => ({
    task: { name, data: findData(data ?? taskNamed(name)?.folder ?? name, dataRoot, true) },
    layer: { path: ['tasks', i], settings },
  }));
}

/** A folder or zip of that name: below the root of all data, or as a path. Where there is none, it is where it should be. */
function findData(name: string, root: string, rootFirst: boolean): string {
  const here = [name, `${name}.zip`];
  const below = here.map((one) => join(root, one));
  const found = (rootFirst ? [...below, ...here] : [...here, ...below]).find((path) => existsSync(path));
  return found ?? (rootFirst && !/[\\/:]/.test(name) ? below[0]! : name);
}

/** Every combination of the values; the first setting changes last. */
function combinations(grid: PlanSettings): Record<string, unknown>[] {
  return Object.entries(grid).reduce<Record<string, unknown>[]>(
    (before, [name, given]) => {
      const values = isListOfValues(name, given) ? given : [given];
      return before.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
    },
    [{}],
  );
}

interface Made {
  readonly run: Omit<PlannedRun, 'name'>;
  readonly label: string;
}

function runOf(draft: Draft, place: Place | undefined): Made {
  const { task, row, paperRow, axes } = draft;
  const input = { ...inputOf(draft, place), data: task.data } as FineTuneInput;
  try {
    if (task.data === '') {
      throw planError([{ path: [], code: 'missing', message: 'expected tasks, or data in base or grid' }], place);
    }
    const settings = storedSettingsOf(input);
    const meant = ([name]: [string, unknown]) => name !== 'seed' && (settings.teacher !== null || !ofTeaching(name));
    const varies = Object.fromEntries(Object.entries(axes).filter(meant));
    const run = { task: task.name, row, paperRow, seed: settings.seed, varies, request: input, settings };
    return { run, label: row ?? '' };
  } catch (error) {
    if (!(error instanceof IdatError) || error.code !== 'config.field') throw error;
    const who = [task.name, row, ...Object.entries(axes).map(([name, value]) => labelOf(name, value))];
    const issues = error.issues.map((issue) => ({
      ...issue,
      path: whereSet(draft, issue.path),
      message: `${issue.path.join('.')}: ${issue.message} (run ${who.filter((one) => one).join(', ')})`,
    }));
    throw new IdatError(
      'config.plan',
      issues.map(({ path, message }) => `${message}${place?.(path) ?? ''}`).join('\n'),
      {
        issues,
        cause: error,
      },
    );
  }
}

/** What says nothing of a student alone, but that it is alone. */
const ofTeaching = (name: string): boolean =>
  name !== 'distill' && fieldRecords().some(([field, { taught }]) => field === name && taught);

/** Who set the field last, or one option of it. */
function whereSet({ layers }: Draft, path: Path): Path {
  const [names, upwards] = [[path.join('.'), String(path[0])], [...layers].reverse()];
  for (const name of names) {
    const last = upwards.find(({ settings }) => name in settings);
    if (last) return [...last.path, name];
  }
  return [];
}

/** Puts the layers upon each other: what comes later stands above. */
function inputOf({ layers, task }: Draft, place: Place | undefined): Omit<FineTuneInput, 'data'> {
  let input: Record<string, unknown> = {};
  for (const { settings } of layers) input = laid(input, settings);
  const { recipe, ...own } = input;
  const all = recipe === undefined ? own : laid(settingsOfRecipe(String(recipe), task.name, { layers, place }), own);
  const alone = all.teacher === 'none' || all.distill === 'none' || all.teacher === undefined || all.teacher === null;
  if (!alone) return all as Omit<FineTuneInput, 'data'>;
  const { distill: _, teacher: __, variant, ...rest } = all;
  const method = (rest.method ?? rest.adapter ?? (variant && parseVariant(String(variant)).method)) as
    | string
    | undefined;
  const bare = withoutTeacher(rest, method ?? '');
  if (method !== undefined) return bare as Omit<FineTuneInput, 'data'>;
  const { method: ___, ...presets } = bare;
  return presets as Omit<FineTuneInput, 'data'>;
}

/** A recipe's settings. @param name its own, or that of a suite, which stands for the task's own in it */
function settingsOfRecipe(
  name: string,
  task: string,
  { layers, place }: { layers: readonly Layer[]; place: Place | undefined },
): Record<string, unknown> {
  try {
    return { ...recipeNamed(SUITES.includes(name) ? `${name}/${task}` : name).settings };
  } catch (error) {
    if (!(error instanceof IdatError)) throw error;
    const last = [...layers].reverse().find(({ settings }) => 'recipe' in settings)!;
    throw planError([{ path: [...last.path, 'recipe'], code: error.code, message: error.message }], place, error);
  }
}

/** What names a method or a loss anew leaves nothing of what named it before, nor options of a method that is no more. */
function laid(below: Record<string, unknown>, above: PlanSettings): Record<string, unknown> {
  const gone = new Set<string>();
  if ('variant' in above) for (const name of ['method', 'adapter', 'distill']) gone.add(name);
  if ('method' in above || 'adapter' in above) for (const name of ['variant', 'method', 'adapter']) gone.add(name);
  if ('distill' in above && typeof below.variant === 'string') {
    const { method } = parseVariant(below.variant);
    return laid({ ...without(below, new Set(['variant'])), method }, above);
  }
  const renamed = above.method ?? above.adapter ?? above.variant;
  if (renamed !== undefined && renamed !== (below.method ?? below.adapter ?? below.variant)) gone.add('options');
  const result = without(below, gone);
  for (const [name, value] of Object.entries(above)) {
    const option = optionOf(name);
    if (option) result[option.field] = { ...(result[option.field] as object), [option.option]: value };
    else result[name] = value;
  }
  return result;
}

const without = (settings: Record<string, unknown>, names: ReadonlySet<string>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(settings).filter(([name]) => !names.has(name)));

/** A run's value of anything that a plan may name. */
function valueIn({ task, row, settings, request, varies }: Made['run'], name: string): unknown {
  if (name === 'task') return task;
  if (name === 'row') return row;
  if (settings.teacher === null && (name === 'distill' || name === 'teacher')) return 'none';
  const option = optionOf(name);
  if (option) return settings[option.field][option.option];
  if (name in varies) return varies[name];
  return (request as Record<string, unknown>)[name] ?? settings[name as keyof FineTuneSettings];
}

function isExcluded(run: Made['run'], exclude: readonly PlanSettings[]): boolean {
  return exclude.some((entry) =>
    Object.entries(entry).every(([name, wanted]) => {
      const values = isListOfValues(name, wanted) ? wanted : [wanted];
      return values.some((value) => canonical(value) === canonical(valueIn(run, name)));
    }),
  );
}

/** What decides a run's result, data and weights by their names. */
export const resultKey = (settings: FineTuneSettings): string => canonical(resultSettings(settings));

/** A temperature of a student alone, say, makes no run of its own. */
function withoutRepeats(made: readonly Made[]): Made[] {
  const seen = new Set<string>();
  return made.filter(({ run }) => {
    const key = resultKey(run.settings);
    return seen.has(key) ? false : seen.add(key);
  });
}

const SPELT = new Set(['method', 'adapter', 'variant', 'protocol', 'student']);

/** `beta-0.5`; values that speak for themselves stand alone. */
function labelOf(name: string, value: unknown): string {
  if (name === 'distill' && value === 'none') return 'alone';
  const option = optionOf(name);
  const text = value === null ? 'none' : typeof value === 'object' ? objectText(value) : basename(String(value));
  if (SPELT.has(name) || name === 'distill') return text;
  return `${flagOf(option?.option ?? name)}-${text}`;
}

const objectText = (value: object): string =>
  Object.entries(value)
    .map(([name, one]) => (Array.isArray(value) ? String(one) : `${name}-${one}`))
    .join('-');

/** Longer names would not fit into a line, nor into some file systems. */
const LONGEST_LABEL = 80;

/** Names made of what varies: task, row and the axes that have several values, then the seed. */
function withNames(made: readonly Made[]): PlannedRun[] {
  const values = new Map<string, Set<string>>();
  for (const { run } of made) {
    for (const [name, value] of Object.entries(run.varies)) {
      values.set(name, (values.get(name) ?? new Set()).add(canonical(value)));
    }
  }
  const inAll = (name: string) => made.every(({ run }) => name in run.varies);
  const varying = (name: string) => values.get(name)!.size > 1 || !inAll(name);
  const named = made.map(({ run, label }) => {
    const parts = Object.entries(run.varies)
      .filter(([name]) => varying(name))
      .map(([name, value]) => labelOf(name, value));
    const text = [label, ...parts].filter((part) => part !== '').join('_') || variantName(run.settings);
    const varies = Object.fromEntries(Object.entries(run.varies).filter(([name]) => varying(name)));
    return { ...run, varies, name: [run.task, text].map(folderName).concat(`seed-${run.seed}`).join('/') };
  });
  const count = new Map<string, number>();
  for (const { name } of named) count.set(name.toLowerCase(), (count.get(name.toLowerCase()) ?? 0) + 1);
  return named.map((run) =>
    count.get(run.name.toLowerCase())! > 1
      ? { ...run, name: run.name.replace(/\/seed-/, `_${sha256(resultKey(run.settings)).slice(0, 8)}/seed-`) }
      : run,
  );
}

function folderName(text: string): string {
  const plain = text.replace(/[^\p{L}\p{N}._+=,-]+/gu, '-').replace(/^[.-]+/, '') || 'run';
  return plain.length > LONGEST_LABEL ? `${plain.slice(0, LONGEST_LABEL - 9)}-${sha256(text).slice(0, 8)}` : plain;
}

/** As it stands in the plan, but for the seeds where all runs of one come first. */
function ordered(runs: readonly PlannedRun[], order: 'seeds' | 'tasks'): PlannedRun[] {
  const first = (values: readonly unknown[], value: unknown) => values.indexOf(value);
  const tasks = [...new Set(runs.map(({ task }) => task))];
  const seeds = [...new Set(runs.map(({ seed }) => seed))];
  return order === 'tasks'
    ? [...runs].sort((a, b) => first(tasks, a.task) - first(tasks, b.task))
    : [...runs].sort((a, b) => first(seeds, a.seed) - first(seeds, b.seed));
}
