import type { RuntimeErrorCode, RuntimeErrorFacts } from './error.ts';

import { RuntimeError, isRuntimeError } from './error.ts';

interface Pattern {
  readonly pattern: RegExp;
  readonly code: RuntimeErrorCode;
  readonly remedy: string;
}

const report = 'Please report it with this message.';
const otherVersion = 'Install onnxruntime-node 1.30.0; if it is installed, please report it with this message.';

/** What ONNX Runtime 1.30 says, by the first pattern that fits. Named groups become facts of the error. */
const patterns: readonly Pattern[] = [
  {
    pattern:
      /requested buffer of size (?<bytes>\d+)|bad_?alloc|allocation failed|out of memory|Invalid typed array length/i,
    code: 'OUT_OF_MEMORY',
    remedy: 'Lower the resolution, the number of frames or the batch size, or turn on gradient_checkpointing.',
  },
  {
    pattern: /External data path does not exist: "(?<path>[^"]*)"/,
    code: 'EXTERNAL_FILE_MISSING',
    remedy: 'Check externalDataFolder and the location in the model.',
  },
  {
    pattern: /External initializer: (?<tensor>\S+) offset: .* out of bounds/,
    code: 'EXTERNAL_FILE_TOO_SHORT',
    remedy: 'The file is truncated or another one: copy or download it again.',
  },
  {
    pattern:
      /External data path validation failed for initializer: (?<tensor>\S+)\. |External file: (?<path>.+) not found from/,
    code: 'EXTERNAL_FILE_REFUSED',
    remedy: 'Give the folder as externalDataFolder, files elsewhere in externalFiles, or all contents in externalData.',
  },
  {
    pattern: /Failed to load shared library|backend not found|no available backend/,
    code: 'PROVIDER_UNAVAILABLE',
    remedy: 'Use the provider "cpu", or install what the provider needs.',
  },
  {
    pattern: /\("(?<node>[^"]*)", (?<operator>\w+), .*No Op registered for/s,
    code: 'OPERATOR_UNSUPPORTED',
    remedy: otherVersion,
  },
  {
    pattern: /(?<operator>[\w.]+:\w+)\(-?\d+\) is not a registered function\/op/,
    code: 'OPERATOR_UNSUPPORTED',
    remedy: otherVersion,
  },
  {
    pattern: /Could not find an implementation for (?<operator>\w+)\(\d+\) node with name '(?<node>[^']*)'/,
    code: 'OPERATOR_UNSUPPORTED',
    remedy: otherVersion,
  },
  {
    pattern: /of operator \((?<operator>\w+)\) in node \((?<node>[^)]*)\) is invalid/,
    code: 'OPERATOR_UNSUPPORTED',
    remedy: otherVersion,
  },
  {
    pattern: /Unsupported data type/,
    code: 'DTYPE_UNSUPPORTED',
    remedy: 'Inputs and outputs of a graph cannot be bfloat16 or float8: cast them.',
  },
  {
    pattern: /protobuf parsing failed|Model data pointer is null/,
    code: 'INVALID_MODEL',
    remedy: 'Build the model anew.',
  },
  { pattern: /Node \((?<node>.*?)\) Op \((?<operator>\w+)\) /, code: 'INVALID_MODEL', remedy: report },
  { pattern: /invalid model|model_load_utils/i, code: 'INVALID_MODEL', remedy: report },
  {
    pattern: /running (?<operator>\w+) node\. Name:'(?<node>[^']*)'/,
    code: 'RUN_FAILED',
    remedy: 'Check the shapes of the feeds against each other; if they are right, please report it.',
  },
];

/** In a message of a run, whatever the reason. */
const failedNode = /running (?<operator>\w+) node\. Name:'(?<node>[^']*)'/;

/**
 * A RuntimeError for what ONNX Runtime threw, with the node and file that its text names; the original is the `cause`.
 *
 * @param otherwise code for a text that is not known
 */
export function explain(
  error: unknown,
  otherwise: 'CREATE_FAILED' | 'RUN_FAILED',
  facts: RuntimeErrorFacts,
): RuntimeError {
  if (isRuntimeError(error)) return error;
  const message = clean(error instanceof Error ? error.message : String(error));
  for (const { pattern, code, remedy } of patterns) {
    const groups = pattern.exec(message)?.groups;
    if (!pattern.test(message)) continue;
    const { bytes, ...named } = { ...failedNode.exec(message)?.groups, ...defined(groups) };
    const about = { ...facts, ...named, ...(bytes === undefined ? {} : { bytes: Number(bytes) }) };
    return new RuntimeError(code, found(code, message, about), remedy, about, { cause: error });
  }
  return new RuntimeError(otherwise, `ONNX Runtime says: ${message}`, report, facts, { cause: error });
}

function found(code: RuntimeErrorCode, message: string, { node, operator, bytes }: RuntimeErrorFacts): string {
  const where = node ? ` in node ${node}${operator ? ` (${operator})` : ''}` : operator ? ` for ${operator}` : '';
  if (code === 'OUT_OF_MEMORY') {
    return `not enough memory${where}${bytes === undefined ? '' : `: ${(bytes / 2 ** 20).toFixed(0)} MiB at once`}.`;
  }
  return `ONNX Runtime says${where}: ${message}`;
}

/** Without the C++ file and function names that precede some messages; one line, ended by a full stop. */
function clean(message: string): string {
  const short = message
    .replace(/\/onnxruntime_src\/\S+:\d+ .*?\) (?=[A-Z])/s, '')
    .replace(/\s+/g, ' ')
    .trim();
  return /[.!?]$/.test(short) ? short : `${short}.`;
}

function defined(groups: Record<string, string | undefined> | undefined): Record<string, string> {
  const entries = Object.entries(groups ?? {}).flatMap(([k, v]): [string, string][] =>
    v === undefined ? [] : [[k, v]],
  );
  return Object.fromEntries(entries);
}
