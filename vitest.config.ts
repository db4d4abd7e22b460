import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    // nothing a test measures or keeps may end among the user's own
    env: { XDG_CACHE_HOME: join(tmpdir(), 'idat-test-cache') },
  },
});
