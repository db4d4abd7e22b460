/**
 * The shared folder of the hub's tools, in their layout: what timm or transformers fetched is found, and they find what
 * idat fetched.
 *
 *     models--ORG--NAME/refs/main                 the commit that main was at
 *     models--ORG--NAME/snapshots/COMMIT/FILE     a link to
 *     models--ORG--NAME/blobs/HASH                the bytes
 *
 * @see https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, stat, symlink, unlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';

/**
 * The folder of a repository.
 * @throws IdatError `hub.name` for what is not organisation/name: nothing else may become part of a path
 */
export function repositoryFolder(cacheDir: string, repo: string): string {
  const name = repo.replace(DATA_SETS, '');
  if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(name) || /--|\.\.|\.git$|[.-]$/.test(name) || name.length > 96) {
    throw new IdatError(
      'hub.name',
      `${JSON.stringify(repo)} is no repository of the hub; expected organisation/name such as timm/vit_tiny_patch16_224.augreg_in21k`,
    );
  }
  return join(cacheDir, `${name === repo ? 'models' : 'datasets'}--${name.replace('/', '--')}`);
}

/** Before the name of a repository of data. */
const DATA_SETS = /^datasets\//;

/** A file at what main last was here, or null. Asks nobody. @throws IdatError `hub.name` */
export async function cachedFile(cacheDir: string, repo: string, file: string): Promise<string | null> {
  const folder = repositoryFolder(cacheDir, repo);
  const commit = (await readFile(join(folder, 'refs', 'main'), 'utf8').catch(() => '')).trim();
  if (!isCommit(commit)) return null;
  const path = snapshotPath(folder, commit, file);
  return (await isFile(path)) ? path : null;
}

export const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);

export const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/**
 * @param repo whose file it is: those of data lie in folders, those of models do not
 * @throws IdatError `hub.name` for a name that is not one of a file there
 */
export function checkFileName(file: string, repo: string): void {
  const steps = DATA_SETS.test(repo) ? file.split('/') : [file];
  if (!steps.every((step) => /^\w[\w.-]*$/.test(step)))
    throw new IdatError('hub.name', `${JSON.stringify(file)} is no name of a file`);
}

function snapshotPath(folder: string, commit: string, file: string): string {
  checkFileName(file, basename(folder).replace(/^datasets--/, 'datasets/'));
  return join(folder, 'snapshots', commit, file);
}

/**
 * Gives a blob its name in a snapshot; whatever has that name is replaced at once.
 * @returns the path of that name
 */
export async function addToSnapshot(folder: string, commit: string, file: string, blob: string): Promise<string> {
  const path = snapshotPath(folder, commit, file);
  await mkdir(dirname(path), { recursive: true });
  const temporary = join(dirname(path), `.idat-${randomUUID()}.tmp`);
  // an old name is replaced by a rename, so that it never leads nowhere
  try {
    // where links need a privilege, as on Windows, a second name of the same bytes does
    await symlink(relative(dirname(path), blob), temporary).catch(() => link(blob, temporary));
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  return path;
}

/** Notes where main is; to be called when all that is wanted of the commit is there. */
export async function setMain(folder: string, commit: string): Promise<void> {
  await mkdir(join(folder, 'refs'), { recursive: true });
  await writeFileAtomic(join(folder, 'refs', 'main'), commit);
}
