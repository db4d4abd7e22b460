/** The programs of a run, loaded. */
import { costOf, type ProgramCost } from '../graph/emit.js';
import type { Runtime, Session } from '../runtime/runtime.js';
import type { RunPlan } from '../settings/plan.js';
import type { Resolved } from '../settings/record.js';
import type { ModelSpec, Prefix, TunedModel } from '../step/model.js';
import { buildPrefix } from '../step/prefix.js';
import { mapPair, type Pair, type Role } from '../step/roles.js';
import type { TrainStep } from '../step/train-step.js';
import { type LoadedModel, loadModel } from './evaluate.js';
import { type LoadedPrefix, loadPrefix } from './prefix-store.js';
import { type Prefixes, stepOf, tunedModels } from './specs.js';
import type { LoadedPrefixes } from './splits.js';

/** A compiled step, and what it draws at random each time. */
export interface LoadedStep {
  readonly session: Session;
  readonly draws: TrainStep['draws'];
  readonly cost: ProgramCost;
}

/** The compiled steps of a run. */
export interface Steps {
  /** With patches left out of each image, where the plan asks for that. */
  readonly somePatches: LoadedStep;
  /** With all of them: the same one where none are left out. */
  allPatches(): Promise<LoadedStep>;
  close(): Promise<void>;
}

export interface Compiled {
  readonly models: Pair<TunedModel>;
  readonly prefixes: LoadedPrefixes;
  readonly steps: Steps;
  /** Loaded when it is first asked for: it holds the student's weights once more. */
  student(): Promise<LoadedModel>;
  /** A model up to what its head reads, and the prefix it reads behind; loaded anew each time, to be closed by who asks. */
  features(role: Role): Promise<{ readonly model: LoadedModel; readonly prefix: LoadedPrefix | null }>;
}

/** Compiles and loads what training and its evaluation run. */
export async function loadPrograms(
  runtime: Runtime,
  plan: Pick<RunPlan, 'objective' | 'compile' | 'tokens'>,
  specs: Pair<ModelSpec>,
  prefixes: Prefixes,
  { microBatch, prefixThreads }: Pick<Resolved, 'microBatch' | 'prefixThreads'>,
): Promise<Compiled> {
  const { compile } = plan;
  const { student } = specs;
  // rounded as a finished run is evaluated, a model gives the same accuracy there: all of it then, and no prefix in float32
  const evaluationOf = (role: Role) =>
    compile.frozen === 'float32' ? evaluationPrefix(specs[role]!, prefixes[role], compile.disable) : null;
  const evaluation = evaluationOf('student');
  let loadedStudent: Promise<LoadedModel> | undefined;
  const load = async (of: Pair<ModelSpec>) => {
    let step: TrainStep | undefined;
    const session = await runtime.load((sink) => {
      step = stepOf(plan, of, prefixes, microBatch, sink);
      return step.program;
    });
    return { session, step: step! };
  };
  const prefixRuntime = runtime.withThreads(prefixThreads ?? runtime.threads);
  const loadedPrefixes = await loadPrefixes(prefixRuntime, specs, prefixes, evaluation);
  const { session, step } = await load(specs);
  const somePatches: LoadedStep = { session, draws: step.draws, cost: costOf(step.program) };
  const whole = mapPair(specs, (spec) => ({ ...spec, dropTokens: 0 }));
  let allPatches: Promise<LoadedStep> | undefined;
  return {
    prefixes: loadedPrefixes,
    models: tunedModels(specs, step),
    steps: {
      somePatches,
      allPatches: () => {
        if (plan.tokens.drop === 0) return Promise.resolve(somePatches);
        allPatches ??= load(whole).then((loaded) => ({
          session: loaded.session,
          draws: loaded.step.draws,
          cost: costOf(loaded.step.program),
        }));
        return allPatches;
      },
      close: async () => {
        await session.close();
        await (await allPatches)?.session.close();
      },
    },
    student: () => {
      loadedStudent ??= loadModel(runtime, student, { prefix: evaluation, ...compile });
      return loadedStudent;
    },
    features: async (role) => {
      const spec = specs[role]!;
      const cut = evaluationOf(role);
      const known = role === 'student' ? loadedPrefixes.evaluation : loadedPrefixes.teacher;
      const prefix = cut && (await loadPrefix(prefixRuntime, spec, cut, known));
      return { prefix, model: await loadModel(runtime, spec, { prefix: cut, features: true, ...compile }) };
    },
  };
}

/** Evaluation drops nothing, which may leave another prefix than training has. */
function evaluationPrefix(student: ModelSpec, prefix: Prefix | null, disable: readonly string[]): Prefix | null {
  return prefix && buildPrefix(student, disable, false);
}

async function loadPrefixes(
  runtime: Runtime,
  specs: Pair<ModelSpec>,
  prefixes: Prefixes,
  evaluation: Prefix | null,
): Promise<LoadedPrefixes> {
  const load = async (role: Role, known: LoadedPrefix | null) =>
    prefixes[role] && loadPrefix(runtime, specs[role]!, prefixes[role], known);
  const student = await load('student', null);
  return {
    student,
    teacher: await load('teacher', student), // of one checkpoint both may have the same
    evaluation: evaluation && (await loadPrefix(runtime, specs.student, evaluation, student)),
  };
}
