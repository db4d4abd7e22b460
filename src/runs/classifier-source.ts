/** Where a classifier comes from: a run, an export, or the address of one. */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Adapter, adapterIn } from '../classify/adapter.js';
import { IdatError } from '../errors.js';
import { fetchAddress } from '../hub/address.js';
import { type AboutExport, aboutExport } from '../onnx/about.js';
import { ADAPTER_FILE, MODEL_FILE, MODEL_FILES } from '../onnx/names.js';
import type { RunControl } from '../train/progress.js';
import { fetching } from './backbones.js';
import { type MovedWeights, type OpenedRun, openRun } from './open-run.js';
import { adapterOfRun } from './run-model.js';

/** A run directory, a folder or an .onnx file that `exportRun` wrote, or the address of one; or a run that is open. */
export type ClassifierSource = string | URL | OpenedRun;

/** A run directory, whose backbone is not read, an adapter.safetensors of an export or its folder, or the address of one. */
export type AdapterSource = string | URL | OpenedRun;

export type OpenedSource =
  | { readonly kind: 'run'; readonly run: OpenedRun }
  | {
      readonly kind: 'export';
      /** What messages call it. */
      readonly name: string;
      readonly bytes: Uint8Array;
      readonly about: AboutExport;
      /** The one beside it, where it needs one and has one; null where none was asked for. */
      readonly adapter: Adapter | null;
    };

/** How a source is opened. */
export interface SourceOptions extends RunControl {
  /** Paths of a run's frozen weights, where they lie elsewhere now. */
  readonly student?: string;
  readonly teacher?: string;
  /** An adapter to begin with: the one beside an export is not asked for then. */
  readonly adapter?: unknown;
}

/** @throws IdatError as `openRun`, `aboutExport` and `fetchAddress`; `classifier.source` for what is neither */
export async function openSource(source: ClassifierSource, options: SourceOptions): Promise<OpenedSource> {
  if (typeof source !== 'string' && !(source instanceof URL)) return { kind: 'run', run: source };
  const place = `${source}`;
  if (isAddress(place)) {
    const address = place.endsWith('/') ? `${place}${MODEL_FILE}` : place;
    const bytes = await fetchAddress(address, fetching(nameOfAddress(address), options));
    const adapter = `${new URL(ADAPTER_FILE, address)}`;
    return exported(bytes, nameOfAddress(address), async () =>
      options.adapter === undefined ? openAdapter(adapter, options) : null,
    );
  }
  const path = await exportIn(place);
  if (path === null) return { kind: 'run', run: await openRun(place, moved(options)) };
  return exported(await bytesOf(path), path, async () => {
    const adapter = join(dirname(path), ADAPTER_FILE);
    return options.adapter === undefined && (await isFile(adapter)) ? openAdapter(adapter, options) : null;
  });
}

const moved = ({ student, teacher }: SourceOptions): MovedWeights => ({
  ...(student && { student }),
  ...(teacher && { teacher }),
});

async function exported(
  bytes: Uint8Array,
  name: string,
  adapter: () => Promise<Adapter | null>,
): Promise<OpenedSource> {
  const about = aboutExport(bytes, name);
  return { kind: 'export', name, bytes, about, adapter: about.shape && (await adapter()) };
}

/**
 * Opens an adapter, to be used over every base that it fits.
 * @throws IdatError `classifier.adapter` for what is none, and as `openRun` and `fetchAddress`
 */
export async function openAdapter(source: AdapterSource, control: RunControl = {}): Promise<Adapter> {
  if (typeof source !== 'string' && !(source instanceof URL)) return adapterOfRun(source);
  const place = `${source}`;
  if (isAddress(place)) {
    const name = nameOfAddress(place);
    return adapterIn(await fetchAddress(place, fetching(name, control)), name);
  }
  if (await isFile(join(place, ADAPTER_FILE))) return openAdapter(join(place, ADAPTER_FILE), control);
  // a run's own file says neither its classes nor its options, which lie beside it
  if (basename(place) === 'student.safetensors') return adapterOfRun(await openRun(dirname(place)));
  if (await isFile(place)) return adapterIn(await bytesOf(place), place);
  return adapterOfRun(await openRun(place));
}

const isAddress = (text: string): boolean => /^https?:\/\//i.test(text);

/** Without what may be a secret. */
const nameOfAddress = (address: string): string => address.replace(/[?#].*$/s, '');

/** The .onnx file of an export; null where there is none. */
async function exportIn(place: string): Promise<string | null> {
  if (await isFile(place)) {
    if (/\.onnx$/i.test(place)) return place;
    const what = 'is neither a run directory nor an export';
    throw new IdatError(
      'classifier.source',
      `${place}: ${what}; give a run, or the .onnx file of one that was exported`,
    );
  }
  for (const name of [MODEL_FILE, ...Object.values(MODEL_FILES)]) {
    if (await isFile(join(place, name))) return join(place, name);
  }
  return null;
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

const bytesOf = (path: string): Promise<Uint8Array> =>
  readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new IdatError('files.open', `${path}: cannot be read (${error.code}); check the path and its access rights`, {
      cause: error,
    });
  });
