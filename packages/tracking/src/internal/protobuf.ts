/** One encoded field of a protobuf message; a message is its fields, one behind the other. */
export type Field = Uint8Array;

/** Fields of a message in the order given. */
export function message(...fields: readonly Field[]): Uint8Array {
  const whole = new Uint8Array(fields.reduce((sum, field) => sum + field.length, 0));
  let at = 0;
  for (const field of fields) {
    whole.set(field, at);
    at += field.length;
  }
  return whole;
}

/** An integer from 0 to 2^53 − 1, seven bits a byte. */
export function varint(number: number, value: number): Field {
  return Uint8Array.from([...digits(number << 3), ...digits(value)]);
}

export function double(number: number, value: number): Field {
  const field = new Uint8Array(9);
  field[0] = (number << 3) | 1;
  new DataView(field.buffer).setFloat64(1, value, true);
  return field;
}

export function float(number: number, value: number): Field {
  const field = new Uint8Array(5);
  field[0] = (number << 3) | 5;
  new DataView(field.buffer).setFloat32(1, value, true);
  return field;
}

export function bytes(number: number, value: Uint8Array): Field {
  return message(Uint8Array.from([...digits((number << 3) | 2), ...digits(value.length)]), value);
}

export function text(number: number, value: string): Field {
  return bytes(number, new TextEncoder().encode(value));
}

/** Base-128 digits, lowest first, each but the last marked; divides because shifts end at 32 bits. */
function digits(value: number): number[] {
  const found: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...found, rest];
    found.push((rest % 128) + 128);
  }
}
