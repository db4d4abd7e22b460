/** Settings laid over others: what is given wins, and what only followed from what it replaces goes with it. */
import { type FineTuneInput, parseVariant } from './config.js';
import { fieldRecords } from './fields.js';
import type { MethodOptions } from './method-settings.js';

export type SomeSettings = Partial<Omit<FineTuneInput, 'data'>>;

/**
 * @param base settings of a recipe or of a run, whose methods and lengths may be there filled in
 * @param given what was asked for besides
 * @returns what `parseConfig` takes, but for `data`
 * @throws IdatError `config.field` for a variant that is none
 */
export function overlaid(base: SomeSettings, given: SomeSettings): SomeSettings {
  const under: SomeSettings = { ...base };
  forgetLengths(under, given);
  forgetMethods(under, given);
  if (given.student !== undefined) delete under.scratch;
  if (given.teacher === null) {
    for (const [name, { group, taught }] of fieldRecords()) {
      if (name !== 'data' && (taught || group === 'distillation')) delete under[name];
    }
  }
  const options = joined(under.options, given.options);
  const asked = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { ...under, ...asked, ...(options && { options }) };
}

/** Warm-up and cooldown that are a tenth of the epochs were not chosen: other epochs have a tenth of their own. */
function forgetLengths(under: SomeSettings, { epochs }: SomeSettings): void {
  if (epochs === undefined || under.epochs === undefined) return;
  const tenth = Math.min(10, Math.floor(under.epochs / 10));
  for (const name of ['warmupEpochs', 'cooldownEpochs'] as const) if (under[name] === tenth) delete under[name];
}

/** Another method has other options, and the teacher's was most often the student's. */
function forgetMethods(under: SomeSettings, given: SomeSettings): void {
  const named = given.variant === undefined ? undefined : parseVariant(given.variant);
  const method = given.method ?? given.adapter ?? named?.method;
  const before = under.method;
  if (named) delete under.distill;
  if (method !== undefined) delete under.method;
  if (method !== undefined && method !== before) {
    delete under.options;
    if (under.teacherMethod === before) delete under.teacherMethod;
    if (under.teacherMethod === undefined) delete under.teacherOptions;
  }
  const teachers = given.teacherMethod ?? given.teacherAdapter;
  if (teachers !== undefined && teachers !== under.teacherMethod) delete under.teacherOptions;
  for (const name of ['hidden', 'scale'] as const) if (given[name] !== undefined) forgetOption(under, name);
  for (const name of Object.keys(given.options ?? {})) {
    if (under.teacherOptions?.[name] === under.options?.[name]) forgetOption(under, name);
  }
}

function forgetOption(under: SomeSettings, name: string): void {
  for (const field of ['options', 'teacherOptions'] as const) {
    const { [name]: _, ...others } = under[field] ?? {};
    if (under[field]) under[field] = others;
  }
}

const joined = (a: MethodOptions | undefined, b: MethodOptions | undefined): MethodOptions | undefined =>
  a && b ? { ...a, ...b } : (b ?? a);
