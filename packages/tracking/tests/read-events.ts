/** A value of an event's summary. */
export interface ReadValue {
  readonly tag: string;
  readonly simpleValue: number | null;
  readonly plugin: { readonly name: string; readonly content: Uint8Array } | null;
}

export interface ReadEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly fileVersion: string | null;
  readonly writer: string | null;
  readonly values: readonly ReadValue[];
  /** The event as it is stored. */
  readonly bytes: Uint8Array;
}

/** A decoded field of a protobuf message. */
type ReadField = { readonly number: number; readonly value: number | Uint8Array };

/** Reads an event file and checks every checksum. Independent of the writer: it shares no code with it. */
export function readEvents(file: Uint8Array): ReadEvent[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const events: ReadEvent[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(view.getBigUint64(at, true));
    if (view.getUint32(at + 8, true) !== mask(slowCrc(file.subarray(at, at + 8)))) {
      throw new Error(`The checksum of the length at ${at} is wrong.`);
    }
    const bytes = file.subarray(at + 12, at + 12 + length);
    if (view.getUint32(at + 12 + length, true) !== mask(slowCrc(bytes))) {
      throw new Error(`The checksum of the event at ${at} is wrong.`);
    }
    events.push(readEvent(bytes));
    at += length + 16;
  }
  return events;
}

/** All numbers of a file, in order. */
export function readScalars(file: Uint8Array): [tag: string, step: number, value: number][] {
  return readEvents(file).flatMap(({ step, values }) =>
    values.flatMap(({ tag, simpleValue }) =>
      simpleValue === null ? [] : ([[tag, step, simpleValue]] as [string, number, number][]),
    ),
  );
}

/** Kinds and values of the hyperparameters in a file. */
export function readHyperparameters(file: Uint8Array): {
  kinds: Record<string, number>;
  values: Record<string, number | string>;
  status: number;
} {
  const contents = new Map(
    readEvents(file).flatMap(({ values }) => values.map(({ tag, plugin }) => [tag, plugin?.content ?? null] as const)),
  );
  const content = (tag: string, field: number) => part(contents.get(tag) ?? new Uint8Array(0), field)[0];
  const experiment = asBytes(content('_hparams_/experiment', 2));
  const session = asBytes(content('_hparams_/session_start_info', 3));
  const end = asBytes(content('_hparams_/session_end_info', 4));
  return {
    kinds: Object.fromEntries(
      part(experiment, 4).map((info) => [textOf(part(asBytes(info), 1)[0]), Number(part(asBytes(info), 4)[0])]),
    ),
    values: Object.fromEntries(
      part(session, 1).map((entry) => {
        const [value] = fields(asBytes(part(asBytes(entry), 2)[0]));
        return [textOf(part(asBytes(entry), 1)[0]), value?.number === 3 ? textOf(value.value) : Number(value?.value)];
      }),
    ),
    status: Number(part(end, 1)[0]),
  };
}

function readEvent(bytes: Uint8Array): ReadEvent {
  const [version] = part(bytes, 3);
  const [source] = part(bytes, 10);
  return {
    wallTime: Number(part(bytes, 1)[0]),
    step: Number(part(bytes, 2)[0] ?? 0),
    fileVersion: version === undefined ? null : textOf(version),
    writer: source === undefined ? null : textOf(part(asBytes(source), 1)[0]),
    values: part(bytes, 5).flatMap((summary) => part(asBytes(summary), 1).map((value) => readValue(asBytes(value)))),
    bytes,
  };
}

function readValue(bytes: Uint8Array): ReadValue {
  const [simple] = part(bytes, 2);
  const [metadata] = part(bytes, 9);
  const [plugin] = metadata === undefined ? [] : part(asBytes(metadata), 1);
  return {
    tag: textOf(part(bytes, 1)[0]),
    simpleValue: simple === undefined ? null : Number(simple),
    plugin:
      plugin === undefined
        ? null
        : { name: textOf(part(asBytes(plugin), 1)[0]), content: asBytes(part(asBytes(plugin), 2)[0]) },
  };
}

const part = (bytes: Uint8Array, number: number) =>
  fields(bytes).flatMap((field) => (field.number === number ? [field.value] : []));

function fields(bytes: Uint8Array): ReadField[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: ReadField[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('A number is cut off.');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(value);
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    switch (key % 8) {
      case 0:
        found.push({ number, value: varint() });
        break;
      case 1:
        found.push({ number, value: view.getFloat64(at, true) });
        at += 8;
        break;
      case 2: {
        const length = varint();
        if (at + length > bytes.length) throw new Error('A field is cut off.');
        found.push({ number, value: bytes.subarray(at, at + length) });
        at += length;
        break;
      }
      case 5:
        found.push({ number, value: view.getFloat32(at, true) });
        at += 4;
        break;
      default:
        throw new Error(`A field has the unknown kind ${key % 8}.`);
    }
  }
  return found;
}

function asBytes(value: number | Uint8Array | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new Error('A field is missing or a number.');
}

const textOf = (value: number | Uint8Array | undefined): string => new TextDecoder().decode(asBytes(value));

/** Bit by bit, as polynomial division is defined. */
function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x82f63b78n : crc >> 1n;
  }
  return Number(crc ^ 0xffffffffn);
}

const mask = (crc: number): number =>
  Number((((BigInt(crc) >> 15n) | (BigInt(crc) << 17n)) + 0xa282ead8n) & 0xffffffffn);
