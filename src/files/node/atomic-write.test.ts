import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { IdatError } from '../../errors.js';
import { type WriteFileSystem, writeFileAtomic } from './atomic-write.js';

const root = mkdtempSync(join(tmpdir(), 'idat-write-'));
afterAll(() => rmSync(root, { recursive: true }));

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, 'case-'));
  path = join(folder, 'state.safetensors');
});

type Call = 'open' | 'write' | 'sync' | 'close' | 'rename' | 'open folder' | 'sync folder';

/** The real file system, except that one call fails with this code; records what is called. */
function failingAt(failing: Call | undefined, code = 'ENOSPC', calls: Call[] = []): WriteFileSystem {
  const attempt = async <T>(call: Call, action: () => Promise<T>): Promise<T> => {
    calls.push(call);
    if (call === failing) throw Object.assign(new Error(`${code}: injected`), { code });
    return action();
  };
  return {
    unlink: fs.unlink,
    rename: (from, to) => attempt('rename', () => fs.rename(from, to)),
    open: async (name, flags) => {
      const isFolder = flags === 'r';
      const handle = await attempt(isFolder ? 'open folder' : 'open', () => fs.open(name, flags));
      const { writeFile, sync, close } = handle;
      handle.writeFile = async (data) => {
        if (failing === 'write') await writeFile.call(handle, (data as Uint8Array).subarray(0, 3)); // half of it arrives
        await attempt('write', () => writeFile.call(handle, data));
      };
      handle.sync = () => attempt(isFolder ? 'sync folder' : 'sync', () => sync.call(handle));
      handle.close = async () => {
        await close.call(handle);
        if (!isFolder) await attempt('close', async () => {});
      };
      return handle;
    },
  };
}

async function failureOf(action: Promise<void>): Promise<IdatError> {
  const error = await action.then(
    () => expect.fail('expected a failure'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(IdatError);
  return error as IdatError;
}

describe('writeFileAtomic', () => {
  it('writes bytes and text, over an earlier file or none, and leaves nothing else', async () => {
    await writeFileAtomic(path, Uint8Array.of(1, 2, 3));
    expect([...readFileSync(path)]).toEqual([1, 2, 3]);
    await writeFileAtomic(path, 'größer');
    expect(readFileSync(path, 'utf8')).toBe('größer');
    expect(readdirSync(folder)).toEqual(['state.safetensors']);
  });

  it('flushes the file before it takes its name, and the folder after', async () => {
    const calls: Call[] = [];
    await writeFileAtomic(path, 'new', failingAt(undefined, '', calls));
    expect(calls).toEqual(['open', 'write', 'sync', 'close', 'rename', 'open folder', 'sync folder']);
  });

  it('lets writers race: one of them wins whole', async () => {
    const contents = Array.from({ length: 20 }, (_, i) => String.fromCharCode(97 + i).repeat(50_000));
    await Promise.all(contents.map((content) => writeFileAtomic(path, content)));
    expect(contents).toContain(readFileSync(path, 'utf8'));
    expect(readdirSync(folder)).toEqual(['state.safetensors']);
  });

  describe.each<Call>(['open', 'write', 'sync', 'close', 'rename'])('when %s fails', (call) => {
    it.each(['ENOSPC', 'EROFS', 'EACCES', 'EDQUOT', 'EFBIG', 'EIO'])(
      'with %s, keeps the earlier file',
      async (code) => {
        writeFileSync(path, 'earlier');
        const error = await failureOf(writeFileAtomic(path, 'x'.repeat(1234), failingAt(call, code)));
        expect(readFileSync(path, 'utf8')).toBe('earlier');
        expect(readdirSync(folder)).toEqual(['state.safetensors']);
        expect(error.code).toBe('files.write');
        expect(error.message.startsWith(`cannot write ${path} (1,234 bytes needed): `)).toBe(true);
      },
    );
  });

  it('says what each refusal means', async () => {
    const messages = {
      ENOSPC: /the disk is full: free some space or choose a folder on another disk$/,
      EDQUOT: /your disk quota is used up/,
      EFBIG: /the file would be larger than/,
      EROFS: /is on a read-only disk: choose another folder$/,
      EACCES: /no permission to write in .*: change its access rights/,
      EIO: /the system says "EIO: injected"/,
    };
    for (const [code, message] of Object.entries(messages)) {
      expect((await failureOf(writeFileAtomic(path, 'x', failingAt('write', code)))).message).toMatch(message);
    }
  });

  it('bears a folder that cannot be flushed, and reports one whose flush fails', async () => {
    await writeFileAtomic(path, 'new', failingAt('open folder', 'EACCES'));
    await writeFileAtomic(path, 'newer', failingAt('sync folder', 'EINVAL'));
    expect(readFileSync(path, 'utf8')).toBe('newer');
    await failureOf(writeFileAtomic(path, 'newest', failingAt('sync folder', 'EIO')));
    expect(readdirSync(folder)).toEqual(['state.safetensors']);
  });

  it('passes on what is no refusal of the system', async () => {
    const broken = { ...failingAt(undefined), rename: () => Promise.reject(new TypeError('a bug')) };
    await expect(writeFileAtomic(path, 'x', broken)).rejects.toThrow(TypeError);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('explains a folder that is missing, is a file, or stands where the file should', async () => {
    const missing = await failureOf(writeFileAtomic(join(folder, 'no', 'x.json'), '{}'));
    expect(missing.message).toMatch(/the folder .*no does not exist: create it/);
    writeFileSync(join(folder, 'file'), '');
    const notFolder = await failureOf(writeFileAtomic(join(folder, 'file', 'x.json'), '{}'));
    expect(notFolder.message).toMatch(/file is not a folder/);
    mkdirSync(path);
    expect((await failureOf(writeFileAtomic(path, '{}'))).message).toMatch(/there is a folder of that name/);
    expect(readdirSync(folder).sort()).toEqual(['file', 'state.safetensors']);
  });
});

describe('on a disk of 64 KB that is really full', () => {
  const mount = join(root, 'tiny');
  const reason = mountTiny();
  if (!reason) afterAll(() => execFileSync('umount', [mount]));

  it.skipIf(reason)(`keeps the earlier file and gives the space back${reason}`, async () => {
    const target = join(mount, 'state.safetensors');
    await writeFileAtomic(target, 'earlier');
    const before = statfsSync(mount).bfree;
    const error = await failureOf(writeFileAtomic(target, new Uint8Array(100_000)));
    expect(error.message).toBe(
      `cannot write ${target} (100,000 bytes needed): the disk is full: free some space or choose a folder on another disk`,
    );
    expect(readFileSync(target, 'utf8')).toBe('earlier');
    expect(readdirSync(mount)).toEqual(['state.safetensors']);
    expect(statfsSync(mount).bfree).toBe(before);
  });

  it.skipIf(reason)(`refuses a read-only disk${reason}`, async () => {
    execFileSync('mount', ['-o', 'remount,ro', mount]);
    const error = await failureOf(writeFileAtomic(join(mount, 'x'), 'x'));
    expect(error.message).toBe(
      `cannot write ${join(mount, 'x')} (1 byte needed): ${mount} is on a read-only disk: choose another folder`,
    );
  });

  function mountTiny(): string {
    mkdirSync(mount);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount], { stdio: 'ignore' });
      return '';
    } catch {
      return ' (skipped: mounting a tmpfs needs root on Linux)';
    }
  }
});
