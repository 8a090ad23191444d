import type { InferenceSession } from 'onnxruntime-common';

import type { Feed } from './types.ts';

import { RuntimeError } from './error.ts';

type Described = Pick<InferenceSession, 'inputNames' | 'outputNames' | 'inputMetadata'>;

/**
 * Checks names, dtypes and the fixed lengths of shapes against what the model declares. ONNX Runtime ignores unknown
 * names and does not say which input has the wrong type.
 *
 * @throws {RuntimeError} `UNKNOWN_INPUT`, `MISSING_INPUT`, `DTYPE_MISMATCH`, `SHAPE_MISMATCH`
 */
export function checkFeeds(session: Described, feeds: Readonly<Record<string, Feed>>, label: string): void {
  const declared = new Map(session.inputMetadata.map((input) => [input.name, input]));
  for (const name of session.inputNames) {
    if (!feeds[name]) {
      const given = listed(Object.keys(feeds));
      throw new RuntimeError('MISSING_INPUT', `input "${name}" is not fed (fed: ${given}).`, 'Feed it.', {
        label,
        tensor: name,
      });
    }
  }
  for (const [name, tensor] of Object.entries(feeds)) {
    const input = declared.get(name);
    if (!input) {
      const remedy = `Leave it out. The inputs are ${listed(session.inputNames)}.`;
      throw new RuntimeError('UNKNOWN_INPUT', `the model has no input "${name}".`, remedy, { label, tensor: name });
    }
    if (input.isTensor) checkType(input, tensor, label);
  }
}

function checkType(input: InferenceSession.TensorValueMetadata, tensor: Feed, label: string): void {
  const { name, type, shape } = input;
  const facts = { label, tensor: name };
  if (tensor.dtype !== type) {
    throw new RuntimeError(
      'DTYPE_MISMATCH',
      `input "${name}" is ${type}, it is fed ${tensor.dtype}.`,
      'Convert it.',
      facts,
    );
  }
  const agree =
    shape.length === tensor.shape.length && shape.every((d, i) => typeof d === 'string' || d === tensor.shape[i]);
  // an input without a declared shape has an empty list, like a scalar
  if (agree || shape.length === 0) return;
  throw new RuntimeError(
    'SHAPE_MISMATCH',
    `input "${name}" has the shape [${shape.join(', ')}], it is fed [${tensor.shape.join(', ')}].`,
    'Feed a tensor of that shape.',
    facts,
  );
}

/** @throws {RuntimeError} `UNKNOWN_OUTPUT` for names that the model lacks, or none at all */
export function checkOutputs(session: Described, outputs: readonly string[], label: string): void {
  const unknown = outputs.find((name) => !session.outputNames.includes(name));
  if (unknown === undefined && outputs.length > 0) return;
  const found = unknown === undefined ? 'no output is asked for.' : `the model has no output "${unknown}".`;
  const remedy = `Ask for some of ${listed(session.outputNames)}.`;
  throw new RuntimeError('UNKNOWN_OUTPUT', found, remedy, { label, tensor: unknown });
}

/** The first names; a training model has hundreds. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(', ');
  return names.length === 0 ? 'none' : names.length > 8 ? `${shown}, … (${names.length})` : shown;
}
