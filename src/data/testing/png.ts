/**
 * PNG files byte by byte, for tests that need what no encoder would write: odd bit depths, sizes that are lies.
 */
import zlib, { deflateSync } from 'node:zlib';

/**
 * @param colourType 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGB and alpha
 * @param scanlines each row's filter byte (0) and samples; may be fewer than the header promises
 */
export function craftPng(
  header: { width: number; height: number; bitDepth: number; colourType: number },
  scanlines: number[],
  extraChunks: { type: string; data: number[] }[] = [],
): Buffer {
  const ihdr = Buffer.alloc(13);
  ihdr.writeUInt32BE(header.width, 0);
  ihdr.writeUInt32BE(header.height, 4);
  ihdr[8] = header.bitDepth;
  ihdr[9] = header.colourType;
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', ihdr),
    ...extraChunks.map(({ type, data }) => chunk(type, Buffer.from(data))),
    chunk('IDAT', deflateSync(Buffer.from(scanlines))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(4), Buffer.from(type, 'latin1'), data, Buffer.alloc(4)]);
  bytes.writeUInt32BE(data.length, 0);
  bytes.writeUInt32BE(zlib.crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}
