/**
 * Where tests find the data sets and reference numbers that lie beside the checkout, in `../shared`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';

const SHARED = fileURLToPath(new URL('../../../../shared', import.meta.url));

export const sharedPath = (path: string): string => `${SHARED}/${path}`;

/** A `describe` that is skipped, and says why in its title, where the folder is absent. */
export function describeWithShared(title: string, body: () => void): void {
  if (existsSync(SHARED)) describe(title, body);
  else describe.skip(`${title} [skipped: no folder "shared" beside the checkout]`, body);
}

/** The U8 and F32 tensors of a small safetensors file; read when first asked for, since skipped suites are defined too. */
export function readReference(path: string): (name: string) => { shape: number[]; data: Uint8Array | Float32Array } {
  let file: Buffer | undefined;
  return (name) => {
    file ??= readFileSync(sharedPath(path));
    const start = 8 + Number(file.readBigUInt64LE(0));
    const { dtype, shape, data_offsets } = JSON.parse(file.toString('utf8', 8, start))[name];
    // A copy, because a Float32Array must start at a multiple of 4.
    const bytes = Uint8Array.from(file.subarray(start + data_offsets[0], start + data_offsets[1]));
    return { shape, data: dtype === 'F32' ? new Float32Array(bytes.buffer) : bytes };
  };
}

export const REFERENCE_IMAGES = [
  'photo_500x375.jpg',
  'exif6_375x500.jpg',
  'gray_28x28.png',
  'cifar_32x32.jpg',
  'rgba_640x480.png',
  'cmyk_180x240.jpg',
];
