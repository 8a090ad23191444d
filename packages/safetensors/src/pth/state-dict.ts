import { SafetensorsError } from '../error.ts';
import { quote } from '../internal/quote.ts';
import { describe } from './unpickle.ts';
import { PickleGlobal, TorchStorage, TorchTensor } from './values.ts';
import type { PickleValue } from './values.ts';

/** Where training programs keep the weights when the root of a checkpoint holds more than them. */
export const STATE_DICT_KEYS = ['state_dict', 'model_state_dict', 'model', 'module', 'params', 'weights'] as const;

/** Checkpoints of checkpoints: `{ model: { state_dict: … } }`. */
const MAX_DEPTH = 4;

type Dict = ReadonlyMap<PickleValue, PickleValue>;

/**
 * The tensors by name: those of the root, or, when it has none, those under the only one of {@link STATE_DICT_KEYS} that leads to some.
 * Numbers, texts and containers of them beside tensors are left out.
 *
 * @throws {SafetensorsError} `NO_STATE_DICT` when there is none, or more than one
 */
export function findStateDict(root: PickleValue, file: string): ReadonlyMap<string, TorchTensor> {
  const fail = (problem: string, remedy: string) => new SafetensorsError('NO_STATE_DICT', problem, remedy, { file });
  const holdsTensors = createSearch();
  let dict = root;
  let path = 'its root';
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    if (!isDict(dict)) {
      throw fail(
        `${path} is a ${describe(dict)}, not a dict of tensors.`,
        'Save it with torch.save(model.state_dict(), path).',
      );
    }
    if (Array.from(dict.values()).some((value) => value instanceof TorchTensor)) return tensorsOf(dict, path, fail);
    const entries = Array.from(dict).filter(([, value]) => holdsTensors(value));
    const known = entries.filter(([key]) => (STATE_DICT_KEYS as readonly PickleValue[]).includes(key));
    const [only] = known;
    if (!only) {
      const keys = entries.map(([key]) => nameOf(key)).slice(0, 8);
      const found = keys.length === 0 ? 'no tensors' : `tensors only below ${keys.join(', ')}`;
      throw fail(
        `${path} has ${found}.`,
        `Weights are looked for at the root and under ${STATE_DICT_KEYS.join(', ')}: save them there.`,
      );
    }
    if (known.length > 1) {
      const keys = known.map(([key]) => nameOf(key)).join(' and ');
      throw fail(
        `${path} has tensors under ${keys}.`,
        'Save the one that you mean: torch.save(checkpoint["…"], path).',
      );
    }
    path = String(only[0]);
    dict = only[1];
  }
  throw fail('its dicts are nested too deeply.', 'Save only the weights: torch.save(model.state_dict(), path).');
}

function tensorsOf(
  dict: Dict,
  path: string,
  fail: (problem: string, remedy: string) => SafetensorsError,
): ReadonlyMap<string, TorchTensor> {
  const holdsTensors = createSearch();
  const tensors = new Map<string, TorchTensor>();
  for (const [key, value] of dict) {
    if (value instanceof TorchTensor) {
      if (typeof key !== 'string') {
        throw fail(`${path} has a tensor under ${nameOf(key)}, which is no text.`, 'Name each tensor by a text.');
      }
      tensors.set(key, value);
    } else if (holdsTensors(value)) {
      const remedy = 'Save the weights alone: torch.save(model.state_dict(), path).';
      throw fail(`${path} has tensors, and more of them inside ${nameOf(key)}.`, remedy);
    }
  }
  return tensors;
}

/** A key in messages; a key that is no text may be a list as deep as it likes, so only its kind is told. */
const nameOf = (key: PickleValue): string => (typeof key === 'string' ? quote(key) : describe(key));

const isDict = (value: PickleValue): value is Dict => value instanceof Map;

/**
 * Whether a value is a tensor or a storage or a container with one, however deep. Each container is looked at once, however often it is
 * shared; containers may contain themselves.
 */
function createSearch(): (value: PickleValue) => boolean {
  return (value) => {
    const seen = new Set<PickleValue>();
    const waiting: PickleValue[] = [value];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (next instanceof TorchTensor || next instanceof TorchStorage) return true;
      if (next === null || typeof next !== 'object' || next instanceof PickleGlobal || seen.has(next)) continue;
      if (next instanceof Map || next instanceof Set || Array.isArray(next)) seen.add(next);
      if (next instanceof Map) for (const pair of next) waiting.push(...pair);
      else if (next instanceof Set || Array.isArray(next)) for (const item of next) waiting.push(item);
    }
    return false;
  };
}
