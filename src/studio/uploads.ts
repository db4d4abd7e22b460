/** Pictures that are dropped into the page: a folder, file by file, or a zip, bounded, below the folder `uploads`. */
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isImagePath } from '../data/file-tree.js';
import { IdatError } from '../errors.js';
import { removeAbandoned } from '../files/node/abandoned.js';
import { identityText, thisProcess } from '../files/node/process-identity.js';
import { openData } from '../runs/data-source.js';
import { SPLIT_SEED } from '../settings/fields.js';

export interface UploadLimits {
  readonly bytes: number;
  readonly files: number;
  readonly fileBytes: number;
}

export const UPLOAD_LIMITS: UploadLimits = { bytes: 8 * 2 ** 30, files: 200_000, fileBytes: 100 * 2 ** 20 };

/** At a time; and how long one may say nothing. */
const MOST_UPLOADS = 4;
const SILENCE_MS = 15 * 60_000;

interface Upload {
  readonly name: string;
  readonly place: string;
  bytes: number;
  files: number;
  zip: boolean;
  /** Files that are being written. */
  writing: number;
  last: number;
}

/** What has been uploaded. */
export interface Uploaded {
  readonly path: string;
  /** Classes and images, in words. */
  readonly says: string;
}

export class Uploads {
  private readonly uploads = new Map<string, Upload>();
  private readonly folder: string;

  /** @param root in whose folder `uploads` they go */
  constructor(
    root: string,
    private readonly limits: UploadLimits = UPLOAD_LIMITS,
  ) {
    this.folder = join(root, 'uploads');
  }

  /** @param name as the dropped folder or zip is called @returns by which it goes on @throws IdatError `upload.…` */
  async begin(name: string): Promise<string> {
    await this.forgetSilent();
    if (this.uploads.size >= MOST_UPLOADS)
      throw refused('busy', 'too many uploads at a time; wait until one has ended');
    const id = randomBytes(8).toString('hex');
    const place = join(this.folder, `.idat-${identityText(thisProcess())}-${id}.tmp`);
    await mkdir(this.folder, { recursive: true });
    await removeAbandoned(this.folder, /^\.idat-.*\.tmp$/);
    await mkdir(place);
    const upload = { name: plainName(name), place, bytes: 0, files: 0, zip: false, writing: 0, last: Date.now() };
    this.uploads.set(id, upload);
    return id;
  }

  /**
   * Takes a file as it comes.
   * @param path below what was dropped, such as `cats/1.jpg`
   * @throws IdatError `upload.path` for one that leads out or is no picture, list or zip, `upload.size`
   */
  async put(id: string, path: string, body: ReadableStream<Uint8Array>): Promise<void> {
    const upload = this.of(id);
    const zip = /\.zip$/i.test(path);
    const steps = stepsOf(path);
    if (!zip && !isImagePath(path) && !/\.(csv|txt|tsv|json|jsonl)$/i.test(path)) {
      throw refused('path', `${path}: is neither a picture nor a list`);
    }
    if (upload.zip || (zip && (upload.files > 0 || steps.length > 1))) {
      throw refused('path', `${path}: a zip comes alone`);
    }
    if (upload.files >= this.limits.files) throw refused('size', `more than ${this.limits.files} files`);
    upload.files++;
    upload.zip = zip;
    upload.writing++;
    const file = join(upload.place, ...(zip ? ['data.zip'] : steps));
    const most = zip ? this.limits.bytes : this.limits.fileBytes;
    let own = 0;
    const bounded = new Transform({
      transform: (chunk: Buffer, _, done) => {
        own += chunk.length;
        upload.bytes += chunk.length;
        upload.last = Date.now();
        if (own > most) done(refused('size', `${path}: larger than ${megabytes(most)}`));
        else if (upload.bytes > this.limits.bytes)
          done(refused('size', `more than ${megabytes(this.limits.bytes)} in all`));
        else done(null, chunk);
      },
    });
    try {
      await mkdir(dirname(file), { recursive: true });
      await pipeline(Readable.fromWeb(body as never), bounded, createWriteStream(file, { flags: 'wx' }));
    } catch (error) {
      upload.files--;
      upload.bytes -= own;
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') throw refused('twice', `${path}: has come already`); // the first one stays
      await rm(file, { force: true });
      if (error instanceof IdatError) throw error;
      throw refused('write', `${path}: cannot be kept (${code ?? 'the upload broke off'})`, error);
    } finally {
      upload.writing--;
    }
  }

  /**
   * Puts it in its place, once all files are there.
   * @throws IdatError `data.…` when it is no data set, which is then gone; `upload.empty`
   */
  async end(id: string): Promise<Uploaded> {
    const upload = this.of(id);
    if (upload.writing > 0) throw refused('busy', 'files are still coming');
    if (upload.files === 0) throw refused('empty', 'no picture has come');
    this.uploads.delete(id);
    const from = upload.zip ? join(upload.place, 'data.zip') : upload.place;
    try {
      const says = await saysOf(from);
      const path = await this.free(upload);
      await rename(from, path);
      return { path, says };
    } catch (error) {
      if (!(error instanceof IdatError)) throw error;
      const message = error.message.replaceAll(from, upload.name);
      throw new IdatError(error.code, message, { cause: error });
    } finally {
      await rm(upload.place, { recursive: true, force: true });
    }
  }

  /** Gives one up. */
  async drop(id: string): Promise<void> {
    const upload = this.uploads.get(id);
    this.uploads.delete(id);
    if (upload) await rm(upload.place, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    for (const id of [...this.uploads.keys()]) await this.drop(id);
  }

  private of(id: string): Upload {
    const upload = this.uploads.get(id);
    if (!upload) throw refused('unknown', 'this upload is not there any more; drop the pictures again');
    upload.last = Date.now();
    return upload;
  }

  private async forgetSilent(): Promise<void> {
    for (const [id, { last }] of this.uploads) if (Date.now() - last > SILENCE_MS) await this.drop(id);
  }

  private async free({ name, zip }: Upload): Promise<string> {
    for (let n = 1; ; n++) {
      const path = join(this.folder, `${name}${n === 1 ? '' : `-${n}`}${zip ? '.zip' : ''}`);
      const taken = await stat(path).then(
        () => true,
        () => false,
      );
      if (!taken) return path;
    }
  }
}

const refused = (word: string, what: string, cause?: unknown): IdatError =>
  new IdatError(`upload.${word}`, what, { cause });

const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

/** A name for a folder, of whatever somebody's is called. */
function plainName(name: string): string {
  const plain = name
    .replace(/\.zip$/i, '')
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}._-]+/gu, '-')
    .replace(/^[.-]+|[.-]+$/g, '')
    .slice(0, 60);
  return plain === '' ? 'pictures' : plain;
}

/** @throws IdatError `upload.path` */
function stepsOf(path: string): string[] {
  const steps = path.split('/');
  const bad = (step: string) => step === '' || step.startsWith('.') || step.length > 200 || /[\\:\p{Cc}]/u.test(step);
  if (steps.length > 8 || steps.some(bad)) throw refused('path', 'a file of that path is not taken');
  return steps;
}

async function saysOf(path: string): Promise<string> {
  const { classes, trainval, test, close } = await openData(path, { seed: SPLIT_SEED });
  await close();
  return `${classes.length} classes, ${trainval.length} pictures to learn from and ${test.length} to be tested on`;
}
