import { RuntimeError } from './error.ts';

/** A weight whose bytes lie in a file. */
export interface ExternalTensor {
  readonly name: string;
  readonly location: string;
  readonly offset: number;
  /** undefined: to the end of the file */
  readonly length: number | undefined;
}

/** All tensors of a model with external data, those of subgraphs and functions included. */
export function externalTensors(model: Uint8Array): ExternalTensor[] {
  const found: ExternalTensor[] = [];
  rewriteModel(model, (tensor) => {
    found.push(tensor);
    return tensor.location;
  });
  return found;
}

/** The same model with other external data locations; it is not decoded, so that nothing else can change. */
export function relocateExternalData(model: Uint8Array, relocate: (location: string) => string): Uint8Array {
  return rewriteModel(model, ({ location }) => relocate(location));
}

/**
 * @param size of the file or content of a location, in bytes
 * @throws {RuntimeError} `EXTERNAL_FILE_TOO_SHORT` when one of `tensors`, which lie there, would end behind it
 */
export function assertLongEnough(
  tensors: readonly ExternalTensor[],
  path: string,
  size: number,
  label: string | undefined,
): void {
  const truncated = tensors.find(({ offset, length = 0 }) => offset + length > size);
  if (!truncated) return;
  const { name, offset, length = 0 } = truncated;
  throw new RuntimeError(
    'EXTERNAL_FILE_TOO_SHORT',
    `${path} has ${size} bytes, but weight "${name}" should end at byte ${offset + length}.`,
    'The file is truncated or another one: copy or download it again.',
    { label, path, tensor: name },
  );
}

type Kind = 'model' | 'graph' | 'node' | 'attribute' | 'function' | 'sparse' | 'tensor';

/** Where tensors can be inside ONNX's messages: field number and what it holds (onnx.proto, IR 10). */
const fields: Readonly<Record<Kind, Readonly<Record<number, Kind>>>> = {
  model: { 7: 'graph', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  function: { 7: 'node', 11: 'attribute' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: {},
};

/** Fields of TensorProto and of the StringStringEntryProto in its `external_data`. */
const tensorName = 8;
const tensorExternalData = 13;
const entryKey = 1;
const entryValue = 2;

/** Subgraphs in subgraphs; more than any exporter writes, less than the stack. */
const deepest = 64;

type Visit = (tensor: ExternalTensor) => string;

function rewriteModel(model: Uint8Array, visit: Visit): Uint8Array {
  return rewrite(model, 'model', visit, 0);
}

function rewrite(message: Uint8Array, kind: Kind, visit: Visit, depth: number): Uint8Array {
  if (depth > deepest * 3) throw invalid('its graphs are nested too deeply');
  if (kind === 'tensor') return rewriteTensor(message, visit);
  return rewriteFields(message, (number, value) => {
    const inner = fields[kind][number];
    return inner ? rewrite(value, inner, visit, depth + 1) : value;
  });
}

function rewriteTensor(message: Uint8Array, visit: Visit): Uint8Array {
  const entries = new Map<string, string>();
  let name = '';
  rewriteFields(message, (number, value) => {
    if (number === tensorName) name = text(value);
    if (number === tensorExternalData) entries.set(...readEntry(value));
    return value;
  });
  const location = entries.get('location');
  if (location === undefined) return message;
  const length = entries.get('length');
  const moved = visit({
    name,
    location,
    offset: toCount(name, 'offset', entries.get('offset') ?? '0'),
    length: length === undefined ? undefined : toCount(name, 'length', length),
  });
  if (moved === location) return message;
  return rewriteFields(message, (number, value) => {
    if (number !== tensorExternalData || readEntry(value)[0] !== 'location') return value;
    return rewriteFields(value, (field, old) => (field === entryValue ? new TextEncoder().encode(moved) : old));
  });
}

function readEntry(message: Uint8Array): [key: string, value: string] {
  let key = '';
  let content = '';
  rewriteFields(message, (number, value) => {
    if (number === entryKey) key = text(value);
    if (number === entryValue) content = text(value);
    return value;
  });
  return [key, content];
}

function toCount(name: string, key: string, digits: string): number {
  const count = Number(digits);
  if (/^\d+$/.test(digits) && Number.isSafeInteger(count)) return count;
  throw invalid(`weight "${name}" has the ${key} "${digits}"`);
}

/**
 * Calls `change` for each length-delimited field and puts what it returns in its place. Returns `message` itself where
 * nothing changes.
 */
function rewriteFields(message: Uint8Array, change: (number: number, value: Uint8Array) => Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let copied = 0;
  for (let at = 0; at < message.length;) {
    const tag = readVarint(message, at);
    const number = Math.floor(tag.value / 8);
    const wire = tag.value % 8;
    if (wire !== 2) {
      at = skip(message, tag.end, wire);
      continue;
    }
    const size = readVarint(message, tag.end);
    const end = size.end + size.value;
    if (end > message.length) throw invalid('it ends inside a field');
    const value = message.subarray(size.end, end);
    const changed = change(number, value);
    if (changed !== value) {
      parts.push(message.subarray(copied, tag.end), varint(changed.length), changed);
      copied = end;
    }
    at = end;
  }
  if (copied === 0) return message;
  return concat([...parts, message.subarray(copied)]);
}

/** The end of a field that is not length-delimited; groups are not part of proto3. */
function skip(message: Uint8Array, at: number, wire: number): number {
  const end = wire === 0 ? readVarint(message, at).end : wire === 1 ? at + 8 : wire === 5 ? at + 4 : Infinity;
  if (end > message.length) throw invalid('it ends inside a field or has an unknown wire type');
  return end;
}

function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0;
  let scale = 1;
  for (let at = start; at < bytes.length && at < start + 10; at++, scale *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte & 127) * scale;
    if (byte < 128) return { value, end: at + 1 };
  }
  throw invalid('it ends inside a number');
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Uint8Array.from([...bytes, value]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const decoder = new TextDecoder();
const text = (bytes: Uint8Array): string => decoder.decode(bytes);

const invalid = (found: string): RuntimeError =>
  new RuntimeError(
    'INVALID_MODEL',
    `the model is not an ONNX file: ${found}.`,
    'Build it anew or check how it was copied.',
  );
