/** A user whom nobody knows, without HOME, as containers have: all works, and what is kept lies in the temporary folder. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homeFolder } from '../src/files/node/home-folder.js';
import { makeImageFolder, temporaryFolder } from './train-support.js';

describe('the home folder', () => {
  const nobody = {
    home: () => {
      throw new Error('uv_os_homedir returned ENOENT');
    },
    temporary: '/tmp',
    uid: 4321,
    look: () => undefined,
  };
  const there =
    (uid: number, isDirectory = true) =>
    () => ({ uid, isDirectory: () => isDirectory });

  it('is the one the system names', () => {
    expect(homeFolder({ ...nobody, home: () => '/home/me' })).toBe('/home/me');
  });

  it('is a folder of this user’s in the temporary one where there is none', () => {
    expect(homeFolder(nobody)).toBe('/tmp/idat-home-4321');
    expect(homeFolder({ ...nobody, home: () => '' })).toBe('/tmp/idat-home-4321');
    expect(homeFolder({ ...nobody, look: there(4321) })).toBe('/tmp/idat-home-4321');
    expect(homeFolder({ ...nobody, uid: undefined, look: there(0) })).toBe('/tmp/idat-home-user');
  });

  it('is nothing that somebody else has put there, nor a link', () => {
    expect(() => homeFolder({ ...nobody, look: there(1) })).toThrow(/idat-home-4321: is somebody else's.*set HOME/);
    expect(() => homeFolder({ ...nobody, look: there(4321, false) })).toThrow(/set HOME/);
  });
});

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const UID = 54_321;

/** Only root may become somebody else. */
describe.skipIf(process.getuid?.() !== 0)('a user whom nobody knows', { timeout: 240_000 }, () => {
  const root = temporaryFolder();
  const [own, scratch] = [join(root, 'own'), join(root, 'tmp')];
  let data: string;
  beforeAll(async () => {
    data = await makeImageFolder(root, 6);
    chmodSync(root, 0o755);
    for (const folder of [own, scratch]) {
      mkdirSync(folder);
      chmodSync(folder, 0o777);
    }
  });
  afterAll(() => rmSync(root, { recursive: true }));

  const idat = (...args: string[]) =>
    spawnSync(process.execPath, [MAIN, ...args], {
      cwd: own,
      env: { PATH: process.env.PATH, TMPDIR: scratch },
      ...{ uid: UID, gid: UID, encoding: 'utf8' },
    });

  it('trains, and predicts', () => {
    const short = ['--method', 'linear', '--epochs', '1', '--warmup-epochs', '0', '--offline', '--device', 'cpu'];
    const trained = idat('train', data, ...short, '--out', 'run');
    expect(trained.stderr).not.toMatch(/idat: /);
    expect(trained).toMatchObject({ status: 0, stdout: expect.stringMatching(/accuracy/) });
    const predicted = idat('predict', 'run', join(data, 'red', '0.png'));
    expect(predicted).toMatchObject({ status: 0, stdout: expect.stringMatching(/red/) });
    expect(idat('models')).toMatchObject({ status: 0 });
    expect(idat('cache')).toMatchObject({ status: 0 });
    expect(readdirSync(scratch).filter((name) => !/^idat-home-54321$/.test(name))).toEqual([]);
  });
});
