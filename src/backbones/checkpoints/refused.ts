/**
 * Checkpoints that idat does not open, each with what turns it into one it does. Pickles are programs: whoever opens one runs
 * it, so idat never does.
 */
import { IdatError, printable } from '../../errors.js';

/** Whether a file begins as safetensors do: a header's length, of which the upper half is 0, and its brace. */
export const isSafetensors = (head: Uint8Array): boolean =>
  head[8] === 0x7b && head.subarray(4, 8).every((byte) => byte === 0);

interface RefusedFormat {
  readonly title: string;
  /** @param head the first bytes of the file @param path its path, for what bytes do not tell */
  recognises(head: Uint8Array, path: string): boolean;
  /** What to do, in a sentence that ends with the line to type. */
  advice(path: string): string;
}

const startsWith = (head: Uint8Array, ...bytes: number[]): boolean => bytes.every((byte, i) => head[i] === byte);
const textAt = (head: Uint8Array, offset: number, text: string): boolean =>
  String.fromCharCode(...head.subarray(offset, offset + text.length)) === text;
/**
 * As one word of a POSIX shell, whatever is in it. Names come from strangers and the line is there to be copied: within
 * double quotes a `$(…)` in a name would be run.
 */
const shellWord = (path: string): string => `'${path.replaceAll("'", "'\\''")}'`;

/** With weights_only=True torch refuses to run what is not a tensor. */
export const pickleAdvice = (path: string): string => {
  const out = `${path.replace(/\.(pth|pt|bin|ckpt|tar|pkl)$/, '')}.safetensors`;
  const script = [
    'import sys, torch, safetensors.torch as st',
    "d = torch.load(sys.argv[1], map_location='cpu', weights_only=True)",
    "d = d.get('model', d.get('state_dict', d))",
    'st.save_file({k: v.clone().contiguous() for k, v in d.items() if torch.is_tensor(v)}, sys.argv[2])',
  ].join('; ');
  return `convert it once (pip install torch safetensors): python -c "${script}" ${shellWord(path)} ${shellWord(out)}`;
};

const transformersAdvice = (path: string, from: string, needs: string): string => {
  const folder = path.replace(/[^\\/]*$/, '') || '.';
  const script = [
    'import sys; from transformers import AutoModelForImageClassification as M',
    `M.from_pretrained(sys.argv[1], ${from}=True).save_pretrained(sys.argv[1])`,
  ].join('; ');
  return `convert it once (pip install 'transformers<5' torch ${needs}): python -c "${script}" ${shellWord(folder)}`;
};

const FORMATS: readonly RefusedFormat[] = [
  {
    title: 'a PyTorch pickle, which is a program rather than data',
    recognises: (head) => head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5,
    advice: pickleAdvice,
  },
  {
    title: 'a tar archive, the oldest form of a PyTorch pickle',
    recognises: (head) => textAt(head, 257, 'ustar'),
    advice: pickleAdvice,
  },
  {
    title: 'an HDF5 file (TensorFlow, Keras)',
    recognises: (head) => startsWith(head, 0x89, 0x48, 0x44, 0x46),
    advice: (path) => transformersAdvice(path, 'from_tf', 'tensorflow'),
  },
  {
    title: 'a msgpack file (Flax)',
    recognises: (head, path) => /\.msgpack$/i.test(path) || (head[0]! > 0x80 && head[0]! < 0x90 && head[1]! >= 0xa1),
    advice: (path) => transformersAdvice(path, 'from_flax', 'flax'),
  },
  {
    title: 'a file packed by gzip',
    recognises: (head) => startsWith(head, 0x1f, 0x8b),
    advice: (path) => `unpack it: gunzip ${shellWord(path)}`,
  },
  {
    title: 'an ONNX model',
    recognises: (_, path) => /\.onnx$/i.test(path),
    advice: () => 'give the checkpoint it was exported from',
  },
  {
    title: 'a part of a TensorFlow checkpoint',
    recognises: (_, path) => /\.ckpt\.(index|meta|data-.*)$|(^|[\\/])checkpoint$/i.test(path),
    advice: () => 'get the model as .safetensors, or Google’s ViT as .npz',
  },
];

/** @throws IdatError `backbone.format` when the first bytes are those of a format that has to be converted first */
export function refuseOtherFormats(head: Uint8Array, path: string): void {
  const format = FORMATS.find(({ recognises }) => recognises(head, path));
  if (format) throw refusal(path, format.title, format.advice(path));
}

/** A zip without arrays. */
export function refusedZip(path: string, names: readonly string[]): IdatError {
  if (names.some((name) => /(^|\/)data\.pkl$/.test(name))) {
    return refusal(path, 'a PyTorch pickle, which is a program rather than data', pickleAdvice(path));
  }
  if (names.some((name) => name.endsWith('.h5'))) {
    return refusal(path, 'a Keras archive', 'get the model as .safetensors');
  }
  const found = names[0] === undefined ? 'it is empty' : `it holds ${printable(names[0])}`;
  return refusal(path, `a zip without arrays of NumPy (${found})`, 'give the .npz or .safetensors file itself');
}

const refusal = (path: string, title: string, advice: string): IdatError =>
  new IdatError('backbone.format', `${path}: is ${title}; idat reads .safetensors and .npz: ${advice}`);
