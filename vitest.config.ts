import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // examples import the package by its name; tests read its sources
  resolve: {
    alias: {
      'idat/methods': fileURLToPath(new URL('./src/methods/authoring.ts', import.meta.url)),
      'idat/losses': fileURLToPath(new URL('./src/distill/authoring.ts', import.meta.url)),
    },
  },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    // nothing a test measures or keeps may end among the user's own
    env: { XDG_CACHE_HOME: join(tmpdir(), 'idat-test-cache') },
  },
});
