import { LiteralSyntaxError, parsePythonLiteral } from './python-literal.ts';
import { string, type PythonValue } from './python-value.ts';

/** Why a `key=value` argument cannot be read. */
export interface KeyValueFault {
  readonly code: 'BAD_KEY_VALUE' | 'BAD_LITERAL';
  readonly argument: string;
  /** What was found and what was expected, to follow the argument in a message. */
  readonly reason: string;
  readonly remedy: string;
}

/**
 * Reads `key=value`. There is exactly one equals sign.
 *
 * @param kind `literal`: the value is a Python literal (optimizers, schedules); `plain`: it is kept as text (adapters)
 */
export function parseKeyValue(
  argument: string,
  kind: 'literal' | 'plain',
): { key: string; value: PythonValue } | KeyValueFault {
  const [key = '', text, ...more] = argument.split('=');
  if (text === undefined || more.length > 0 || key === '') {
    return {
      code: 'BAD_KEY_VALUE',
      argument,
      reason: key === '' || text === undefined ? 'is not of the form key=value' : 'has more than one equals sign',
      remedy: 'Write key=value, each pair as one argument.',
    };
  }
  if (kind === 'plain') return { key, value: string(text) };
  try {
    return { key, value: parsePythonLiteral(text) };
  } catch (cause) {
    if (!(cause instanceof LiteralSyntaxError)) throw cause;
    return {
      code: 'BAD_LITERAL',
      argument,
      reason: `has a value that is no Python literal: ${cause.message}`,
      remedy: cause.remedy,
    };
  }
}
