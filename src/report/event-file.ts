/**
 * Event files of TensorBoard: the curves of a run as scalars by epoch.
 *
 * A file is records (TFRecord: length, checksum, data, checksum), each an `Event` of TensorFlow's event.proto: fields 1 wall_time,
 * 2 step, 3 file_version, 5 summary; a summary's values have field 1, of which 1 is the tag and 2 the number. All events of an
 * epoch depend on its line alone, so that a longer run's file begins with the shorter one's.
 *
 * @see https://www.tensorflow.org/tutorials/load_data/tfrecord for the records
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { EpochMetrics, EpochTiming } from '../settings/record.js';

/** What the curves are called. */
type Scalars = Readonly<Record<string, number>>;

/** Without what was not measured. Epochs in which the length was chosen have names of their own. */
function scalarsOf({ phase, loss, trainAccuracy, teacherTrainAccuracy, lr, ...line }: EpochMetrics): Scalars {
  const taught = teacherTrainAccuracy !== null;
  const values: Record<string, number | null | undefined> = {
    'loss/student': loss.student,
    'loss/teacher': taught ? loss.teacher : null,
    'loss/distill': taught ? loss.distill : null,
    'loss/total': loss.total,
    'accuracy/train': trainAccuracy,
    'accuracy/teacher-train': teacherTrainAccuracy,
    'accuracy/val': line.valAccuracy,
    'accuracy/test': line.testAccuracy,
    agreement: line.agreement,
    lr,
  };
  const measured = Object.entries(values).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
  return Object.fromEntries(measured.map(([name, value]) => [phase === 'select' ? `select/${name}` : name, value]));
}

/**
 * The bytes of an event file. Steps are epochs, counted from 1.
 * @param start when the run began, in seconds since 1970; epochs follow at the times that they took
 */
export function eventFile(
  metrics: readonly EpochMetrics[],
  timings: readonly EpochTiming[],
  start: number,
): Uint8Array {
  const records = [record(encodeEvent(start, 0, { version: 'brain.Event:2' }))];
  let time = start;
  for (const line of metrics) {
    time += timings.find(({ phase, epoch }) => phase === line.phase && epoch === line.epoch)?.seconds ?? 0;
    records.push(record(encodeEvent(time, line.epoch + 1, { scalars: scalarsOf(line) })));
  }
  const bytes = new Uint8Array(records.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const one of records) {
    bytes.set(one, at);
    at += one.length;
  }
  return bytes;
}

function encodeEvent(time: number, step: number, what: { version: string } | { scalars: Scalars }): Uint8Array {
  const w = new BinaryWriter();
  w.tag(1, WireType.Bit64).double(time);
  if (step !== 0) w.tag(2, WireType.Varint).int64(step); // as everybody writes it who has proto3
  if ('version' in what) return w.tag(3, WireType.LengthDelimited).string(what.version).finish();
  w.tag(5, WireType.LengthDelimited).fork();
  for (const [tag, value] of Object.entries(what.scalars)) {
    w.tag(1, WireType.LengthDelimited).fork();
    w.tag(1, WireType.LengthDelimited).string(tag);
    w.tag(2, WireType.Bit32).float(value);
    w.join();
  }
  return w.join().finish();
}

/** Length, its checksum, the data and theirs. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedChecksum(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedChecksum(data), true);
  return bytes;
}

/** CRC-32C (Castagnoli), bits reversed. */
const POLYNOMIAL = 0x82f63b78;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

/** @see RFC 3720, appendix B.4, for values to check it by */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}

/** As records store it: turned by 15 bits and moved by a constant. */
function maskedChecksum(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
