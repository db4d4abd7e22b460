/**
 * Parquet files that hold images and labels, as the Hugging Face hub keeps data sets. The only file that imports hyparquet,
 * which reads the format without a native part.
 */
import zlib from 'node:zlib';
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { IdatError } from '../../errors.js';
import type { RandomAccess } from '../file-tree.js';

export interface ParquetImages {
  rows: number;
  /** Of each row: a position among `classNames`, a number or a word; null for none. */
  labels: (number | string | null)[];
  /** As the hub's metadata name the labels; null where they do not. */
  classNames: string[] | null;
  /** A row's image as the bytes of a file. Neighbours are cheap: rows are decoded in groups, and the last ones are kept. */
  image(row: number): Promise<Uint8Array>;
}

/** Groups of rows that are kept decoded: a loader asks for a few neighbours at a time. */
const GROUPS_KEPT = 2;
const LABEL_COLUMNS = ['label', 'labels', 'fine_label', 'class', 'category', 'target'];

/** @throws IdatError `data.parquet.broken`, `data.parquet.columns`; from `image` also `data.parquet.image` */
export async function openParquet(source: string, access: RandomAccess): Promise<ParquetImages> {
  const slice = (start: number, end?: number) => {
    const part = access.slice(start, end);
    // hyparquet asks ahead, and forgets what it asked for when something else fails
    part.catch(() => {});
    return part;
  };
  const file: AsyncBuffer = { byteLength: access.bytes, slice };
  const metadata = await explained(source, () => parquetMetadataAsync(file));
  const { imageColumn, labelColumn, classNames } = columnsOf(metadata, source);
  const read = async (column: string, rowStart: number, rowEnd: number): Promise<unknown[]> => {
    const options = { file, metadata, columns: [column], rowStart, rowEnd, compressors: COMPRESSORS, utf8: false };
    const rows = await explained(source, () => parquetReadObjects(options));
    return rows.map((row) => row[column]);
  };
  const rows = Number(metadata.num_rows);
  const labels = (await read(labelColumn, 0, rows)).map(labelOf);
  const starts = startsOf(metadata);
  const kept = new Map<number, Promise<unknown[]>>();
  const group = (index: number): Promise<unknown[]> => {
    const decoded = kept.get(index) ?? read(imageColumn, starts[index]!, starts[index + 1]!);
    kept.delete(index);
    kept.set(index, decoded); // the last one asked for stays longest
    for (const oldest of kept.keys()) if (kept.size > GROUPS_KEPT) kept.delete(oldest);
    return decoded;
  };
  return {
    rows,
    labels,
    classNames,
    image: async (row) => {
      const index = starts.findIndex((start) => start > row) - 1;
      const value = (await group(index))[row - starts[index]!];
      const bytes = value instanceof Uint8Array ? value : (value as { bytes?: unknown } | null)?.bytes;
      if (bytes instanceof Uint8Array) return bytes;
      throw new IdatError('data.parquet.image', `${source}, row ${row}: holds no bytes of an image`);
    },
  };
}

const labelOf = (value: unknown): number | string | null => {
  if (typeof value === 'bigint' || typeof value === 'number') return Number(value) < 0 ? null : Number(value);
  return typeof value === 'string' && value !== '' ? value : null;
};

/** The first row of each group, and behind them the number of rows. */
function startsOf({ row_groups: groups }: FileMetaData): number[] {
  const starts = [0];
  for (const { num_rows: rows } of groups) starts.push(starts.at(-1)! + Number(rows));
  return starts;
}

const unzip = (inflate: (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array) => {
  return (bytes: Uint8Array, length: number) => inflate(bytes, { maxOutputLength: Math.max(1, length) });
};
/** Node knows Zstandard from 22.15 on. */
const { zstdDecompressSync } = zlib as { zstdDecompressSync?: typeof zlib.gunzipSync };
const COMPRESSORS: Compressors = {
  GZIP: unzip(zlib.gunzipSync),
  BROTLI: unzip(zlib.brotliDecompressSync),
  ...(zstdDecompressSync && { ZSTD: unzip(zstdDecompressSync) }),
};

interface Columns {
  imageColumn: string;
  labelColumn: string;
  classNames: string[] | null;
}

function columnsOf(metadata: FileMetaData, source: string): Columns {
  const { children } = parquetSchema(metadata);
  const features = featuresOf(metadata);
  const named = (type: string) => Object.keys(features).filter((name) => features[name]?._type === type);
  const names = children.map(({ element }) => element.name);
  const structs = children.filter((column) => column.children.some(({ element }) => element.name === 'bytes'));
  const images = named('Image').filter((name) => names.includes(name));
  const imageColumn = images[0] ?? structs[0]?.element.name;
  const classLabels = named('ClassLabel').filter((name) => names.includes(name));
  const labelColumn =
    LABEL_COLUMNS.find((name) => (classLabels.length > 0 ? classLabels : names).includes(name)) ??
    (classLabels.length === 1 ? classLabels[0] : undefined);
  if (imageColumn === undefined || labelColumn === undefined) {
    const lacks = imageColumn === undefined ? 'images (a column of bytes)' : `labels (a column "label")`;
    throw new IdatError('data.parquet.columns', `${source}: has no ${lacks}; it has ${names.join(', ')}`);
  }
  const classNames = features[labelColumn]?.names;
  const usable = Array.isArray(classNames) && classNames.every((name) => typeof name === 'string');
  return { imageColumn, labelColumn, classNames: usable ? classNames.map((name) => name.normalize('NFC')) : null };
}

type Features = Record<string, { _type?: unknown; names?: unknown } | undefined>;

/** What the hub's own library wrote of the columns. @see datasets' Features, under the key `huggingface` */
function featuresOf({ key_value_metadata: pairs = [] }: FileMetaData): Features {
  try {
    const text = pairs.find(({ key }) => key === 'huggingface')?.value;
    const features = JSON.parse(text ?? '{}')?.info?.features;
    return typeof features === 'object' && features !== null ? features : {};
  } catch {
    return {};
  }
}

async function explained<T>(source: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof IdatError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const advice = /ZSTD/.test(reason) ? 'Node.js reads Zstandard from 22.15 on' : 'fetch or write it again';
    throw new IdatError('data.parquet.broken', `${source}: cannot be read (${reason}); ${advice}`, { cause: error });
  }
}
