/**
 * The plan of a sweep: which runs are wanted, as a grid over tasks, rows and settings. docs/experiments.md tells it to a
 * researcher; here it is checked, whoever wrote it, before anything is begun.
 */
import { z } from 'zod';
import { IdatError, type Issue, inWords, nearest } from '../errors.js';
import { FIELDS, type FieldName } from '../settings/fields.js';
import { issuesOf } from '../settings/issues.js';

/**
 * Settings by name, as `idat train` has them, but for the run directory. `recipe` names one that lies below all other
 * settings (`own`: that of the task's name); `teacher` and `distill` may be `none`; `options.rank` is one option alone.
 */
export type PlanSettings = Readonly<Record<string, unknown>>;

/** A data set, with settings of its own beside it. */
export type PlanTask = { readonly name: string; readonly data?: string } & PlanSettings;

/** Settings that belong together under a name, as a row of a table; `on` has more for single tasks. */
export type PlanRow = {
  readonly name: string;
  readonly on?: Readonly<Record<string, PlanSettings>>;
  /** Which row of the paper's table it repeats, counted from 1; default: its own place. */
  readonly paperRow?: number;
} & PlanSettings;

export interface SweepPlan {
  /** Folder of all runs; default: runs/ and the name of the plan's file. */
  readonly out?: string;
  /** What it is for, in a sentence. */
  readonly says?: string;
  /** Of all runs. */
  readonly base?: PlanSettings;
  readonly tasks?: readonly (string | PlanTask)[];
  readonly rows?: readonly PlanRow[];
  /** Values of each setting that varies; every combination is a run, on each task with each row. */
  readonly grid?: PlanSettings;
  /** Runs beside the grid and the rows, on each task and with each seed of the grid, unless they say otherwise. */
  readonly include?: readonly PlanSettings[];
  /** Runs that are left out: those that have all of an entry's values. */
  readonly exclude?: readonly PlanSettings[];
  /** Runs at a time; auto: as cores and memory allow. */
  readonly parallel?: 'auto' | number;
  /** `seeds`: all runs of the first seed before those of the second; `tasks`: all runs of a task before the next. */
  readonly order?: 'seeds' | 'tasks';
  /** Folders of other runs, of which those that were asked for here as well are not repeated. */
  readonly reuse?: readonly string[];
  /** Files that register tuning methods or losses of one's own. */
  readonly import?: readonly string[];
  /** The paper's table that this repeats, such as table-10. */
  readonly paper?: string;
  /** What stands in for the paper's models and data, where something does. */
  readonly standIn?: string;
  /**
   * Which row of the table at the end others are held against, by the names in its first column: one for all others, or
   * of each the one it is held against.
   */
  readonly against?: string | Readonly<Record<string, string>>;
}

const settings = z.record(z.string(), z.unknown());
const named = z.looseObject({ name: z.string().min(1) });
const texts = z.array(z.string());

const Plan = z.strictObject({
  out: z.string().optional(),
  says: z.string().optional(),
  base: settings.optional(),
  tasks: z
    .array(named.extend({ data: z.string().optional() }))
    .min(1)
    .optional(),
  rows: z
    .array(named.extend({ on: z.record(z.string(), settings).optional(), paperRow: z.int().min(1).optional() }))
    .min(1)
    .optional(),
  grid: settings.optional(),
  include: z.array(settings).optional(),
  exclude: z.array(settings).optional(),
  parallel: z.union([z.literal('auto'), z.int().min(1)]).optional(),
  order: z.enum(['seeds', 'tasks']).optional(),
  reuse: texts.optional(),
  import: texts.optional(),
  paper: z
    .string()
    .regex(/^table-([1-9]|1[01])$/, 'expected table-1 to table-11')
    .optional(),
  standIn: z.string().optional(),
  against: z.union([z.string(), z.record(z.string(), z.string())]).optional(),
});

/** A plan whose shape is as it should be. */
export type CheckedPlan = Omit<SweepPlan, 'tasks'> & { readonly tasks?: readonly PlanTask[] };

/** Says where in a file a part of the plan stands: ` (line 7)`; nothing where it comes from no file. */
export type Place = (path: readonly (string | number)[]) => string;
const nowhere: Place = () => '';

/** What a plan has that cannot be, each issue with its place. */
export function planError(issues: readonly Issue[], place: Place = nowhere, cause?: unknown): IdatError {
  const placed = issues.map((issue) => ({ ...issue, message: `${issue.message}${place(issue.path)}` }));
  return new IdatError('config.plan', inWords(placed), { issues, cause });
}

/** @throws IdatError `config.plan`: which key, where, what was expected */
export function checkPlan(input: unknown, place: Place = nowhere): CheckedPlan {
  const parsed = Plan.safeParse(withNamedTasks(input), { reportInput: true });
  if (!parsed.success) throw planError(shapeIssues(parsed.error), place, parsed.error);
  const plan = parsed.data as CheckedPlan;
  const issues = settingIssues(plan);
  if (issues.length > 0) throw planError(issues, place);
  return plan;
}

/** A task that is a name alone is one without settings. */
function withNamedTasks(input: unknown): unknown {
  const { tasks } = (input ?? {}) as { tasks?: unknown };
  if (!Array.isArray(tasks)) return input;
  return { ...(input as object), tasks: tasks.map((task) => (typeof task === 'string' ? { name: task } : task)) };
}

