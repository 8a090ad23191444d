// Reads and changes small float32 safetensors files, independently of the package under test.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** What differs between two files: keys in their order, dtypes, shapes, values by more than `atol`. */
export function tensorProblems(actualPath, expectedPath, atol) {
  if (!existsSync(actualPath)) return ['it was not written'];
  const actual = readTensors(actualPath);
  const expected = readTensors(expectedPath);
  const keys = [...actual.keys()].join(', ');
  const expectedKeys = [...expected.keys()].join(', ');
  if (keys !== expectedKeys) return [`it has the keys ${keys}, expected ${expectedKeys}`];
  const problems = [];
  for (const [key, { form, values }] of expected) {
    const own = actual.get(key);
    if (own.form !== form) {
      problems.push(`${key} is ${own.form}, expected ${form}`);
      continue;
    }
    const largest = values.reduce((most, value, i) => Math.max(most, Math.abs(own.values[i] - value)), 0);
    if (!(largest <= atol)) problems.push(`${key} differs by ${largest}`);
  }
  return problems;
}

/** Rewrites a file of float32 tensors as bfloat16: the upper half of each number. */
export function cutToBfloat16(path) {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start));
  for (const tensor of Object.values(header).filter(({ dtype }) => dtype === 'F32')) {
    tensor.dtype = 'BF16';
    tensor.data_offsets = tensor.data_offsets.map((offset) => offset / 2);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const upper = bytes.subarray(start).filter((_, i) => i % 4 >= 2);
  writeFileSync(path, Buffer.concat([length, json, upper]));
}

function readTensors(path) {
  const bytes = readFileSync(path);
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength));
  const tensors = Object.entries(header).filter(([key]) => key !== '__metadata__');
  return new Map(
    tensors.map(
      ([
        key,
        {
          dtype,
          shape,
          data_offsets: [start, end],
        },
      ]) => {
        const data = bytes.subarray(8 + headerLength + start, 8 + headerLength + end);
        const values =
          dtype === 'F32' ? Array.from({ length: data.length / 4 }, (_, i) => data.readFloatLE(4 * i)) : [];
        return [key, { form: `${dtype} [${shape}]`, values }];
      },
    ),
  );
}
