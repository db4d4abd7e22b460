/** Classifiers of a tab: an exported model that stays loaded in a Worker. */
import { eachConcurrently } from '../../data/concurrently.js';
import { IdatError } from '../../errors.js';
import { bytesOf, type WebFetchControl, type WebFile } from '../../files/web/fetch.js';
import { aboutExport } from '../../onnx/about.js';
import { ADAPTER_FILE, MODEL_FILE } from '../../onnx/names.js';
import { startWebRuntime } from '../../runtime/web/start.js';
import { connectWorker } from '../../runtime/web/worker-connection.js';
import { type Adapter, adapterIn, isAdapter } from '../adapter.js';
import { type Classifier as AnyClassifier, classifierOf, type ReadImage } from '../classifier.js';
import { loadExport } from '../exported.js';
import { nameOfImage, sentImage, type WebImage } from './images.js';
import type { ClassifierRequest } from './protocol.js';

export interface OpenOptions extends WebFetchControl {
  /** The adapter to begin with, for a model that has one as an input; default: adapter.safetensors beside its address. */
  readonly adapter?: Adapter | WebFile;
}

/** A trained model that stays loaded, in a Worker of its own. */
export type Classifier = AnyClassifier<WebImage, WebFile>;

/** Reading in the Worker goes on while the browser decodes. */
const IMAGES_AT_ONCE = 4;

/**
 * Loads an exported model.
 *
 * @param model the bytes of an .onnx file that idat exported, a Blob or File of them, or its address; one that ends in a
 *   slash is of the exported folder
 * @throws IdatError `onnx.format`, `onnx.foreign` for what idat did not export, `onnx.metadata`, `classifier.adapter`;
 *   `fetch.failed`, `fetch.page`, `fetch.too-large`; `runtime.unloadable`, `runtime.memory`
 */
export async function openClassifier(model: WebFile, options: OpenOptions = {}): Promise<Classifier> {
  const file = typeof model === 'string' && model.endsWith('/') ? `${model}${MODEL_FILE}` : model;
  const name = nameOfFile(file, 'the model');
  const bytes = await bytesOf(file, name, options);
  const about = aboutExport(bytes, name);
  const adapter = about.shape && (await firstAdapter(file, options));
  const worker = new Worker(new URL('./classifier-worker.js', import.meta.url), { type: 'module' });
  const connection = connectWorker<ClassifierRequest>(worker);
  const runtime = await startWebRuntime({ connect: () => connection, files: new Map() });
  try {
    const parts = await loadExport(runtime, { bytes, name, about, adapter });
    const { orient } = about;
    const read = async (image: WebImage, as: string): Promise<ReadImage> => {
      const { image: sent, transfer } = await sentImage(image, as);
      const request = { kind: 'image', image: sent, size: parts.imageSize, orient, name: as } as const;
      return (await connection.call(request, transfer)) as Uint8Array;
    };
    return classifierOf<WebImage, WebFile>({
      ...parts,
      read: async (images, first, signal) => {
        const all = new Array<ReadImage>(images.length);
        await eachConcurrently(images.length, IMAGES_AT_ONCE, signal, async (i) => {
          all[i] = await read(images[i]!, nameOfImage(images[i]!, first + i)).catch((error: unknown) => {
            if (error instanceof IdatError && /^image\./.test(error.code)) return error;
            throw error;
          });
        });
        return all;
      },
      nameOf: nameOfImage,
      openAdapter,
      close: () => runtime.close(),
    });
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

/**
 * Opens an adapter, to be used over every base that it fits.
 * @param file adapter.safetensors of an export: its bytes, a Blob of them, or its address
 * @throws IdatError `classifier.adapter` for what is none, and as `openClassifier`
 */
export async function openAdapter(file: WebFile, control: WebFetchControl = {}): Promise<Adapter> {
  const name = nameOfFile(file, 'the adapter');
  return adapterIn(await bytesOf(file, name, control), name);
}

async function firstAdapter(model: WebFile, { adapter, ...control }: OpenOptions): Promise<Adapter | null> {
  if (isAdapter(adapter)) return adapter;
  if (adapter !== undefined) return openAdapter(adapter, control);
  if (typeof model !== 'string') return null;
  return openAdapter(`${new URL(ADAPTER_FILE, new URL(model, location.href))}`, control);
}

function nameOfFile(file: WebFile, otherwise: string): string {
  if (typeof file === 'string') return file.replace(/[?#].*$/s, '');
  return file instanceof File && file.name !== '' ? file.name : otherwise;
}