function shapeIssues(error: z.ZodError): Issue[] {
  return issuesOf(error, Object.keys(Plan.shape)).map((issue) => ({
    ...issue,
    message: issue.message.replace('no such setting', 'a plan has no such key'),
  }));
}

/** A list of settings is a list of values there, and not one value. */
export const isListOfValues = (name: string, value: unknown): value is unknown[] =>
  Array.isArray(value) && (!LISTS.has(name) || Array.isArray(value[0]));
const LISTS = new Set(['featureLayers', 'disable']);

/** `options.rank` and the like, in two; null for a setting's own name. */
export function optionOf(name: string): { field: 'options' | 'teacherOptions'; option: string } | null {
  const [, field, option] = /^(options|teacherOptions)\.(.+)$/.exec(name) ?? [];
  return option === undefined ? null : { field: field as 'options', option };
}

function settingIssues({ base = {}, tasks = [], rows = [], grid = {}, include = [], exclude = [] }: CheckedPlan) {
  const each = (layer: PlanSettings, path: (string | number)[], rest: readonly string[] = []) =>
    Object.entries(layer).flatMap(([name, value]) =>
      rest.includes(name) ? [] : oneIssue(name, value, [...path, name], false, rest),
    );
  const listed = (layer: PlanSettings, path: (string | number)[], rest: readonly string[] = []) =>
    Object.entries(layer).flatMap(([name, value]) =>
      rest.includes(name) ? [] : oneIssue(name, value, [...path, name], true, rest),
    );
  return [
    ...each(base, ['base']),
    ...tasks.flatMap((task, i) => each(task, ['tasks', i], ['name', 'data'])),
    ...rows.flatMap((row, i) => [
      ...each(row, ['rows', i], ['name', 'on', 'paperRow']),
      ...Object.entries(row.on ?? {}).flatMap(([task, more]) => [
        ...(tasks.some(({ name }) => name === task) ? [] : [unknownName('task', task, tasks, ['rows', i, 'on', task])]),
        ...each(more, ['rows', i, 'on', task]),
      ]),
    ]),
    ...duplicates(tasks, 'tasks'),
    ...duplicates(rows, 'rows'),
    ...listed(grid, ['grid']),
    ...include.flatMap((entry, i) => [
      ...listed(entry, ['include', i], ['name', 'task']),
      ...namesIn(entry.task, tasks, 'task', ['include', i, 'task']),
    ]),
    ...exclude.flatMap((entry, i) => [
      ...listed(entry, ['exclude', i], ['row', 'task']),
      ...namesIn(entry.task, tasks, 'task', ['exclude', i, 'task']),
      ...namesIn(entry.row, [...rows, ...include], 'row', ['exclude', i, 'row']),
    ]),
  ];
}

const asList = (value: unknown): unknown[] => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

type Named = readonly { readonly name?: unknown }[];

const namesIn = (value: unknown, known: Named, what: string, path: (string | number)[]): Issue[] =>
  asList(value)
    .filter((name) => !known.some((one) => one.name === name))
    .map((name) => unknownName(what, String(name), known, path));

function unknownName(what: string, name: string, known: Named, path: (string | number)[]): Issue {
  const names = known.flatMap((one) => (typeof one.name === 'string' ? [one.name] : []));
  const offer = names.length > 0 ? `; did you mean ${nearest(name, names, 2).join(' or ')}?` : '';
  return { path, code: 'unknown', message: `the plan has no ${what} ${name}${offer}` };
}

const duplicates = (list: Named, key: string): Issue[] =>
  list.flatMap(({ name }, i) =>
    list.findIndex((other) => other.name === name) === i
      ? []
      : [{ path: [key, i, 'name'], code: 'duplicate', message: `${name} is there twice; give names that differ` }],
  );

/** @param many whether a list is a list of values */
function oneIssue(
  name: string,
  value: unknown,
  path: (string | number)[],
  many: boolean,
  rest: readonly string[],
): Issue[] {
  if (many && isListOfValues(name, value)) {
    if (value.length === 0) return [{ path, code: 'too_small', message: 'expected at least one value, got []' }];
    return value.flatMap((one, i) => oneIssue(name, one, [...path, i], false, rest));
  }
  const option = optionOf(name);
  const field = option?.field ?? name;
  if (option ? value === null : (name === 'teacher' || name === 'distill') && value === 'none') return [];
  if (name === 'recipe') {
    return typeof value === 'string' ? [] : [{ path, code: 'invalid_type', message: `expected a name, got ${value}` }];
  }
  if (field === 'out' || !Object.hasOwn(FIELDS, field)) {
    const known = [...Object.keys(FIELDS).filter((one) => one !== 'out'), 'recipe', ...rest];
    const offer = nearest(name, known, 2).join(' or ');
    return [{ path, code: 'unrecognized_keys', message: `no such setting; did you mean ${offer}?` }];
  }
  const { schema } = FIELDS[field as FieldName] as { schema: z.ZodType };
  const parsed = schema.safeParse(option ? { [option.option]: value } : value, { reportInput: true });
  return parsed.success ? [] : issuesOf(parsed.error, [], path);
}
