import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const IN_A_BROWSER = 'test/**/*.browser.test.ts';

export default defineConfig({
  // examples import the package by its name; tests read its sources
  resolve: {
    alias: {
      'idat/methods': fileURLToPath(new URL('./src/methods/authoring.ts', import.meta.url)),
      'idat/losses': fileURLToPath(new URL('./src/distill/authoring.ts', import.meta.url)),
    },
  },
  test: {
    projects: [
      // `npm test`
      {
        extends: true,
        test: {
          name: 'node',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, IN_A_BROWSER],
        },
      },
      // `npm run test:browser`: needs a Chromium, and says so where there is none
      { extends: true, test: { name: 'browser', include: [IN_A_BROWSER] } },
    ],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    // nothing a test measures or keeps may end among the user's own
    env: { XDG_CACHE_HOME: join(tmpdir(), 'idat-test-cache') },
  },
});
