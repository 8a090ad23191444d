import { bytes, double, message, text, varint } from './internal/protobuf.ts';
import { summaryEvent } from './tensorboard-events.ts';

/** Options of a run by name, for a table of hyperparameters. */
export type Hyperparameters = Readonly<Record<string, null | boolean | number | string>>;

/**
 * The three events of TensorBoard's table of hyperparameters: their kinds, the values of this run, and that it has
 * succeeded. Flags count as numbers; what is null is left out.
 *
 * @param wallTime Unix seconds
 */
export function hyperparameterEvents(wallTime: number, values: Hyperparameters): Uint8Array[] {
  const given = Object.entries(values).filter((entry): entry is [string, boolean | number | string] => {
    return entry[1] !== null;
  });
  const kinds = given.map(([name, value]) =>
    bytes(4, message(text(1, name), varint(4, typeof value === 'string' ? kindText : kindNumber))),
  );
  const contents = given.map(([name, value]) =>
    bytes(1, message(text(1, name), bytes(2, typeof value === 'string' ? text(3, value) : double(2, Number(value))))),
  );
  const parts = [
    ['_hparams_/experiment', bytes(2, message(...kinds))],
    ['_hparams_/session_start_info', bytes(3, message(...contents))],
    ['_hparams_/session_end_info', bytes(4, varint(1, success))],
  ] as const;
  return parts.map(([tag, content]) => {
    const metadata = message(bytes(1, message(text(1, 'hparams'), bytes(2, content))));
    return summaryEvent(wallTime, message(text(1, tag), bytes(9, metadata)));
  });
}

const kindText = 1;
const kindNumber = 3;
const success = 1;

/** The same as YAML, one name a line, sorted; texts are quoted where YAML could take them for something else. */
export function hyperparametersYaml(values: Hyperparameters): string {
  const names = Object.keys(values).toSorted();
  return names.map((name) => `${name}: ${yamlScalar(values[name] ?? null)}\n`).join('');
}

function yamlScalar(value: null | boolean | number | string): string {
  if (typeof value === 'number') return yamlNumber(value);
  if (typeof value !== 'string') return String(value);
  const isPlain = /^[A-Za-z][\w.-]*$/.test(value) && !/^(?:true|false|yes|no|on|off|y|n|null)$/i.test(value);
  return isPlain ? value : JSON.stringify(value);
}

/** YAML 1.1 takes `1e-05` for a text and wants `1.0e-05`. */
function yamlNumber(value: number): string {
  if (Number.isNaN(value)) return '.nan';
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf';
  return String(value).replace(/^(-?\d+)e([+-]?)/, (_, digits: string, sign: string) => `${digits}.0e${sign || '+'}`);
}
