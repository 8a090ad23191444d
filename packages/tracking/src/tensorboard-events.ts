import { maskedCrc32c } from './crc32c.ts';
import { bytes, double, float, message, text, varint } from './internal/protobuf.ts';

/** A number at a step of a TensorBoard chart. */
export interface ScalarPoint {
  /** Name of the chart, e.g. `loss/current`. */
  readonly tag: string;
  /** Stored as float32. */
  readonly value: number;
  /** Whole, at least 0. */
  readonly step: number;
}

/**
 * The first event of a file: which format it has, and who wrote it.
 *
 * @param wallTime Unix seconds
 */
export function versionEvent(wallTime: number): Uint8Array {
  const writer = message(text(1, 'tensorboard.summary.writer.event_file_writer'));
  return message(double(1, wallTime), text(3, 'brain.Event:2'), bytes(10, writer));
}

/**
 * The event of one number. Step 0 is left out, being the default of the field.
 *
 * @param wallTime Unix seconds
 */
export function scalarEvent(wallTime: number, { tag, value, step }: ScalarPoint): Uint8Array {
  return summaryEvent(wallTime, message(text(1, tag), float(2, value)), step);
}

/** An event around one value of a summary. */
export function summaryEvent(wallTime: number, value: Uint8Array, step = 0): Uint8Array {
  const summary = message(bytes(1, value));
  return message(double(1, wallTime), ...(step === 0 ? [] : [varint(2, step)]), bytes(5, summary));
}

/**
 * An event as a file holds it (TFRecord): its length as 64 bits, the masked CRC of those 8 bytes, the event, its masked
 * CRC, all little-endian.
 */
export function eventRecord(event: Uint8Array): Uint8Array {
  const record = new Uint8Array(event.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(event.length), true);
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true);
  record.set(event, 12);
  view.setUint32(12 + event.length, maskedCrc32c(event), true);
  return record;
}

/** `events.out.tfevents.<unix seconds>.<host>.<process id>.<counter>`; TensorBoard looks for the first part. */
export function eventFileName(file: { unixSeconds: number; host: string; pid: number; counter: number }): string {
  // A host may carry any name, a file may not.
  const host = file.host.replace(/[^\w.-]/g, '_') || 'host';
  return `events.out.tfevents.${Math.floor(file.unixSeconds)}.${host}.${file.pid}.${file.counter}`;
}
