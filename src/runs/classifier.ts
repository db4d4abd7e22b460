/** Classifiers of Node: a run or an export that stays loaded. */
import type { Adapter } from '../classify/adapter.js';
import { type Classifier as AnyClassifier, classifierOf, type ReadImage } from '../classify/classifier.js';
import { loadExport } from '../classify/exported.js';
import { eachConcurrently } from '../data/concurrently.js';
import { type ImageSource, nameOfSource, readImage } from '../data/node/image-source.js';
import { IMAGES_AT_ONCE } from '../data/node/pixels.js';
import { preprocess } from '../data/preprocess.js';
import { IdatError } from '../errors.js';
import type { ImageSize } from '../image-size.js';
import { startRuntime } from '../runtime/node/start.js';
import type { Device, Runtime } from '../runtime/runtime.js';
import type { Role } from '../step/roles.js';
import { withInt8RangeHere } from '../train/int8-range.js';
import type { RunControl } from '../train/progress.js';
import {
  type AdapterSource,
  type ClassifierSource,
  type OpenedSource,
  openAdapter,
  openSource,
} from './classifier-source.js';
import { threadsOf } from './open-run.js';
import { loadRunModel } from './run-model.js';

export interface RunOptions extends RunControl {
  /** Default: where the run was trained; for exports `cpu`. */
  device?: Device;
  /** Default: as the run was trained with; for exports as many as there are cores. */
  threads?: number;
  /** Paths of the frozen weights, where they lie elsewhere now; the same by their sha256. */
  student?: string;
  teacher?: string;
}

export interface OpenOptions extends RunOptions {
  /** Of a run, which of its models; default: the student. */
  readonly role?: Role;
  /** Another adapter to begin with than the model's own, or than the one beside it. */
  readonly adapter?: Adapter | AdapterSource;
  /**
   * Default: true, the model runs in a worker thread, and the thread of the caller stays free. False: it runs in the thread of the
   * caller, which stands still for each call, and small models answer sooner, as nothing is handed from thread to thread.
   */
  readonly worker?: boolean;
}

/** A trained model that stays loaded. The weights' file of a run may be replaced meanwhile, but not written over, as it is mapped. */
export type Classifier = AnyClassifier<ImageSource, AdapterSource>;

/**
 * Loads a run's student, or an export, ready to classify for as long as it is not closed.
 *
 * @param source a run directory, a run that is open, an export's folder or .onnx file, or the address of one
 * @throws IdatError as `openRun`; `run.changed` when its backbone is another one; `runtime.device`; of exports
 *   `onnx.format`, `onnx.foreign` for what idat did not export, `onnx.metadata`; of addresses as `fetchAddress`;
 *   `classifier.source` for what is nothing of all that, `classifier.adapter`
 */
export async function openClassifier(source: ClassifierSource, options: OpenOptions = {}): Promise<Classifier> {
  return classifierFrom(await openSource(source, options), options);
}

/** The same of what is open already. */
export async function classifierFrom(opened: OpenedSource, options: OpenOptions): Promise<Classifier> {
  const { adapter } = options;
  const runtime = await startRuntime(await engineOf(opened, options));
  try {
    const isOpen = adapter === undefined || (typeof adapter === 'object' && 'tensors' in adapter);
    const given = isOpen ? adapter : await openAdapter(adapter, options);
    const { parts, orient } = await load(runtime, opened, options, given ?? null);
    const classifier = classifierOf<ImageSource, AdapterSource>({
      ...parts,
      read: (images, first, signal) => readAll(images, first, { orient, size: parts.imageSize, signal }),
      nameOf: nameOfSource,
      openAdapter: (from) => openAdapter(from, options),
      close: () => runtime.close(),
    });
    if (given && opened.kind === 'run') await classifier.use(given);
    return classifier;
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

async function engineOf(opened: OpenedSource, { device, threads, worker = true }: OpenOptions) {
  if (opened.kind === 'export') return { worker, device: device ?? ('cpu' as const), ...(threads && { threads }) };
  const { record } = opened.run;
  return { worker, device: device ?? record.resolved.device, threads: threads ?? threadsOf(record) };
}

async function load(runtime: Runtime, opened: OpenedSource, options: OpenOptions, given: Adapter | null) {
  if (opened.kind === 'export') {
    const parts = await loadExport(runtime, { ...opened, adapter: given ?? opened.adapter });
    return { parts, orient: opened.about.orient };
  }
  const { run } = opened;
  const { role = 'student' } = options;
  const model = await run.model(role, options);
  const onNote = (text: string) => options.onProgress?.({ kind: 'note', text });
  const plan = await withInt8RangeHere(run.plan, runtime, onNote);
  return { parts: await loadRunModel(runtime, { ...run, plan }, model, role), orient: plan.images.orient };
}

/**
 * The images as bytes [3, height, width], or why they cannot be read; a few at a time, as photographs are large.
 * @throws the signal's reason
 */
async function readAll(
  sources: readonly ImageSource[],
  first: number,
  { orient, size, signal }: { orient: boolean; size: ImageSize; signal: AbortSignal | undefined },
): Promise<ReadImage[]> {
  const read = new Array<ReadImage>(sources.length);
  await eachConcurrently(sources.length, IMAGES_AT_ONCE, signal, async (i) => {
    try {
      const image = await readImage(sources[i]!, { orient, name: nameOfSource(sources[i]!, first + i) });
      read[i] = preprocess(image, size);
    } catch (error) {
      if (!(error instanceof IdatError)) throw error;
      read[i] = error;
    }
  });
  return read;
}
