import { expect, test } from 'vitest';

import { describeOperators, readPlacement } from './placement.ts';

const node = (name: string, op_name: string, provider: string, from: string[], to: string[]) => ({
  cat: 'Node',
  name: `${name}_kernel_time`,
  args: {
    op_name,
    provider,
    input_type_shape: from.map((dtype) => ({ [dtype]: [2, 3] })),
    output_type_shape: to.map((dtype) => ({ [dtype]: [2, 3] })),
  },
});
const [cpu, card] = ['CPUExecutionProvider', 'CUDAExecutionProvider'];

test('what a device left to the CPU is told from shape arithmetic and copies', () => {
  const events = [
    { cat: 'Session', name: 'model_loading_array' },
    node('a', 'MatMul', card, ['float', 'float'], ['float']),
    node('a', 'MatMul', card, ['float', 'float'], ['float']),
    node('b', 'Sign', cpu, ['float16'], ['float16']),
    node('c', 'Sign', cpu, ['bfloat16'], ['bfloat16']),
    node('d', 'Round', cpu, ['float'], ['float']),
    node('e', 'Shape', cpu, ['float'], ['int64']),
    node('f', 'Cast', cpu, ['int64'], ['float']),
    node('g', 'MemcpyToHost', card, ['float'], ['float']),
  ];
  const placement = readPlacement(JSON.stringify(events));
  expect(placement).toEqual({
    nodes: { [card]: 1, [cpu]: 5 },
    onCpu: { Sign: 2, Round: 1 },
    shapeNodes: 2,
    copies: 1,
  });
  expect(describeOperators(placement.onCpu)).toBe('2 Sign, 1 Round');
});

test.each([
  ['uint8', 'float'],
  ['int8', 'float16'],
  ['uint8', 'int32'],
  ['int8', 'int16'],
  ['float', 'uint8'],
])('a Cast from %s to %s has to do with weights, not with shapes', (from, to) => {
  const { onCpu, shapeNodes } = readPlacement(JSON.stringify([node('a', 'Cast', cpu, [from], [to])]));
  expect({ onCpu, shapeNodes }).toEqual({ onCpu: { Cast: 1 }, shapeNodes: 0 });
});

test('the shape of weights in 8 bits is a shape, and masks are no weights', () => {
  const events = [node('a', 'Shape', cpu, ['uint8'], ['int64']), node('b', 'Cast', cpu, ['int64'], ['bool'])];
  expect(readPlacement(JSON.stringify(events))).toMatchObject({ onCpu: {}, shapeNodes: 2 });
});
