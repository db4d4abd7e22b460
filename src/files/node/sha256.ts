/** SHA-256 of what lies in memory or in files, in hex digits. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

export const sha256 = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Of a single file its own; of several, of all their bytes in turn. */
export async function sha256OfFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const chunk = new Uint8Array(Math.min(Math.max(size, 1), 2 ** 20));
      for (;;) {
        const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
        if (bytesRead === 0) break;
        hash.update(chunk.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
  }
  return hash.digest('hex');
}
