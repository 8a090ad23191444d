/** A field of a protobuf message: what varints hold as a number, everything else as its bytes. */
export interface ProtobufField {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/**
 * Fields of a message in their order.
 *
 * @throws {RangeError} when the message ends early or is none
 */
export function* protobufFields(message: Uint8Array): Iterable<ProtobufField> {
  let at = 0;
  const varint = () => {
    for (let value = 0, scale = 1; scale < 2 ** 70; scale *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw new RangeError('the file ends early');
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError('a number has more than 10 bytes');
  };
  while (at < message.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    const kind = key % 8;
    if (kind === 0) {
      yield { number, value: varint() };
      continue;
    }
    const size = kind === 2 ? varint() : fixedSizes[kind];
    if (size === undefined || number === 0) throw new RangeError(`field ${number} is of unknown kind ${kind}`);
    if (size > message.length - at) throw new RangeError('the file ends early');
    yield { number, value: message.subarray(at, at + size) };
    at += size;
  }
}

const fixedSizes: Readonly<Record<number, number>> = { 1: 8, 5: 4 };
