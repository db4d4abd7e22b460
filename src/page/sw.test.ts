import { expect, it, vi } from 'vitest';

it('drops what an earlier version of this copy of the page kept, and nothing of another copy', async () => {
  const kept = new Set(
    ['old', 'new'].map((hash) => `https://host/one/kept/${hash}`).concat('https://host/two/kept/old'),
  );
  const cache = {
    keys: async () => [...kept].map((url) => ({ url })),
    delete: async (url: string) => kept.delete(url),
  };
  const listeners = new Map<string, (event: { waitUntil(work: Promise<unknown>): void }) => void>();
  vi.stubGlobal('caches', { open: async () => cache });
  vi.stubGlobal('IDAT_FILES', { 'page.js': 'new' });
  vi.stubGlobal('self', {
    registration: { scope: 'https://host/one/' },
    clients: { claim: async () => {} },
    addEventListener: (kind: string, listener: never) => listeners.set(kind, listener),
  });
  await import('./sw.js');
  await new Promise((resolve) => listeners.get('activate')!({ waitUntil: (work) => resolve(work) }));
  expect([...kept]).toEqual(['https://host/one/kept/new', 'https://host/two/kept/old']);
});
